"""Follow faces from frame to frame by their boxes alone. Pure: time is passed in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from oneglance.faces.boxes import Box

# How far a face may have moved, in its own sides: a little at once, more if it was not found for
# a while. Which face it is, the templates tell; boxes only say that it may be the same.
MOVE_IN_SIDES = 0.5
MOVE_IN_SIDES_PER_S = 1.5
MAX_MOVE_IN_SIDES = 1.2
MAX_GROWTH = 1.6


@dataclass(frozen=True, slots=True)
class Track:
    """One face across frames. `seen` tells whether it was found in the newest frame."""

    track_id: int
    box: Box
    first_at_s: float
    last_at_s: float
    seen: bool


class Tracker:
    """The tracks of one camera. A track ends after `leave_s` without its face."""

    def __init__(self, leave_s: float) -> None:
        self._leave_s = leave_s
        self._numbers = itertools.count(1)
        self._tracks: list[Track] = []

    def update(self, boxes: Sequence[Box], at_s: float) -> list[Track]:
        """Take the boxes found at `at_s`; returns the live tracks, one `seen` for each box.

        A time that runs backwards ends all tracks: nothing is known about what lay between.
        """
        alive = [t for t in self._tracks if 0 <= at_s - t.last_at_s <= self._leave_s]
        pairs = sorted(
            (
                (nearness, t, b)
                for t, track in enumerate(alive)
                for b, box in enumerate(boxes)
                if (nearness := _nearness(track, box, at_s)) is not None
            ),
            key=lambda pair: -pair[0],
        )
        owner: dict[int, int] = {}
        for _, t, b in pairs:
            if b not in owner and t not in owner.values():
                owner[b] = t
        followed = []
        for b, box in enumerate(boxes):
            if b in owner:
                followed.append(replace(alive[owner[b]], box=box, last_at_s=at_s, seen=True))
            else:
                followed.append(Track(next(self._numbers), box, at_s, at_s, seen=True))
        lost = [
            replace(track, seen=False) for t, track in enumerate(alive) if t not in owner.values()
        ]
        self._tracks = followed + lost
        return list(self._tracks)


def _nearness(track: Track, new: Box, at_s: float) -> float | None:
    """How well `new` continues the track, higher = better; None if it cannot be the same face."""
    old = track.box
    growth = max(new.width / old.width, old.width / new.width)
    side = (old.width + new.width) / 2
    (old_x, old_y), (new_x, new_y) = old.centre, new.centre
    move = max(abs(new_x - old_x), abs(new_y - old_y)) / side
    reach = MOVE_IN_SIDES + MOVE_IN_SIDES_PER_S * (at_s - track.last_at_s)
    if growth > MAX_GROWTH or move > min(reach, MAX_MOVE_IN_SIDES):
        return None
    return old.iou(new) - move
