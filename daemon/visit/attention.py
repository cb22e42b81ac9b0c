"""Which faces of a frame are worth an encoding, and how many at once. Pure: time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.pose import turn_and_nod

# A visit that has its decision is only watched in case another face takes its place.
RECHECK_S = 0.5
# A picture much worse than the best of this face so far is passed over, but not for longer.
GOOD_ENOUGH = 0.7
WAIT_FOR_BETTER_S = 0.25
# More faces than this at a door are not visitors.
MAX_FACES_PER_STEP = 8
# How long one call of the encoder may keep the next frame waiting.
DEADLINE_S = 0.06


def worth(sharpness: float, points: NDArray[np.float64]) -> float:
    """How well a face can be recognised in this picture, higher = better, for one face over time.

    `sharpness` is the chip's Laplacian variance, which a small or blurred face lacks; the five
    `points` (5, 2) tell how far it is turned aside.
    """
    turn, _ = turn_and_nod(points)
    return math.sqrt(max(0.0, sharpness)) * max(0.0, 1.0 - 2.0 * abs(turn))


@dataclass(slots=True)
class Attention:
    """What one face has been given so far.

    `same` tells whether the last encoding was of the face that had been there before,
    `put_off` how often it was wanted since, but others went first.
    """

    looked_at_s: float = float("-inf")
    wanted_since_s: float | None = None
    best: float = 0.0
    same: bool = True
    put_off: int = 0

    def wants_recheck(self, at_s: float, *, sure: bool) -> bool:
        """Whether a face that has its decision should be looked at again.

        At once, if it was lost for a moment (not `sure`) or did not resemble itself last time.
        """
        return not sure or not self.same or not 0 <= at_s - self.looked_at_s < RECHECK_S

    def is_good(self, at_s: float, worth: float) -> bool:
        """Whether to take this picture rather than wait for a better one."""
        if self.wanted_since_s is None or self.wanted_since_s > at_s:
            self.wanted_since_s = at_s
        self.best = max(self.best, worth)
        waited_s = at_s - self.wanted_since_s
        return worth >= GOOD_ENOUGH * self.best or waited_s >= WAIT_FOR_BETTER_S

    def looked(self, at_s: float, *, same: bool) -> None:
        """An encoding was made of the picture at `at_s`."""
        self.looked_at_s = at_s
        self.wanted_since_s = None
        self.put_off = 0
        if not same:
            self.best = 0.0
        self.same = same


class Batch:
    """How many faces one encoder call may take, so that it ends within the deadline."""

    def __init__(self) -> None:
        self._face_s = 0.0

    @property
    def size(self) -> int:
        """From 1 to MAX_FACES_PER_STEP."""
        if self._face_s * MAX_FACES_PER_STEP <= DEADLINE_S:
            return MAX_FACES_PER_STEP
        return max(1, int(DEADLINE_S / self._face_s))

    def took(self, faces: int, seconds: float) -> None:
        """A call with so many faces took so long; a slow moment counts less than what is usual."""
        if faces > 0 and seconds >= 0:
            self._face_s += 0.2 * (seconds / faces - self._face_s)
