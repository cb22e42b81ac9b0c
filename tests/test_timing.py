"""Times of the stages: what the bins keep of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.timing import FIRST_BIN_S, StageTime, StageTimes

STAGES = ("first", "second", "third")

durations = st.lists(st.floats(2e-6, 60.0), min_size=1, max_size=200)


@given(durations, st.floats(0.01, 1.0))
def test_a_quantile_is_that_of_the_sorted_times_within_5_percent(
    seconds: list[float], part: float
) -> None:
    time = StageTime()
    for value in seconds:
        time.add(value)
    exact = sorted(seconds)[math.ceil(part * len(seconds)) - 1]
    assert time.quantile_s(part) == pytest.approx(exact, rel=0.05)
    assert time.calls == len(seconds)
    assert time.total_s == pytest.approx(sum(seconds))


@pytest.mark.parametrize("seconds", [0.0, 1e-12, FIRST_BIN_S, 1e6])
def test_times_out_of_range_are_counted_in_the_outer_bins(seconds: float) -> None:
    time = StageTime()
    time.add(seconds)
    assert (time.calls, time.total_s) == (1, seconds)


def test_rows_have_the_stages_that_ran_in_the_order_of_a_step() -> None:
    times = StageTimes(STAGES)
    for name in reversed(STAGES[1:]):
        times.add(name, 0.001)
    times.add("new", 0.005)
    rows = times.rows()
    assert [row.stage for row in rows] == [*STAGES[1:], "new"]
    assert sum(row.share for row in rows) == pytest.approx(1.0, abs=1e-3)


def test_nothing_ran_nothing_is_told() -> None:
    assert StageTimes(STAGES).rows() == []
    assert StageTime().quantile_s(0.5) == 0.0
