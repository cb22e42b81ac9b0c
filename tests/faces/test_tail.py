from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.errors import ModelError
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.tail import (
    LEAST_RATE,
    MOST_EXTRAPOLATION,
    FittedRate,
    ImpostorTail,
    tail_of,
)

TARGETS = (1e-2, 1e-3, 1e-4, 1e-5)


def exact(survival_at: Any, targets: tuple[float, ...] = TARGETS) -> ImpostorTail:
    """The tail of a distribution known exactly: `survival_at(rate)` is its quantile."""
    return ImpostorTail([FittedRate(rate, survival_at(rate), rate) for rate in targets])


def normal_quantile(rate: float) -> float:
    """The score that a standard normal variable exceeds with probability `rate`."""
    low, high = -10.0, 40.0
    for _ in range(200):
        middle = (low + high) / 2
        if normal_survival(middle) > rate:
            low = middle
        else:
            high = middle
    return low


def normal_survival(score: float) -> float:
    return 0.5 * math.erfc(score / math.sqrt(2))


def logistic_survival(score: float) -> float:
    return 1 / (1 + math.exp(score))


def test_at_a_fitted_rate_it_is_the_fitted_threshold() -> None:
    tail = exact(normal_quantile)
    for rate in TARGETS:
        assert tail.threshold(rate) == pytest.approx(normal_quantile(rate))


@settings(deadline=None)
@given(st.floats(-6, -0.01))
def test_between_and_beyond_the_points_the_rate_is_never_higher_than_asked(power: float) -> None:
    rate = 10**power
    normal = exact(normal_quantile)
    assert normal_survival(normal.threshold(rate)) <= rate * (1 + 1e-9)
    logistic = exact(lambda rate: math.log((1 - rate) / rate))
    assert logistic_survival(logistic.threshold(rate)) <= rate * (1 + 1e-9)


@settings(deadline=None)
@given(st.floats(-6, -1), st.floats(-6, -1))
def test_a_stricter_rate_never_has_a_lower_threshold(one: float, other: float) -> None:
    tail = exact(normal_quantile)
    strict, lax = sorted((one, other))
    assert tail.threshold(10**strict) >= tail.threshold(10**lax) - 1e-9


def test_doubt_about_a_fitted_rate_raises_the_threshold() -> None:
    sure = exact(normal_quantile)
    doubted = ImpostorTail([FittedRate(r, normal_quantile(r), 1.3 * r) for r in TARGETS])
    for rate in (3e-3, 1e-4, 1e-6):
        assert doubted.threshold(rate) > sure.threshold(rate)


points = st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)), min_size=2, max_size=7).map(
    lambda steps: [
        FittedRate(
            10.0**-number,
            sum(rise for rise, _ in steps[:number]),
            0.5 * math.exp(-sum(fall for _, fall in steps[:number])),
        )
        for number in range(1, len(steps) + 1)
    ]
)


@settings(deadline=None)
@given(points, st.floats(0, 1), st.floats(0, 1))
def test_points_of_any_shape_give_thresholds_that_rise_and_never_lie_below_a_fitted_one(
    fitted: list[FittedRate], one: float, other: float
) -> None:
    tail = ImpostorTail(fitted)
    strictest = math.log10(tail.strictest_fmr)
    lax, strict = sorted((10 ** (strictest * one), 10 ** (strictest * other)), reverse=True)
    if lax < 1:
        assert tail.threshold(strict) >= tail.threshold(lax) - 1e-9
    for point in fitted:
        # A rate that only the bound of this point keeps has no lower threshold.
        if tail.strictest_fmr <= point.fmr_upper:
            assert tail.threshold(point.fmr_upper) >= point.threshold - 1e-9


def test_strict_points_that_fall_less_steeply_raise_those_between_and_below() -> None:
    laxer = [FittedRate(rate, -2 * math.log10(rate), rate) for rate in (1e-2, 1e-3, 1e-4, 1e-5)]
    heavy = ImpostorTail([*laxer, FittedRate(1e-6, 13.0, 1e-6), FittedRate(1e-7, 16.0, 1e-7)])
    for rate in (3e-4, 1e-4, 1e-5):
        assert heavy.threshold(rate) > -2 * math.log10(rate)
    assert heavy.threshold(2.5e-8) == pytest.approx(16 + 3 * math.log10(4))


def test_however_strict_the_fitted_rates_none_below_the_least_is_told() -> None:
    tail = exact(normal_quantile, (*TARGETS, 1e-6, 1e-7))
    assert tail.strictest_fmr == LEAST_RATE
    with pytest.raises(ModelError, match="stricter than"):
        tail.threshold(0.99 * LEAST_RATE)


def test_a_rate_far_below_the_fitted_ones_is_refused() -> None:
    tail = exact(normal_quantile)
    assert tail.strictest_fmr == pytest.approx(1e-5 / MOST_EXTRAPOLATION)
    tail.threshold(tail.strictest_fmr)
    for rate in (tail.strictest_fmr * 0.99, 0.0, -1.0, 1.0, float("nan")):
        with pytest.raises(ModelError, match="stricter than"):
            tail.threshold(rate)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [FittedRate(1e-2, 1.0, 1e-2)],
        [FittedRate(1e-2, 1.0, 1e-2), FittedRate(1e-3, 1.0, 1e-3)],
        [FittedRate(1e-2, 1.0, 1e-2), FittedRate(1e-3, 2.0, 1e-2)],
        [FittedRate(1e-3, 1.0, 1e-3), FittedRate(1e-2, 2.0, 1e-2)],
    ],
    ids=["none", "one", "no rise", "no fall", "the wrong way round"],
)
def test_points_that_tell_no_tail_are_refused(points: list[FittedRate]) -> None:
    with pytest.raises(ModelError, match="do not tell"):
        ImpostorTail(points)


@pytest.mark.parametrize(
    "thresholds", [{}, {"by_fmr": {}}, {"by_fmr": {"1e-3": {"threshold": 1.0}}}, {"by_fmr": None}]
)
def test_a_manifest_without_fitted_thresholds_supports_no_decision(
    thresholds: dict[str, Any],
) -> None:
    with pytest.raises(ModelError, match="do not tell"):
        tail_of(thresholds)


def test_the_wider_of_the_intervals_counts() -> None:
    def row(threshold: float, upper: float, **more: object) -> dict[str, object]:
        return {"threshold": threshold, "fmr_95": [0.0, upper], **more}

    by_fmr = {"1e-2": row(1.0, 1.1e-2), "1e-3": row(2.0, 1.2e-3, fmr_95_people=None)}
    plain = tail_of({"by_fmr": by_fmr})
    by_fmr["1e-3"] = row(2.0, 1.2e-3, fmr_95_people=[0.0, 2e-3])
    wider = tail_of({"by_fmr": by_fmr})
    assert plain.threshold(1.2e-3) == 2.0
    assert wider.threshold(1.2e-3) > 2.0
    by_fmr["1e-3"] = row(2.0, 1.2e-3, fmr_95_people=[0.0, 2e-3], fmr_elsewhere=3e-3)
    elsewhere = tail_of({"by_fmr": by_fmr})
    assert elsewhere.threshold(1.2e-3) > wider.threshold(1.2e-3)


def test_the_shipped_model_tells_its_tail() -> None:
    model = load_model()
    tail = tail_of(model.manifest.raw["thresholds"])
    rates = np.geomspace(1e-2, tail.strictest_fmr * 1.0001, 30)
    thresholds = [tail.threshold(float(rate)) for rate in rates]
    assert np.all(np.diff(thresholds) > 0)
    assert thresholds[0] >= model.threshold("1e-2")
