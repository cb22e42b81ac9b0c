"""Which way a face looks, from its five points. Pure, and only a rough measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NOSE = 2
_FOUR = [0, 1, 3, 4]
# Four corners whose equations are worse than this are nearly in a line.
_WORST_CONDITION = 1e4
# The nose lies between the four; where it would go to the horizon, or behind it, they are wrong.
_LEAST_W = 0.2


def turn_and_nod(points: NDArray[np.floating]) -> tuple[float, float]:
    """How far a head is turned aside and nodded, from its points (5, 2): eyes, nose, mouth.

    The turn is how far the nose lies beside the middle of the eyes, in distances of the eyes,
    positive where the person looks to their own left. The nod is the place of the nose on the
    way from the eyes (0) to the mouth (1), smaller with the chin up. A tilt changes neither.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = np.asarray(points, np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across = right_eye - left_eye
    apart = max(float(np.linalg.norm(across)), 1e-6)
    across = across / apart
    # Down the face, at a right angle to the eyes, so that a tilted head measures the same.
    down = np.array([-across[1], across[0]])
    height = max(float((mouth - eyes) @ down), 1e-6)
    return float((nose - eyes) @ across) / apart, float((nose - eyes) @ down) / height


def parallax(points: NDArray[np.floating], rest: NDArray[np.floating]) -> tuple[float, float]:
    """How far the nose has moved in front of eyes and mouth since `rest`, both points (5, 2).

    The homography that takes eyes and mouth corners back to where they were at `rest` takes the
    nose back too if all five lie in one plane, however that plane is moved, turned or seen: for a
    flat picture this is (0, 0) but for the aligner's noise. On a head the nose stands out, and
    moves against the four as the head turns. In distances of the eyes at `rest`, along the line of
    the eyes and across it: the first is positive where the head has turned to the person's own
    left, the second where it has turned up. NaN where the four have no plane.
    """
    now, before = upright(points), upright(rest)
    if now is None or before is None:
        return float("nan"), float("nan")
    flat = _homography(now[_FOUR], before[_FOUR])
    if flat is None:
        return float("nan"), float("nan")
    x, y, w = flat @ np.array([*now[_NOSE], 1.0])
    if w < _LEAST_W:
        return float("nan"), float("nan")
    return float(x / w - before[_NOSE, 0]), float(before[_NOSE, 1] - y / w)


def steepness(points: NDArray[np.floating], rest: NDArray[np.floating]) -> float:
    """The tangent of the angle by which the plane of eyes and mouth has turned since `rest`.

    A plane that turns away is seen shorter across the axis it turns about, whichever that is, by
    the angle's cosine (seen from far; the points are (5, 2) each). 0 if it has not turned; NaN
    where the four have no plane.
    """
    now, before = upright(points), upright(rest)
    if now is None or before is None:
        return float("nan")
    there, here = (four - four.mean(0) for four in (now[_FOUR], before[_FOUR]))
    if not np.linalg.cond(here) < _WORST_CONDITION:
        return float("nan")
    linear = np.linalg.lstsq(here, there, rcond=None)[0]
    long, short = np.linalg.svd(linear, compute_uv=False)
    if not short > 0:
        return float("inf")
    return float(np.sqrt(max(0.0, (long / short) ** 2 - 1)))


def upright(points: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """The points (5, 2) with the middle of the eyes at 0, the eyes level and 1 apart.

    None if both eyes are in one place, or points are not numbers.
    """
    points = np.asarray(points, np.float64)
    across = points[1] - points[0]
    apart = float(np.hypot(*across))
    if not apart > 0:
        return None
    cos, sin = across / apart
    turned = (points - (points[0] + points[1]) / 2) @ np.array([[cos, -sin], [sin, cos]])
    return np.asarray(turned / apart, np.float64)


def _homography(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The (3, 3) that takes four points to four others; None if three of them lie in a line."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    matrix = np.array(rows)
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > _WORST_CONDITION:
        return None
    return np.append(np.linalg.solve(matrix, target.ravel()), 1.0).reshape(3, 3)
