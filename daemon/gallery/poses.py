"""Whether a face is in the pose that an enrolment asks for. Pure.

The template of a slightly turned head recognises a visitor who is not looking straight ahead.
Turned too far, a head would look like other people's: the poses ask for a third of what a challenge
does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Step
from oneglance.daemon.visit.movement import sizes
from oneglance.faces.find.pose import turn_and_nod

# The five poses, in the order in which they are taken: the others are measured against the first.
POSES = tuple(Step)
POSE, TOO_FAR = "pose", "too_far"
# Limits for a face that looks straight ahead, in eye distances (see `turn_and_nod`).
_STRAIGHT = 0.2
# How far the other poses are turned from that, in the same unit; chin up is in shares of the way
# from the eyes to the mouth. Then how much larger a closer face is.
_ASIDE = (0.08, 0.38)
_UP = (0.05, 0.30)
_CLOSER = (1.1, 2.5)


def judged(pose: Step, points: NDArray[np.float64], straight: NDArray[np.float64] | None) -> str:
    """What is wrong with points (5, 2) for `pose`: nothing, POSE or TOO_FAR.

    `straight` are those of the same head looking straight ahead; without them, only that pose fits.
    """
    turn, nod = turn_and_nod(points)
    if pose is Step.LOOK_STRAIGHT:
        return "" if abs(turn) <= _STRAIGHT else POSE
    if straight is None:
        return POSE
    turn_0, nod_0 = turn_and_nod(straight)
    if pose is Step.COME_CLOSER:
        grown = float((sizes(points) / sizes(straight)).min())
        return _within(grown, _CLOSER)
    if pose is Step.LOOK_UP:
        return _within(nod_0 - nod, _UP)
    return _within(turn - turn_0 if pose is Step.TURN_LEFT else turn_0 - turn, _ASIDE)


def _within(value: float, bounds: tuple[float, float]) -> str:
    if not np.isfinite(value) or value < bounds[0]:
        return POSE
    return TOO_FAR if value > bounds[1] else ""
