"""A short film of one face at a door, as the renderer makes it or a recording gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]

GENUINE_KINDS = ("visit", "visit_two_photos")
RECORDED_KIND = "visit_recorded"
PRINT_KINDS = (
    "print_still",
    "print_tilted",
    "print_bent",
    "print_shaken",
    "print_approaching",
    "print_cut_eyes",
    "print_over_body",
)
PHOTO_SCREEN_KINDS = ("phone_photo", "tablet_photo")
REPLAY_KINDS = ("phone_replay", "tablet_replay")
SCREEN_KINDS = (*PHOTO_SCREEN_KINDS, *REPLAY_KINDS)
ATTACK_KINDS = (*PRINT_KINDS, *SCREEN_KINDS)
KINDS = (*GENUINE_KINDS, *ATTACK_KINDS)
# Attacks that are counted apart: replays on a screen that stands there and that nobody holds, and a
# print cut out along the head, which carries no margin along. Only the limit of `still` was chosen
# by them.
STANDING_KINDS = ("phone_standing", "tablet_standing")
CUT_OUT_KIND = "print_cut_out"
APART_KINDS = (*STANDING_KINDS, CUT_OUT_KIND)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One film: `frames` uint8 (H, W, 3) BGR, taken at `at_s` float64 (n,), starting at 0.

    `person` is whose face is shown, `live` whether they are really there, `made` whether the film
    was rendered, `style` in which style ("recorded" if in none). `points` float64 (n, 5, 2) are the
    five points of the face in px (eyes, nose, corners of the mouth; the left one in the picture
    first), as drawn, or as the aligner found them in a recording.
    """

    kind: str
    person: str
    live: bool
    made: bool
    style: str
    frames: Sequence[Image]
    at_s: NDArray[np.float64]
    points: Points

    @property
    def fps(self) -> float:
        """Frames per second, averaged over the film."""
        return (len(self.at_s) - 1) / float(self.at_s[-1] - self.at_s[0])
