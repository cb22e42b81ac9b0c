"""Follow faces from frame to frame by their five points, without searching for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import MAX_DOUBT, box_around
from oneglance.faces.find.boxes import Box
from oneglance.faces.model.face_model import FaceModel

# The aligner finds a face again that has moved by up to 0.3 of its side from where it was
# expected (docs/benchmarks/finding.md); twice that is two rounds.
MAX_MOVE_IN_SIDES = 0.6
MAX_GROWTH = 1.4
# Two faces that overlap by more than this (intersection over union) are one.
SAME_PLACE = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face in one frame: five points float64 (5, 2) in px, and the box around them.

    `moved` is how far it is from where it was expected, in its own sides; 0 if it was not.
    """

    points: NDArray[np.float64]
    box: Box
    moved: float = 0.0

    @property
    def tilt_deg(self) -> float:
        """How far the head is tilted, clockwise as the camera sees it."""
        right, down = self.points[1] - self.points[0]
        return math.degrees(math.atan2(down, right))


def sightings(
    model: FaceModel, pixels: NDArray[np.uint8], boxes: Sequence[Box]
) -> list[Sighting | None]:
    """What each box holds: a face, or None if the aligner doubts it."""
    located = model.locate(pixels, boxes)
    return [
        Sighting(points, box_around(points)) if doubt <= MAX_DOUBT else None
        for points, doubt in zip(located.points, located.doubts, strict=True)
    ]


def follow(
    model: FaceModel, pixels: NDArray[np.uint8], expected: Sequence[NDArray[np.float64]]
) -> list[Sighting | None]:
    """Where faces are whose points (5, 2) in px are expected; None for each that is not there.

    Of two that come out in one place, the one that had less far to move is there; the other one
    is behind it, or gone.
    """
    found: list[Sighting | None] = [None] * len(expected)
    located = model.relocate(pixels, expected)
    again = []
    for i, (points, doubt) in enumerate(zip(located.points, located.doubts, strict=True)):
        sighting = _plausible(points, expected[i], pixels)
        # A face that moved far is found, but doubted for that: the next round starts from there.
        if sighting is not None and doubt > MAX_DOUBT:
            again.append(i)
        found[i] = sighting
    located = model.relocate(pixels, [located.points[i] for i in again])
    for i, points, doubt in zip(again, located.points, located.doubts, strict=True):
        found[i] = _plausible(points, expected[i], pixels) if doubt <= MAX_DOUBT else None
    return _one_each(found)


def _plausible(
    points: NDArray[np.float64], expected: NDArray[np.float64], pixels: NDArray[np.uint8]
) -> Sighting | None:
    """The sighting, unless no face could have come there: too far, too large, out of the frame."""
    if not np.isfinite(points).all():
        return None
    box, before = box_around(points), box_around(expected)
    (x, y), (before_x, before_y) = box.centre, before.centre
    side = max(before.width, 1.0)
    moved = math.hypot(x - before_x, y - before_y) / side
    growth = max(box.width / side, side / max(box.width, 1.0))
    height, width = pixels.shape[:2]
    inside = 0 <= x < width and 0 <= y < height
    if moved > MAX_MOVE_IN_SIDES or growth > MAX_GROWTH or not inside:
        return None
    return Sighting(points, box, moved)


def _one_each(found: list[Sighting | None]) -> list[Sighting | None]:
    kept = list(found)
    for i, j in itertools.combinations(range(len(found)), 2):
        one, other = kept[i], kept[j]
        if one is not None and other is not None and one.box.iou(other.box) > SAME_PLACE:
            kept[j if one.moved <= other.moved else i] = None
    return kept
