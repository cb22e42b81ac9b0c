"""Which step a visitor makes, and how much of it, from the five points alone. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Step
from oneglance.faces.find.pose import parallax, steepness

TURNS = (Step.TURN_LEFT, Step.TURN_RIGHT, Step.LOOK_UP)
ALL_STEPS = (*TURNS, Step.COME_CLOSER)
# How far the nose moves against eyes and mouth, in distances of the eyes. docs/liveness.md has the
# figures of heads, and of flat and bent pictures.
TURNED = 0.22
TURNED_UP = 0.15
# How far the nose stands out before eyes and mouth at least, in distances of the eyes, by how far
# it moved and how far they turned: a bent picture, turned as far as that takes, has less depth.
DEPTH = 0.30
DEPTH_UP = 0.20
# How much larger the face is after a step towards the camera.
CLOSER = 1.2


def sizes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How large a face is, float64 (2,) px: from eye to eye, and from the eyes to the mouth."""
    across = points[1] - points[0]
    down = (points[3] + points[4] - points[0] - points[1]) / 2
    return np.array([np.hypot(*across), np.hypot(*down)])


def movement(
    points: NDArray[np.float64], rest: NDArray[np.float64], rest_sizes: NDArray[np.float64]
) -> tuple[Step | None, float]:
    """The step that `points` (5, 2) are furthest in, against those at `rest`, and how far.

    1 and more is all of it; 0 is no movement, NaN points that say nothing. No step is the answer
    for a head that looks down, which is not a step. A turn is no more than part of one while what
    turns has less depth than a head.
    """
    made = shares(points, rest, rest_sizes)
    if not np.isfinite(list(made.values())).all():
        return None, float("nan")
    step = max(made, key=lambda name: made[name])
    return step, max(0.0, made[step])


def shares(
    points: NDArray[np.float64], rest: NDArray[np.float64], rest_sizes: NDArray[np.float64]
) -> dict[Step | None, float]:
    """How far `points` are in each step, as in `movement`: below 0 the other way."""
    aside, up = parallax(points, rest)
    turned = steepness(points, rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = float((sizes(points) / rest_sizes).min())
    return {
        Step.TURN_LEFT: _turn(aside, turned, TURNED, DEPTH),
        Step.TURN_RIGHT: _turn(-aside, turned, TURNED, DEPTH),
        Step.LOOK_UP: _turn(up, turned, TURNED_UP, DEPTH_UP),
        None: -up / TURNED_UP,
        Step.COME_CLOSER: (grown - 1) / (CLOSER - 1),
    }


def _turn(moved: float, turned: float, far: float, depth: float) -> float:
    """How much of a turn it is by which the nose `moved` while its plane `turned`."""
    deep = moved / (depth * turned) if turned > 0 else 1.0
    return moved / far if deep >= 1 else min(moved / far, deep)
