"""When a schedule holds: days, nights, and the hours that clocks skip or show twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.schedule import DAYS, Schedule, text_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]

TIMES = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02}:{t[1]:02}")
LINES = st.tuples(st.sampled_from([*DAYS, "daily", "mon-fri", "fri-mon"]), TIMES, TIMES).filter(
    lambda line: line[1] != line[2]
)
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2035, 1, 1),
    timezones=st.just(UTC),
)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("line", "moment", "holds"),
    [
        ("mon-fri 07:00-19:00", "2026-11-30T07:00", True),
        ("mon-fri 07:00-19:00", "2026-11-30T06:59:59", False),
        ("mon-fri 07:00-19:00", "2026-11-30T18:59:59", True),
        ("mon-fri 07:00-19:00", "2026-11-30T19:00", False),
        ("mon-fri 07:00-19:00", "2026-11-29T12:00", False),
        ("sat,sun 00:00-24:00", "2026-11-29T23:59:59", True),
        ("sun 22:00-06:00", "2026-11-29T23:00", True),
        ("sun 22:00-06:00", "2026-11-30T05:59", True),
        ("sun 22:00-06:00", "2026-11-30T22:30", False),
        ("fri-mon 08:00-09:00", "2026-11-29T08:30", True),
        ("fri-mon 08:00-09:00", "2026-12-01T08:30", False),
    ],
)
def test_a_line_holds_from_its_first_minute_to_before_its_end(
    line: str, moment: str, holds: bool
) -> None:
    assert Schedule.of([line]).holds(at(moment), BERLIN) is holds


def test_an_hour_that_the_clocks_skip_never_comes() -> None:
    # On 2026-03-29 Berlin's clocks go from 02:00 to 03:00.
    skipped = Schedule.of(["sun 02:00-03:00"])
    begin = datetime(2026, 3, 28, 23, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=n) for n in range(24 * 60)]
    assert not any(skipped.holds(moment, BERLIN) for moment in minutes)
    assert not Schedule.of(["sun 01:00-02:00"]).holds(datetime(2026, 3, 29, 1, tzinfo=UTC), BERLIN)
    assert Schedule.of(["sun 03:00-04:00"]).holds(datetime(2026, 3, 29, 1, tzinfo=UTC), BERLIN)


def test_an_hour_that_the_clocks_show_twice_counts_twice() -> None:
    # On 2026-10-25 Berlin's clocks go from 03:00 back to 02:00.
    twice = Schedule.of(["sun 02:00-03:00"])
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=n) for n in range(25 * 60)]
    assert sum(twice.holds(moment, BERLIN) for moment in minutes) == 120
    assert twice.holds(at("2026-10-25T02:30", fold=0), BERLIN)
    assert twice.holds(at("2026-10-25T02:30", fold=1), BERLIN)


@given(LINES, MOMENTS, st.sampled_from(ZONES))
def test_a_line_holds_just_when_the_clock_on_the_wall_says_so(
    line: tuple[str, str, str], moment: datetime, zone: str
) -> None:
    days, begin, end = line
    named = {"daily": DAYS, "mon-fri": DAYS[:5], "fri-mon": ("fri", "sat", "sun", "mon")}
    local = moment.astimezone(ZoneInfo(zone))
    clock = f"{local:%H:%M}"
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    wanted = named.get(days, (days,))
    if begin < end:
        expected = today in wanted and begin <= clock < end
    else:
        expected = (today in wanted and clock >= begin) or (yesterday in wanted and clock < end)
    assert Schedule.of([f"{days} {begin}-{end}"]).holds(moment, ZoneInfo(zone)) is expected


@given(st.lists(LINES, min_size=1, max_size=3), st.lists(LINES, min_size=1, max_size=3))
def test_two_schedules_have_a_minute_in_common_just_when_both_hold_in_one(
    one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]
) -> None:
    first = Schedule.any_of(Schedule.of([f"{d} {b}-{e}"]) for d, b, e in one)
    second = Schedule.any_of(Schedule.of([f"{d} {b}-{e}"]) for d, b, e in other)
    monday = datetime(2026, 11, 30, tzinfo=UTC)
    zone = ZoneInfo("UTC")
    both = [
        minute
        for minute in sorted({begin for schedule in (first, second) for begin, _ in schedule.spans})
        if first.holds(monday + timedelta(minutes=minute), zone)
        and second.holds(monday + timedelta(minutes=minute), zone)
    ]
    assert first.common(second) == (both[0] if both else None)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["mon-fri 07:00-12:00", "wed 11:00-13:00"], "overlap on wed 11:00"),
        (["sun 22:00-06:00", "mon 05:00-07:00"], "overlap on mon 05:00"),
        (["daily 20:00-21:00", "daily 20:00-21:00"], "overlap on mon 20:00"),
        (["mon 07:00-07:00"], "covers no time"),
        ([], "covers no time"),
        (["mon 07:00-25:00"], "a time is"),
        (["mon 07:60-08:00"], "a time is"),
        (["mon 24:00-06:00"], "a time is"),
        (["monday 07:00-08:00"], "the days are"),
        (["mon,mon 07:00-08:00"], "mon stands twice"),
        (["mon-fri,fri 07:00-08:00"], "fri stands twice"),
        (["mon 7:00-8:00"], "is not like"),
        (["07:00-08:00"], "is not like"),
        ([""], "is not like"),
    ],
)
def test_what_makes_no_schedule_is_refused_with_its_place(lines: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule.of(lines)


@given(st.text(max_size=30))
def test_any_text_is_a_line_or_a_clear_mistake(text: str) -> None:
    with suppress(ValueError):
        spans = Schedule.of([text]).spans
        assert all(0 <= first < end <= 7 * 24 * 60 for first, end in spans)


def test_a_minute_of_the_week_reads_well() -> None:
    assert text_of(0) == "mon 00:00"
    assert text_of(6 * 24 * 60 + 23 * 60 + 59) == "sun 23:59"


@pytest.mark.parametrize("name", ["Europe/Brelin", "", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_zone_that_is_none_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of(name)
