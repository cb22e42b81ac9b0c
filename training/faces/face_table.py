"""Where the faces in the training pictures are: found once, labelled by a teacher, kept on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.reader import central, load_image
from oneglance.training.data.datasets import LabelledPicture
from oneglance.training.engine.progress import Advance
from oneglance.training.faces.landmark_teacher import LandmarkTeacher

_CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
# How good a label must be: probability of a face, spread over views, and how well the box fits.
_MIN_PROBABILITY = 0.95
_MAX_SPREAD = 0.06
_MAX_OFF_CENTRE = 0.2
_SIDE_RANGE = (0.7, 1.4)


@dataclass(frozen=True, slots=True, eq=False)
class FaceTable:
    """One row per face, the central one of its picture.

    `row` int32 (n,) is the picture's index in the list it came from; `boxes` float32 (n, k, 3) are
    the centre and side in px that each of k cascades gave (NaN: missed); `points` float32 (n, 5, 2)
    in px. `unreadable` int32 are the indices of files that are not pictures.
    """

    row: NDArray[np.int32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    unreadable: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    def box(self, index: int) -> Box:
        """The box of the first cascade that found face `index`."""
        x, y, side = next(row for row in self.boxes[index] if not np.isnan(row[2]))
        return Box(float(x - side / 2), float(y - side / 2), float(side), float(side))

    def packed(self) -> bytes:
        """The table as the content of a .npz file, for `load`."""
        arrays = {name: getattr(self, name) for name in ("row", "boxes", "points", "unreadable")}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: Path) -> FaceTable:
        """Read a table back; ConfigError if the file is damaged."""
        try:
            with np.load(path, allow_pickle=False) as data:
                # Tables from before unreadable pictures were counted lack this entry.
                unreadable = data["unreadable"] if "unreadable" in data else np.empty(0, np.int32)
                return cls(data["row"], data["boxes"], data["points"], unreadable)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError("the face table is damaged", where=str(path), fix="delete it") from (
                error
            )


def build_face_table(
    pictures: Sequence[LabelledPicture],
    teacher: LandmarkTeacher,
    seed: int,
    advance: Advance,
) -> FaceTable:
    """Find and label the central face of each picture; `advance` is called after each.

    Pictures without a face, faces whose box or label cannot be trusted, and files that are not
    pictures are left out. Raises ImageError if nothing is left.
    """
    detectors = [FaceDetector(name, scale_factor=1.1) for name in _CASCADES]
    rows, boxes, labels, unreadable = [], [], [], []
    for index, picture in enumerate(pictures):
        generator = np.random.default_rng([seed, index])
        try:
            image = load_image(picture.pictures.read(picture.name))
        except ImageError:
            unreadable.append(index)
            advance(picture.name)
            continue
        found = _one_face(image, detectors, teacher, generator)
        if found is not None:
            rows.append(index)
            boxes.append(found[0])
            labels.append(found[1])
        advance(picture.name)
    if len(unreadable) == len(pictures):
        raise ImageError("no training picture can be read", fix="use intact JPEG or PNG files")
    if not rows:
        raise ImageError("no face was found in any training picture", fix="check the pictures")
    return FaceTable(
        np.array(rows, np.int32),
        np.array(boxes, np.float32),
        np.array(labels, np.float32),
        np.array(unreadable, np.int32),
    )


def _one_face(
    image: NDArray[np.uint8],
    detectors: Sequence[FaceDetector],
    teacher: LandmarkTeacher,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    found = [central(image, detector.find(image, min_face_px=32)) for detector in detectors]
    first = next((box for box in found if box is not None), None)
    if first is None:
        return None
    points, probability, spread = teacher.label(image, first, generator)
    if probability < _MIN_PROBABILITY or spread > _MAX_SPREAD:
        return None
    face = align.fit_similarity(align.MEAN_POINTS, points)
    side = float(np.hypot(face[0, 0], face[1, 0]))
    centre = align.apply(face, np.array([0.5, 0.5]))
    boxes = np.full((len(detectors), 3), np.nan)
    for index, box in enumerate(found):
        if box is None:
            continue
        off = float(np.hypot(*(centre - box.centre))) / box.width
        size = side / align.CROP_SCALE / box.width
        if off < _MAX_OFF_CENTRE and _SIDE_RANGE[0] < size < _SIDE_RANGE[1]:
            boxes[index] = (*box.centre, box.width)
    return None if np.isnan(boxes[:, 2]).all() else (boxes, points)
