"""The record of one face from frame to frame by which its motion can be judged. Pure.

Of each frame three small grey pictures: the face's surroundings, once in px that grow with the face
and once in whole px of the frame, and the face itself, upright. Not more often than
GLANCE_EVERY_S, and the last KEPT_S seconds of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import box_around, crop_around
from oneglance.faces.find.boxes import Box

GLANCE_EVERY_S = 0.03
KEPT_S = 3.0
MOST_GLANCES = 96
MOST_LOOKS = 12
# The surroundings are a square of so many sides of the face's box about its middle.
SURROUND_SIDES = 3.2
SURROUND_PX = 112
FACE_PX = 64
# No more than so often is a picture halved for `Glance.wall`; its corner lies on this lattice.
MOST_HALVINGS = 4
_LATTICE_PX = 2**MOST_HALVINGS


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """One frame's part: when, and the face's five points, float64 (5, 2) in px of the frame.

    `surround` uint8 (SURROUND_PX, SURROUND_PX) grey: frame px (x, y) lies at
    ((x, y) - `origin`) / `px` of it; `inside` (left, top, right, bottom) is the part of it that
    the frame covers, in its own px. `wall` uint8 (h, w) grey shows the same surroundings as far as
    the frame does, in squares of 2**`halvings` px of the frame, the first of which begins at
    `corner` (x, y) px, a multiple of them: what stays where it was looks the same, to the px,
    wherever the face has gone. `face` uint8 (FACE_PX, FACE_PX) grey is the upright crop that
    `crop_around(points)` describes.
    """

    at_s: float
    points: NDArray[np.float64]
    box: Box
    origin: NDArray[np.float64] = field(repr=False)
    px: float
    inside: tuple[float, float, float, float]
    surround: NDArray[np.uint8] = field(repr=False)
    wall: NDArray[np.uint8] = field(repr=False)
    halvings: int
    corner: NDArray[np.int_] = field(repr=False)
    face: NDArray[np.uint8] = field(repr=False)


class Trace:
    """The glances at one face, oldest first, and what the looks at it showed.

    Its memory is bounded. Time that runs backwards begins it anew: it is another recording.
    `seen_alive` is for whoever judges the face, to note that it passed at some moment.
    """

    def __init__(self) -> None:
        self.seen_alive = False
        self._glances: deque[Glance] = deque(maxlen=MOST_GLANCES)
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=MOST_LOOKS)
        self._seen_at_s = float("-inf")

    @property
    def glances(self) -> tuple[Glance, ...]:
        """What is kept now, oldest first."""
        return tuple(self._glances)

    @property
    def looks(self) -> tuple[Mapping[str, float], ...]:
        """The cues that each look measured, by name, oldest first."""
        return tuple(cues for _, cues in self._looks)

    @property
    def looked_at_s(self) -> float:
        """When the newest look was; minus infinity before the first."""
        return self._looks[-1][0] if self._looks else float("-inf")

    def begin_anew(self) -> None:
        """Another face took over the track: nothing seen before counts for it."""
        self.seen_alive = False
        self._glances.clear()
        self._looks.clear()
        self._seen_at_s = float("-inf")

    def see(self, pixels: NDArray[np.uint8], points: NDArray[np.floating], at_s: float) -> None:
        """The face with these points (5, 2) in px is in a frame, uint8 (H, W, 3) BGR, at `at_s`.

        A frame in which they are not numbers, or not a face's, is passed over.
        """
        if not self._goes_on(at_s):
            return
        self._forget_before(at_s - KEPT_S)
        if self._glances and at_s - self._glances[-1].at_s < GLANCE_EVERY_S:
            return
        glance = _glance(pixels, np.asarray(points, np.float64), at_s)
        if glance is not None:
            self._glances.append(glance)

    def look(self, cues: Mapping[str, float], at_s: float) -> None:
        """Keep the cues of a look at `at_s`, by name; NaN stands for what was not measured."""
        if self._goes_on(at_s):
            self._forget_before(at_s - KEPT_S)
            self._looks.append((at_s, cues))

    def _goes_on(self, at_s: float) -> bool:
        if not np.isfinite(at_s):
            return False
        if at_s < self._seen_at_s:
            self.begin_anew()
        self._seen_at_s = at_s
        return True

    def _forget_before(self, at_s: float) -> None:
        while self._glances and self._glances[0].at_s < at_s:
            self._glances.popleft()
        while self._looks and self._looks[0][0] < at_s:
            self._looks.popleft()


def _glance(pixels: NDArray[np.uint8], points: NDArray[np.float64], at_s: float) -> Glance | None:
    if points.shape != (5, 2) or not np.isfinite(points).all() or np.ptp(points, 0).max() < 1:
        return None
    box = box_around(points)
    height, width = pixels.shape[:2]
    x, y = box.centre
    side = box.width * SURROUND_SIDES
    if not (0 <= x < width and 0 <= y < height and side < 4 * (width + height)):
        return None
    px = side / SURROUND_PX
    origin = np.array([x - side / 2, y - side / 2])
    left, top = -origin / px
    right, bottom = (np.array([width, height]) - origin) / px
    inside = (max(0.0, left), max(0.0, top), min(SURROUND_PX, right), min(SURROUND_PX, bottom))
    corner = np.clip(np.floor(origin).astype(int), 0, [width - 1, height - 1])
    corner = corner // _LATTICE_PX * _LATTICE_PX
    far = np.clip(np.ceil(origin + side).astype(int) + 1, corner + 1, [width, height])
    region = pixels[corner[1] : far[1], corner[0] : far[0]]
    grey = np.asarray(cv2.cvtColor(region, cv2.COLOR_BGR2GRAY), np.uint8)
    levels = _halved(grey, side / SURROUND_PX)
    surround = _sampled(
        levels, np.array([[side, 0, origin[0]], [0, side, origin[1]]]), corner, SURROUND_PX
    )
    face = _sampled(levels, crop_around(points), corner, FACE_PX)
    halvings = min(MOST_HALVINGS, len(levels) - 1)
    # A copy: a part of the camera's own picture would keep all of it.
    wall = levels[halvings].copy()
    return Glance(
        at_s, points.copy(), box, origin, px, inside, surround, wall, halvings, corner, face
    )


def halved(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture at half its size, by the mean of each four px; an odd last row or column is
    left out.
    """
    # An even size is averaged exactly, and fast.
    rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
    even = grey[: 2 * rows, : 2 * columns]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _halved(grey: NDArray[np.uint8], most_px: float) -> list[NDArray[np.uint8]]:
    """A grey picture and its halves, as far down as sampling it every `most_px` px needs."""
    levels = [grey]
    while most_px >= 2 ** len(levels) and min(levels[-1].shape) >= 4:
        levels.append(halved(levels[-1]))
    return levels


def _sampled(
    levels: list[NDArray[np.uint8]], crop: NDArray[np.float64], corner: NDArray[np.int_], size: int
) -> NDArray[np.uint8]:
    """The unit square that `crop` (2, 3) places in the frame, of which `levels` begin at `corner`.

    Beyond the region the picture goes on as at its edge.
    """
    step = float(np.hypot(crop[0, 0], crop[1, 0])) / size
    level = min(len(levels) - 1, max(0, int(np.log2(max(step, 1.0)) + 0.1)))
    shrunk = 2.0**level
    to_level = crop / shrunk
    to_level[:, 2] -= corner / shrunk
    # cv2 samples at pixel centres, the unit square spans pixel edges: as in `align.cut`.
    to_level[:, 2] += to_level[:, :2] @ [0.5 / size, 0.5 / size] - 0.5
    to_level[:, :2] /= size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    sampled = cv2.warpAffine(levels[level], to_level, (size, size), flags=flags, borderMode=border)
    return np.asarray(sampled, np.uint8)
