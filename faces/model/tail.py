"""How often strangers score how high: thresholds for any false match rate, on the safe side. Pure.

The mathematics and its assumptions stand in docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

from oneglance.errors import ModelError

# How far below the strictest rate that was fitted a threshold may still be told, and the least rate
# of all. Further down, relatives and people who look like twins rule, whom no line drawn through
# the others foretells: of a hundred million pairs, two or three are that alike.
MOST_EXTRAPOLATION = 10.0
LEAST_RATE = 2.5e-8


@dataclass(frozen=True, slots=True)
class FittedRate:
    """A threshold fitted to the false match rate `target`, really at most `fmr_upper` (95 %)."""

    target: float
    threshold: float
    fmr_upper: float


class Tail(Protocol):
    """What a decision asks of strangers' scores; `ImpostorTail` says what each member means."""

    @property
    def strictest_fmr(self) -> float:
        """The lowest false match rate for which `threshold` has an answer."""

    @property
    def laxest(self) -> FittedRate:
        """The fitted point of the highest rate."""

    def threshold(self, fmr: float) -> float:
        """The lowest threshold at which the false match rate is surely at most `fmr`."""


class ImpostorTail:
    """The false match rate of one comparison as a function of the threshold, from fitted points.

    Between the points it takes log FMR to be concave in the threshold, as it is for all common
    distributions; then a line through two neighbouring points lies above it everywhere outside the
    two. Points that are not concave themselves, since few pairs decide where the strict ones lie,
    are first lifted onto the least concave curve above them. Below the strictest rate it follows
    the line through the last two points as they were fitted. Raises ModelError unless there are
    at least two points, stricter ones higher.
    """

    def __init__(self, points: Sequence[FittedRate]) -> None:
        self._points = sorted(points, key=lambda point: point.threshold)
        falling = all(
            a.threshold < b.threshold and a.target > b.target and a.fmr_upper > b.fmr_upper
            for a, b in pairwise(self._points)
        )
        if len(self._points) < 2 or not falling:
            raise ModelError(
                "its thresholds do not tell how often strangers score how high",
                where="the model's manifest",
                fix="use a model whose thresholds were fitted ('oneglance convert --fit-images')",
            )
        self._lifted = _concave(self._points)

    @property
    def strictest_fmr(self) -> float:
        """The lowest false match rate for which `threshold` has an answer."""
        return max(LEAST_RATE, self._points[-1].target / MOST_EXTRAPOLATION)

    @property
    def laxest(self) -> FittedRate:
        """The fitted point of the highest rate."""
        return self._points[0]

    def threshold(self, fmr: float) -> float:
        """The lowest threshold at which the false match rate is surely at most `fmr`.

        It is one that was fitted, or lies where a line comes down to `fmr`. Raises ModelError
        below `strictest_fmr`: the pairs it was fitted on cannot tell.
        """
        if not self.strictest_fmr * (1 - 1e-9) <= fmr < 1:
            raise ModelError(
                f"a false match rate of {fmr:.1e} is stricter than its thresholds can tell"
                f" ({self.strictest_fmr:.0e})",
                where="the model's manifest",
            )
        if fmr < self._points[-1].fmr_upper:
            return _reached(self._points[-2], self._points[-1], fmr)
        fitted = [point.threshold for point in self._lifted if point.fmr_upper <= fmr]
        drawn = [
            _reached(a, b, fmr)
            for a, b in pairwise(self._lifted)
            if not b.fmr_upper <= fmr <= a.fmr_upper
        ]
        return min(fitted + drawn)


def tail_of(thresholds: Mapping[str, Any]) -> ImpostorTail:
    """The tail that a manifest's `thresholds` describe (`by_fmr` with `threshold`, `fmr_95`).

    Where there is an interval over people (`fmr_95_people`), the wider of the two counts, and the
    highest rate among other people (`fmr_elsewhere`) where that is higher still. Raises ModelError
    if they are missing or of another shape.
    """
    try:
        points = [
            FittedRate(float(target), float(row["threshold"]), _upper(row))
            for target, row in thresholds["by_fmr"].items()
        ]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        points = []
    return ImpostorTail(points)


def _upper(row: Mapping[str, Any]) -> float:
    over_people = row.get("fmr_95_people") or row["fmr_95"]
    elsewhere = row.get("fmr_elsewhere") or 0.0
    return max(float(row["fmr_95"][1]), float(over_people[1]), float(elsewhere))


def _concave(points: Sequence[FittedRate]) -> list[FittedRate]:
    """The points, each lifted to the highest chord of two others that passes above it."""
    lifted = []
    for at, point in enumerate(points):
        chords = [
            math.exp(math.log(a.fmr_upper) - _fall(a, b) * (point.threshold - a.threshold))
            for a in points[:at]
            for b in points[at + 1 :]
        ]
        lifted.append(replace(point, fmr_upper=max([point.fmr_upper, *chords])))
    return lifted


def _reached(a: FittedRate, b: FittedRate, fmr: float) -> float:
    """Where the line through two points comes down to `fmr`."""
    return b.threshold + math.log(b.fmr_upper / fmr) / _fall(a, b)


def _fall(a: FittedRate, b: FittedRate) -> float:
    return math.log(a.fmr_upper / b.fmr_upper) / (b.threshold - a.threshold)
