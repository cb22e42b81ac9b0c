"""Find faces with OpenCV's Haar cascades (Viola and Jones, 2001; Lienhart and Maydt, 2002)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.find.boxes import Box

DEFAULT_CASCADE = "haarcascade_frontalface_alt2.xml"

# Each cascade draws its box differently round the same face. The factor that brings a cascade's
# box to the one geometry that the cut-out expects: medians over 1,496 training faces (LFW folds
# 1-6, boxes against landmarks); no shift of more than 0.4 % of the side was seen.
GEOMETRY = {
    "haarcascade_frontalface_default.xml": 1.015,
    "haarcascade_frontalface_alt.xml": 1.034,
    "haarcascade_frontalface_alt2.xml": 1.037,
}


@dataclass(frozen=True, slots=True)
class _Search:
    """One way to search: a cascade, how finely, how surely, and turned by how much.

    With `keeps_size` the corners that are turned out of the picture are not searched.
    """

    cascade: str
    scale_factor: float
    min_neighbours: int
    turn_deg: float = 0.0
    keeps_size: bool = False


# Ever more lenient; the first that finds a face has the word.
_STILL_SEARCHES = (
    _Search("haarcascade_frontalface_alt2.xml", 1.1, 3),
    _Search("haarcascade_frontalface_default.xml", 1.1, 5),
    _Search("haarcascade_frontalface_alt2.xml", 1.1, 3, 20.0),
    _Search("haarcascade_frontalface_alt2.xml", 1.1, 3, -20.0),
    _Search("haarcascade_frontalface_alt.xml", 1.05, 2),
    _Search("haarcascade_frontalface_alt2.xml", 1.05, 3, 35.0),
    _Search("haarcascade_frontalface_alt2.xml", 1.05, 3, -35.0),
)
_STILL_PX = 1024
_LEAST_STILL_PX = 40

# Mean grey levels: under the first a picture is dark, the second is aimed at.
_DARK = 80.0
_LIT = 115.0
# A stronger lift shows noise more than it shows faces.
_LEAST_GAMMA = 0.3


class FaceDetector:
    """One cascade for video, and the others to fall back on for stills.

    `cascade` is a file name in OpenCV's own data. `scale_factor` (> 1) is the step between
    searched sizes, `min_neighbours` how many overlapping hits make a face. Raises ModelError
    for a cascade that is unknown, missing, empty or unreadable.
    """

    def __init__(
        self,
        cascade: str = DEFAULT_CASCADE,
        *,
        scale_factor: float = 1.2,
        min_neighbours: int = 3,
    ) -> None:
        self.cascade = cascade
        self.scale_factor = scale_factor
        self.min_neighbours = min_neighbours
        self._classifiers = {cascade: _load_cascade(cascade)}

    def find(
        self,
        image_bgr: NDArray[np.uint8],
        *,
        min_face_px: int = 60,
        turn_deg: float = 0.0,
        lift: bool = False,
    ) -> list[Box]:
        """Faces at least `min_face_px` wide in uint8 (H, W, 3) BGR, largest first: one search.

        The picture is searched turned anticlockwise by `turn_deg` about its middle, without what
        that turns out of it; the boxes are upright all the same. With `lift` a dark picture is
        searched brighter, see `lifted`.
        """
        grey = grey_picture(image_bgr)
        if lift:
            grey = lifted(grey)
        how = _Search(
            self.cascade, self.scale_factor, self.min_neighbours, turn_deg, keeps_size=True
        )
        return self._search_turned(grey, 1.0, how, min_face_px)

    def find_still(
        self,
        image_bgr: NDArray[np.uint8],
        *,
        min_face_px: int = _LEAST_STILL_PX,
        faces_among: Callable[[list[Box]], list[Box]] = list,
    ) -> list[Box]:
        """Faces in a still picture, largest first, searched ever harder until one is found.

        `faces_among` says which boxes of a search do hold a face (all, unless given).

        A dark picture is searched `lifted`. Large ones are first searched shrunk to 1024 px; then
        follow other cascades, the picture turned a little to either side, and at last the picture
        at its own size, or blown up where it is small. `min_face_px` is the smallest face in the
        picture searched.
        """
        for search in self._still_searches(image_bgr, lambda _: min_face_px):
            boxes = faces_among(search())
            if boxes:
                return boxes
        return []

    def find_still_all(self, image_bgr: NDArray[np.uint8], *, min_face_px: float) -> list[Box]:
        """What each of the searches of `find_still` finds, the same face many times over.

        Here `min_face_px` is the smallest face in px of `image_bgr` itself.
        """
        searches = self._still_searches(
            image_bgr, lambda scale: max(_LEAST_STILL_PX, math.floor(scale * min_face_px))
        )
        return [box for search in searches for box in search() if box.width >= min_face_px]

    def _still_searches(
        self, image_bgr: NDArray[np.uint8], min_face_px: Callable[[float], int]
    ) -> Iterator[Callable[[], list[Box]]]:
        """The searches, ever more lenient; `min_face_px` is asked by the picture's scale."""
        grey = lifted(grey_picture(image_bgr))
        longer = max(grey.shape)
        shrunk = min(1.0, _STILL_PX / longer)
        for search in _STILL_SEARCHES:
            yield partial(self._search_turned, grey, shrunk, search, min_face_px(shrunk))
        last = 1.0 if longer > _STILL_PX else min(2.0, _STILL_PX / longer)
        yield partial(self._search_turned, grey, last, _STILL_SEARCHES[0], min_face_px(last))

    def _search_turned(
        self, grey: NDArray[np.uint8], scale: float, search: _Search, min_face_px: int
    ) -> list[Box]:
        """Search the picture scaled and turned; boxes are upright, in px of `grey`."""
        height, width = grey.shape
        angle = np.deg2rad(search.turn_deg)
        room = np.array([width, height], np.float64)
        if not search.keeps_size:
            reach = np.abs([[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            room = np.ceil(scale * reach @ room)
        middle = (width / 2, height / 2)
        there = np.asarray(cv2.getRotationMatrix2D(middle, search.turn_deg, scale), np.float64)
        there[:, 2] += room / 2 - middle
        if search.turn_deg or scale != 1.0:
            size = (int(room[0]), int(room[1]))
            if search.turn_deg:
                grey = np.asarray(cv2.warpAffine(grey, there, size), np.uint8)
            else:
                grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        found = self._search(
            grey, search.cascade, search.scale_factor, search.min_neighbours, min_face_px
        )
        back = np.asarray(cv2.invertAffineTransform(there), np.float64)
        boxes = []
        for box in found:
            x, y = back[:, :2] @ box.centre + back[:, 2]
            side = box.width / scale
            boxes.append(Box(float(x - side / 2), float(y - side / 2), side, side))
        return boxes

    def _search(
        self,
        grey: NDArray[np.uint8],
        cascade: str,
        scale_factor: float,
        min_neighbours: int,
        min_face_px: int,
    ) -> list[Box]:
        if cascade not in self._classifiers:
            self._classifiers[cascade] = _load_cascade(cascade)
        if min(grey.shape[:2]) < 24:
            return []
        found = self._classifiers[cascade].detectMultiScale(
            grey,
            scaleFactor=scale_factor,
            minNeighbors=min_neighbours,
            minSize=(min_face_px, min_face_px),
        )
        factor = GEOMETRY[cascade]
        boxes = [Box(float(x), float(y), float(w), float(h)).scaled(factor) for x, y, w, h in found]
        return sorted(boxes, key=lambda box: box.area, reverse=True)


def lifted(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A dark grey picture (H, W) with its middle tones raised; one that is not dark as it is.

    Grey levels become 255 * (level / 255) ** gamma, with the gamma that brings the mean level to
    that of a well lit picture: the inverse of what darkened it, as far as one number can tell.
    """
    mean = float(grey.mean())
    if not 0 < mean < _DARK:
        return grey
    gamma = max(_LEAST_GAMMA, np.log(_LIT / 255) / np.log(mean / 255))
    levels = 255 * (np.arange(256) / 255) ** gamma
    return np.asarray(cv2.LUT(grey, np.round(levels).astype(np.uint8)), np.uint8)


def grey_picture(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A BGR picture uint8 (H, W, 3) in grey (H, W); ValueError for anything else."""
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), got {image_bgr.dtype} {image_bgr.shape}")
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def cascade_folder() -> Path:
    """Where OpenCV keeps its cascade files."""
    return Path(cv2.__file__).parent / "data"


def _load_cascade(name: str) -> cv2.CascadeClassifier:
    if name not in GEOMETRY:
        known = ", ".join(sorted(GEOMETRY))
        raise ModelError(f"unknown face cascade {name!r}", fix=f"choose one of {known}")
    return read_cascade(name)


def read_cascade(name: str) -> cv2.CascadeClassifier:
    """A cascade of OpenCV's own data; ModelError if it is missing, empty or unreadable."""
    fix = "reinstall opencv-python-headless (>=4.10,<5), which carries the cascades"
    path = cascade_folder() / name
    if not path.is_file() or path.stat().st_size == 0:
        raise ModelError("the face cascade is missing or empty", where=str(path), fix=fix)
    try:
        classifier = cv2.CascadeClassifier(str(path))
    except (cv2.error, SystemError) as error:
        raise ModelError("the face cascade is unreadable", where=str(path), fix=fix) from error
    if classifier.empty():
        raise ModelError("the face cascade is unreadable", where=str(path), fix=fix)
    return classifier
