"""Does something cover this face: sunglasses, or a mask? Pure, and only a reason to ask.

Bare eyes and a bare mouth have edges, cloth and dark glass have few. A covered face is compared all
the same: who is recognised has nothing to take off. The weights are of two logistic read-outs,
fitted on faces that were covered by drawing, and judged on real sunglasses too
(benchmarks/covered.py; docs/benchmarks/everyday.md, "Everyday looks").
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Hint

# Parts of the chip: rows, columns.
_BROW = np.s_[16:34, 34:78]
_EYES = (np.s_[44:60, 28:50], np.s_[44:60, 62:84])
_NOSE = np.s_[60:76, 49:63]
_MOUTH = np.s_[86:100, 40:72]
# A read-out above this is told: of pictures of faces as they are, one in 200 or fewer.
_TOLD = 1.0
_OF_EYES = np.array([-0.158, -9.30, 11.0])
_OF_MOUTH = np.array([0.105, 0.095, -6.68, 11.05])


def covered_hint(chip: NDArray[np.uint8]) -> Hint:
    """UNCOVER_EYES or UNCOVER_MOUTH for an RGB chip uint8 (112, 112, 3) that asks for it, or NONE.

    The chip is one in which nothing else is wrong: a blurred or dark one has no edges either.
    """
    eyes, mouth = measured(chip)
    if float(_OF_EYES @ eyes) > _TOLD:
        return Hint.UNCOVER_EYES
    if float(_OF_MOUTH @ mouth) > _TOLD:
        return Hint.UNCOVER_MOUTH
    return Hint.NONE


def measured(chip: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the two read-outs weigh, the constant 1 last; in units of CIE L*a*b*.

    Of the eyes: how much lighter than the nose, and how much structure; of the mouth: how far its
    a* and b* are from the forehead's, and how much structure.
    """
    brow, nose, mouth, *eyes = (_lab(chip[part]) for part in (_BROW, _NOSE, _MOUTH, *_EYES))
    lightness = np.mean([eye[:, 0].mean() for eye in eyes]) - nose[:, 0].mean()
    detail = np.mean([np.log1p(eye[:, 0].std()) for eye in eyes])
    _, redder, yellower = np.abs(mouth.mean(0) - brow.mean(0))
    of_mouth = [redder, yellower, np.log1p(mouth[:, 0].std()), 1.0]
    return np.array([lightness, detail, 1.0], np.float64), np.array(of_mouth, np.float64)


def _lab(part: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The pixels (n, 3) of a part of a chip in CIE L*a*b*."""
    lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab.reshape(-1, 3), np.float32)
