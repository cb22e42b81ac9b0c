"""Look once at each picture of a data set, and keep what its check needs to know."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import central, find_faces, load_image
from oneglance.training.data.perceptual import BITS, dct_hash, look

# How many pictures are in flight at once: enough for every core, and little memory.
_AHEAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What one picture is.

    `problem` says why it cannot be read ("" if it can); if it cannot, all else is empty. `sha256`
    is of the file's bytes, `hash` bool (64,) and `look` float32 (256,) are as in `perceptual`.
    `faces` counts the faces found, `face_px` is the width of the central one's box and `template`
    float32 (d,) its template; 0 and None without a face, or when none was looked for.
    """

    name: str
    sha256: str
    problem: str
    width_px: int
    height_px: int
    hash: NDArray[np.bool_]
    look: NDArray[np.float32]
    faces: int
    face_px: float
    template: NDArray[np.float32] | None


def look_at_all(
    pictures: Pictures,
    names: Sequence[str],
    model: FaceModel | None,
    advance: Callable[[], None],
) -> list[Looked]:
    """Look at pictures in order, on all cores; without a model, no face is looked for.

    `advance` is called after each. Raises ModelError if the cascades are missing.
    """
    own = threading.local()

    def work(name: str) -> Looked:
        if model is not None and not hasattr(own, "detector"):
            # One cascade object must not serve two threads.
            own.detector = FaceDetector()
        return look_at(pictures, name, getattr(own, "detector", None), model)

    workers = os.cpu_count() or 1
    found = []
    with ThreadPoolExecutor(workers) as pool:
        for part in _parts(names, _AHEAD * workers):
            for looked in pool.map(work, part):
                found.append(looked)
                advance()
    return found


def look_at(
    pictures: Pictures, name: str, detector: FaceDetector | None, model: FaceModel | None
) -> Looked:
    """Look at one picture; what is wrong with the file is reported in the result, never raised."""
    try:
        data = pictures.read(name)
    except ImageError as error:
        return _unreadable(name, "", error.what)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image = load_image(data)
    except ImageError as error:
        return _unreadable(name, sha256, error.what)
    faces, face_px, template = 0, 0.0, None
    if detector is not None and model is not None:
        boxes = find_faces(image, detector, model)
        box = central(image, boxes)
        faces = len(boxes)
        if box is not None:
            face_px = box.width
            template = model.encode(model.chips(image, [box]))[0]
    height, width = image.shape[:2]
    return Looked(
        *(name, sha256, "", width, height, dct_hash(image), look(image), faces, face_px, template)
    )


def _unreadable(name: str, sha256: str, problem: str) -> Looked:
    none = np.empty(0, np.float32)
    return Looked(name, sha256, problem, 0, 0, np.zeros(BITS, np.bool_), none, 0, 0.0, None)


def _parts(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
