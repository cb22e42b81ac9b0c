"""The effect of one door on templates and thresholds, as measured there. Pure.

One camera, one wall and one lamp leave the same mark in every template, so that strangers who came
through one door score higher than strangers' photographs do, on which the model's thresholds were
fitted. Most of that mark is one common direction. It is taken out of all templates; what is left
of the shift is put on the thresholds. Where nothing was learned about a door, directions of doors
in general are taken out, and a template that looks like those of bad doors is made longer, since an
L1 head scores longer ones lower. Figures and reasons: docs/calibration.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.model.tail import FittedRate, ImpostorTail

Templates = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of impostor scores."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """How much longer a template gets the more it looks like the pictures of bad doors.

    For u, the template at length 1, that is base + by (u . along) + sum_i squares_i (u . d_i)^2 of
    its length, if that is above 0. `along` float32 (d,) has length 1; `directions` d_i float32
    (k, d) have, too, and are at right angles; `squares` is float32 (k,).
    """

    base: float
    along: NDArray[np.float32]
    by: float
    directions: Templates
    squares: NDArray[np.float32]

    def factors(self, templates: Templates) -> Templates:
        """By how much templates (n, d) get longer, float32 (n, 1): 1 or more."""
        lengths = np.linalg.norm(templates, axis=1, keepdims=True)
        unit = templates / np.maximum(lengths, 1e-12)
        squared = (unit @ self.directions.T) ** 2 @ self.squares
        longer = self.base + self.by * (unit @ self.along) + squared
        return np.asarray(1 + np.maximum(longer, 0.0)[:, np.newaxis], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """What is known about a door.

    `directions` float32 (k, d), of length 1 and at right angles, are what its pictures have in
    common. `here` is how impostor scores lie there once that is taken out (the upper end of what
    the strangers tell), `fitted` how they lay where the model's thresholds were fitted. `stretch`
    is for doors that are not calibrated.
    """

    directions: Templates
    here: Spread
    fitted: Spread
    stretch: Stretch | None = None

    def settled(self, templates: Templates) -> Templates:
        """Templates float32 (n, d) without what the door's pictures have in common, stretched."""
        rest = settled(templates, self.directions)
        if self.stretch is None:
            return rest
        return np.asarray(rest * self.stretch.factors(templates), np.float32)

    def lifted(self, threshold: float) -> float:
        """The score that means at this door what `threshold` meant where fitted; never lower.

        Both lie as many standard deviations above the mean of their impostors.
        """
        if self.here == self.fitted:
            return threshold
        deviations = (threshold - self.fitted.mean) / self.fitted.sd
        return max(threshold, self.here.mean + deviations * self.here.sd)


def common_directions(templates: Templates) -> Templates:
    """The direction of the mean of templates float32 (n, d): float32 (1, d), of length 1."""
    mean = templates.mean(0, keepdims=True, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def settled(templates: Templates, directions: Templates) -> Templates:
    """Templates float32 (n, d) without their part along `directions` (k, d); each keeps its length.

    Taken twice it changes nothing more. A template that consists of that part alone stays as it is:
    there is nothing else to go by.
    """
    rest = templates - (templates @ directions.T) @ directions
    lengths = np.linalg.norm(templates, axis=1, keepdims=True)
    left = np.linalg.norm(rest, axis=1, keepdims=True)
    usable = left > 1e-3 * lengths
    scaled = rest * (lengths / np.where(usable, left, 1.0))
    return np.asarray(np.where(usable, scaled, templates), np.float32)


class CalibratedTail:
    """The false match rates of `tail`, at the scores where they lie at `door`."""

    def __init__(self, tail: ImpostorTail, door: Door) -> None:
        self._tail = tail
        self._door = door

    @property
    def strictest_fmr(self) -> float:
        """The lowest false match rate for which `threshold` has an answer."""
        return self._tail.strictest_fmr

    @property
    def laxest(self) -> FittedRate:
        """The fitted point of the highest rate."""
        point = self._tail.laxest
        return FittedRate(point.target, self._door.lifted(point.threshold), point.fmr_upper)

    def threshold(self, fmr: float) -> float:
        """The score at or above which strangers match in at most `fmr` of comparisons.

        Never below the model's own. Raises ModelError below `strictest_fmr`.
        """
        return self._door.lifted(self._tail.threshold(fmr))
