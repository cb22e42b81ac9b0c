"""Where a camera's picture has changed since it was last searched, told from a tiny grey copy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.boxes import Box

# A face at the limit of use still covers some six cells across, and camera noise averages out.
TINY_SIDE = 80
# In grey levels: far less than a person before any wall, more than what is left of noise.
LEAST_CHANGE, MOST_CHANGE = 6.0, 20.0
CHANGE_IN_NOISE = 6.0
# A change of light by more than this reveals what could not be seen before.
NEW_LIGHT = 20.0
# Fewer changed cells in a block of 3 x 3 are noise that happened to be strong.
CELLS_OF_NINE = 4


def tiny_grey(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture (H, W), averaged down to 80 cells along its longer side."""
    height, width = grey.shape
    scale = TINY_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


class SceneMemory:
    """What each cell looked like when it was last searched. Pure.

    A cell has changed if it differs from that by clearly more than the picture as a whole does:
    light that comes and goes everywhere, and noise, are no reason to search.
    """

    def __init__(self) -> None:
        self._remembered: NDArray[np.float32] | None = None

    def changed(self, tiny: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which cells of `tiny` have changed, (h, w).

        All, if nothing of this size was searched yet, or the light was switched.
        """
        if self._remembered is None or self._remembered.shape != tiny.shape:
            return np.ones(tiny.shape, np.bool_)
        difference = tiny - self._remembered
        light = float(np.median(difference))
        if abs(light) > NEW_LIGHT:
            return np.ones(tiny.shape, np.bool_)
        size = np.abs(difference - light)
        noise = float(np.median(size))
        limit = min(MOST_CHANGE, max(LEAST_CHANGE, CHANGE_IN_NOISE * noise))
        cells = (size > limit).astype(np.float32)
        block = cv2.boxFilter(cells, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray((cells > 0) & (block >= CELLS_OF_NINE), np.bool_)

    def remember(self, tiny: NDArray[np.uint8], region: Box | None = None) -> None:
        """Take it as searched: all of it, or what lies in `region` (in cells)."""
        if self._remembered is None or self._remembered.shape != tiny.shape or region is None:
            self._remembered = tiny.astype(np.float32)
            return
        left, top = round(region.x), round(region.y)
        right, bottom = round(region.x + region.width), round(region.y + region.height)
        rows, columns = slice(max(0, top), bottom), slice(max(0, left), right)
        self._remembered[rows, columns] = tiny[rows, columns]


def region_of(cells: NDArray[np.bool_], margin: float) -> Box | None:
    """The box (in cells) around all marked cells, wider by `margin`; None if none is marked."""
    if not cells.any():
        return None
    columns, rows = np.flatnonzero(cells.any(0)), np.flatnonzero(cells.any(1))
    height, width = cells.shape
    left, top = max(0.0, float(columns[0]) - margin), max(0.0, float(rows[0]) - margin)
    right = min(float(width), float(columns[-1]) + 1 + margin)
    bottom = min(float(height), float(rows[-1]) + 1 + margin)
    return Box(left, top, right - left, bottom - top)
