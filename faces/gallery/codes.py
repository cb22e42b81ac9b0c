"""Short codes of templates, by whose Hamming distance most of a large gallery is ruled out.

Each component, times its weight in the Siamese head, is rounded to one of `LEVELS` levels, and
level k is written as k ones: then the Hamming distance of two codes is the L1 distance of their
levels, which one pass of AVX2 popcounts finds. The rounding error of each template is known, so the
code distance bounds the true one from below, and no template is ever ruled out wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LEVELS = 16
# Components of a unit vector spread about as 1 / sqrt(d): so many times that on either side is
# where most of them lie. Measured: less or more leaves more templates to be compared.
_RANGE = 2.6
_ROWS_PER_STEP = 2048
# Rounding of float32 sums, in units of distance.
_SLACK = 1e-3

Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class L1Head:
    """score = bias - sum_j weights_j |a_j - b_j|, with no weight below 0; float32 (d,)."""

    bias: float
    weights: NDArray[np.float32]

    @classmethod
    def behind(cls, compare: Compare, template_size: int) -> L1Head | None:
        """The head that `compare` applies, found by probing it; None if it is of another kind."""
        nothing = np.zeros((1, template_size), np.float32)
        bias = float(compare(nothing, nothing)[0, 0])
        units = np.eye(template_size, dtype=np.float32)
        weights = np.asarray(bias - compare(units, nothing)[:, 0], np.float32)
        head = cls(bias, weights)
        pairs = np.random.default_rng(0).standard_normal((2, 16, template_size))
        one, other = np.asarray(pairs / np.sqrt(template_size), np.float32)
        told = bias - np.abs(one[:, np.newaxis] - other) @ weights
        same = np.allclose(told, compare(one, other), atol=1e-3, rtol=1e-4)
        return head if same and bool((weights >= 0).all()) else None


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Some rows, and a score that no other row can exceed."""

    rows: NDArray[np.intp]
    others_at_most: float


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Codes uint8 (n, bytes) of n templates, and each one's rounding error, float32 (n,)."""

    head: L1Head
    bits: NDArray[np.uint8]
    hidden: NDArray[np.float32]
    most_hidden: float

    def __len__(self) -> int:
        return len(self.bits)

    @classmethod
    def of(cls, templates: NDArray[np.float32], head: L1Head) -> Codes:
        """Encode templates float32 (n, d)."""
        count, size = templates.shape
        width = -(-size * (LEVELS - 1) // 8)
        bits = np.empty((count, width), np.uint8)
        hidden = np.empty(count, np.float32)
        for start in range(0, count, _ROWS_PER_STEP):
            rows = slice(start, start + _ROWS_PER_STEP)
            bits[rows], hidden[rows] = _encode(templates[rows], head)
        return cls(head, bits, hidden, float(hidden.max(initial=0.0)))

    def nearest(self, probe: NDArray[np.float32], count: int) -> Nearest:
        """The rows whose codes are nearest to that of probe float32 (d,)."""
        code, hidden = _encode(probe[np.newaxis], self.head)
        count = min(count, len(self))
        distances, rows = cv2.batchDistance(
            code, self.bits, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=count
        )
        unseen = count < len(self)
        least = _step(self.head) * float(distances[0, -1]) - self._margin(hidden)
        others_at_most = self.head.bias - least if unseen else float("-inf")
        return Nearest(np.asarray(rows[0], np.intp), others_at_most)

    def reaching(self, probe: NDArray[np.float32], score: float) -> NDArray[np.intp]:
        """Every row whose score with probe float32 (d,) may be `score` or more, and some others."""
        code, hidden = _encode(probe[np.newaxis], self.head)
        most = (self.head.bias - score + self._margin(hidden)) / _step(self.head)
        if not most >= 0:
            return np.empty(0, np.intp)
        matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        (matches,) = matcher.radiusMatch(code, self.bits, min(most, 8.0 * self.bits.shape[1]) + 0.5)
        return np.array([match.trainIdx for match in matches], np.intp)

    def _margin(self, hidden: NDArray[np.float32]) -> float:
        return float(hidden[0]) + self.most_hidden + _SLACK


def _step(head: L1Head) -> float:
    size = len(head.weights)
    return 2 * _RANGE * float(head.weights.mean()) / (LEVELS * float(np.sqrt(size)))


def _encode(
    templates: NDArray[np.float32], head: L1Head
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    scaled = templates * head.weights
    step = _step(head)
    levels = np.clip(np.floor(scaled / step) + LEVELS // 2, 0, LEVELS - 1)
    hidden = np.abs(scaled - (levels - (LEVELS - 1) / 2) * step).sum(axis=1)
    levels = levels.astype(np.uint8)
    ones = [levels > below for below in range(LEVELS - 1)]
    return np.packbits(np.concatenate(ones, axis=1), axis=1), np.asarray(hidden, np.float32)
