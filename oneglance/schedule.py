"""When something applies, by the door's local time. Pure.

A schedule is a list of lines such as `mon-fri 07:00-19:00`. A moment is turned into the local time
of the door's zone, and that is looked up: an hour that the clocks skip never comes, one that they
show twice counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_LINE = re.compile(r"(\S+) +(\d\d):(\d\d) *- *(\d\d):(\d\d)")

# Minutes of the week from Monday 00:00 on: (first, end), the end not included.
Minutes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Minutes of the week, as spans that are sorted and do not overlap; all of it by `always`."""

    spans: tuple[Minutes, ...]

    @classmethod
    def always(cls) -> Schedule:
        """Every minute of the week."""
        return cls(((0, _WEEK_MINUTES),))

    @classmethod
    def of(cls, lines: Sequence[str]) -> Schedule:
        """What lines like `mon-fri 07:00-19:00`, `sat,sun 22:00-06:00` or `daily 00:00-24:00` say.

        A span that ends before it begins goes on into the next day. Raises ValueError if a line
        is not of this form, covers no time, or overlaps another one.
        """
        spans: list[tuple[Minutes, str]] = []
        for line in lines:
            spans += [(span, line) for span in _spans(line)]
        spans.sort()
        for (one, line), (other, other_line) in pairwise(spans):
            if other[0] < one[1]:
                whose = f"{line!r} and {other_line!r}" if line != other_line else repr(line)
                raise ValueError(f"{whose} overlap on {text_of(other[0])}")
        if not spans:
            raise ValueError("covers no time; leave it out for always")
        return cls(tuple(span for span, _ in spans))

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        """Whether it holds at `moment`, which has a time zone of its own."""
        local = moment.astimezone(zone)
        minute = (local.weekday() * 24 + local.hour) * 60 + local.minute
        return any(first <= minute < end for first, end in self.spans)

    def common(self, other: Schedule) -> int | None:
        """The first minute of the week at which both hold; None if there is none."""
        shared = [
            max(one[0], two[0])
            for one in self.spans
            for two in other.spans
            if max(one[0], two[0]) < min(one[1], two[1])
        ]
        return min(shared, default=None)

    @classmethod
    def any_of(cls, schedules: Iterable[Schedule]) -> Schedule:
        """The times at which at least one of these applies."""
        merged: list[Minutes] = []
        for first, end in sorted(span for one in schedules for span in one.spans):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((first, end))
        return cls(tuple(merged))


def text_of(minute: int) -> str:
    """A minute of the week as `mon 07:00`."""
    day, of_day = divmod(minute, _DAY_MINUTES)
    return f"{DAYS[day]} {of_day // 60:02}:{of_day % 60:02}"


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone of that name; ValueError if this machine knows none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone of this machine; write one like 'Europe/Berlin'"
            " (the package tzdata brings them)"
        ) from None


def _spans(line: str) -> list[Minutes]:
    match = _LINE.fullmatch(line.strip().lower())
    if match is None:
        raise ValueError(f"{line!r} is not like 'mon-fri 07:00-19:00'")
    begin, end = _minute(match[2], match[3]), _minute(match[4], match[5])
    if begin is None or end is None or begin == _DAY_MINUTES:
        raise ValueError(f"{line!r}: a time is 00:00 to 23:59, or 24:00 as an end")
    if begin == end:
        raise ValueError(f"{line!r} covers no time; the whole day is 00:00-24:00")
    if end < begin:
        end += _DAY_MINUTES
    spans = []
    for day in _days(match[1], line):
        first, last = day * _DAY_MINUTES + begin, day * _DAY_MINUTES + end
        spans.append((first, min(last, _WEEK_MINUTES)))
        if last > _WEEK_MINUTES:
            spans.append((0, last - _WEEK_MINUTES))
    return spans


def _minute(hours: str, minutes: str) -> int | None:
    minute = int(hours) * 60 + int(minutes)
    return minute if int(minutes) < 60 and minute <= _DAY_MINUTES else None


def _days(text: str, line: str) -> list[int]:
    if text == "daily":
        return list(range(7))
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{line!r}: the days are {', '.join(DAYS)}, mon-fri, or daily")
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 + 1 if dash else 1
        found += [(begin + step) % 7 for step in range(length)]
    for one, other in combinations(found, 2):
        if one == other:
            raise ValueError(f"{line!r}: {DAYS[one]} stands twice")
    return found
