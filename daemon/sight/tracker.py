"""Which face of a frame is which of the frames before. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from oneglance.faces.find.boxes import Box

# How far a face may have moved, in its own sides: a little at once, more if it was not found for
# a while. Which face it is, the templates tell; boxes only say that it may be the same.
MOVE_IN_SIDES = 0.5
MOVE_IN_SIDES_PER_S = 1.5
MAX_MOVE_IN_SIDES = 1.2
MAX_GROWTH = 1.6


@dataclass(frozen=True, slots=True)
class Track:
    """One face across frames: where, in px, and when it was found last."""

    track_id: int
    box: Box
    last_at_s: float

    def is_alive(self, at_s: float, leave_s: float) -> bool:
        """Whether it may still be continued at `at_s`: it ends after `leave_s` without its face.

        A time that runs backwards ends it: nothing is known about what lay between.
        """
        return 0 <= at_s - self.last_at_s <= leave_s


@dataclass(frozen=True, slots=True)
class Match:
    """Whose the boxes of a frame are, by their places in the list that was asked about.

    `continued` tells for each track that goes on which box is its own; all other boxes are
    `begun`: faces that were not there before. Each box is named once, in one of the two.
    """

    continued: Mapping[int, int]
    begun: tuple[int, ...]


def match(
    tracks: Iterable[Track], followed: Collection[int], boxes: Sequence[Box], at_s: float
) -> Match:
    """Give each box to at most one live track, and each track at most one box, the nearest first.

    `tracks` are all that are alive at `at_s`, `followed` the numbers of those whose faces were
    found again already: they get no box. `boxes` are of faces found without knowing whose.
    """
    lost = [track for track in tracks if track.track_id not in followed]
    pairs = sorted(
        (
            (nearness, t, b)
            for t, track in enumerate(lost)
            for b, box in enumerate(boxes)
            if (nearness := _nearness(track, box, at_s)) is not None
        ),
        key=lambda pair: -pair[0],
    )
    taken: set[int] = set()
    continued: dict[int, int] = {}
    for _, t, b in pairs:
        track_id = lost[t].track_id
        if b not in taken and track_id not in continued:
            taken.add(b)
            continued[track_id] = b
    return Match(continued, tuple(b for b in range(len(boxes)) if b not in taken))


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
