"""Which way a head is turned, from the five points of its face. Pure, and only approximate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from oneglance.cli.collect.plan import Aim
from oneglance.faces.find.pose import turn_and_nod

# The tip of the nose stands out of the plane of eyes and mouth by about a third of the distance
# between the eyes: so a turn of 13 degrees moves it by 0.08 of that distance.
_TURNED = 0.08
_TURNED_FAR = 0.35
_STRAIGHT = 0.12
_NODDED = 0.05
_NODDED_FAR = 0.25
_CLOSER = 1.25
_FARTHER = 0.8


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is turned to, and how large it is.

    `turn` is how far the nose is beside the midpoint of the eyes, as a multiple of the distance
    between them, positive if the person looks to their own left. `nod` is where the nose is
    between eyes (0) and mouth (1), smaller with the chin up. `face_px` is the width of the face's
    box.
    """

    turn: float
    nod: float
    face_px: float


def pose_of(points: NDArray[np.floating], face_px: float) -> Pose:
    """The pose of a face with these points (5, 2): eyes, nose, corners of the mouth."""
    turn, nod = turn_and_nod(points)
    return Pose(turn, nod, face_px)


def typical(poses: Sequence[Pose]) -> Pose | None:
    """The median of each measure; None without poses."""
    if not poses:
        return None
    return Pose(
        median(pose.turn for pose in poses),
        median(pose.nod for pose in poses),
        median(pose.face_px for pose in poses),
    )


def advice(aim: Aim, pose: Pose, straight: Pose | None) -> str:
    """What is left to do to reach `aim`, or "".

    `straight` is this person's pose when looking straight ahead: noses differ. Without it only
    Aim.STRAIGHT asks for anything.
    """
    if aim is Aim.STRAIGHT:
        middle = 0.0 if straight is None else straight.turn
        return "" if abs(pose.turn - middle) <= _STRAIGHT else "Look straight at the camera"
    if aim is Aim.ANY or straight is None:
        return ""
    size = pose.face_px / straight.face_px
    if aim is Aim.CLOSER:
        return "" if size >= _CLOSER else "A little closer"
    if aim is Aim.FARTHER:
        return "" if size <= _FARTHER else "A little farther away"
    moved, enough, far = {
        Aim.LEFT: (pose.turn - straight.turn, _TURNED, _TURNED_FAR),
        Aim.RIGHT: (straight.turn - pose.turn, _TURNED, _TURNED_FAR),
        Aim.UP: (straight.nod - pose.nod, _NODDED, _NODDED_FAR),
        Aim.DOWN: (pose.nod - straight.nod, _NODDED, _NODDED_FAR),
    }[aim]
    if moved < enough:
        return "A little more"
    return "" if moved <= far else "A little less"
