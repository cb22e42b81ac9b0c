"""Which way a face looks, from its five points. Pure, and only a rough measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
