"""Which face of a frame is which of the frames before. Pure: time is passed in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from oneglance.faces.find.boxes import Box

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

    def alive(self, at_s: float) -> list[Track]:
        """The tracks that may still be continued at `at_s`.

        A time that runs backwards ends all tracks: nothing is known about what lay between.
        """
        return [t for t in self._tracks if 0 <= at_s - t.last_at_s <= self._leave_s]

    def update(
        self, boxes: Sequence[Box], at_s: float, followed: Mapping[int, Box] | None = None
    ) -> list[Track]:
        """Take what was seen at `at_s`; returns the live tracks, one `seen` for each box.

        `followed` tells where faces of live tracks are now, by track id. `boxes` are of faces
        found without knowing whose they are: they continue the other tracks, or begin new ones.
        The seen come first, those of `followed` before those of `boxes`, each in its order.
        """
        followed = followed or {}
        known = {track.track_id: track for track in self.alive(at_s)}
        continued = [
            replace(known.pop(track_id), box=box, last_at_s=at_s, seen=True)
            for track_id, box in followed.items()
        ]
        alive = list(known.values())
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
        for b, box in enumerate(boxes):
            if b in owner:
                continued.append(replace(alive[owner[b]], box=box, last_at_s=at_s, seen=True))
            else:
                continued.append(Track(next(self._numbers), box, at_s, at_s, seen=True))
        lost = [
            replace(track, seen=False) for t, track in enumerate(alive) if t not in owner.values()
        ]
        self._tracks = continued + lost
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
