"""Stills: read a picture, find its faces, and turn each into a template."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError
from oneglance.faces.decode import decode, read_file
from oneglance.faces.find.align import CHIP_POINTS, MAX_DOUBT, chip_from_points, fit_similarity
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.side_faces import find_profiles
from oneglance.faces.model.face_model import FaceModel

# Of 2,444 training pictures (LFW folds 1-6) 5 had doubtful boxes only: 0.105 to 0.186 for three
# near the middle, which are read; just over 0.25 for one there, 0.51 far from it
# (docs/benchmarks/accuracy.md).
_MAX_PORTRAIT_DOUBT = 0.25
# What harder searches take for a face in the middle of a portrait counts from this part of the
# size of those found aside before: the smaller it is, the likelier a fold or a tie.
_AS_LARGE = 0.8
# Whoever is at least this part of the only other face's size may be the one that was meant.
_ALSO_SEEN = 0.5


# By how many degrees, clockwise, a picture is turned that shows no face as it is.
_TURNS = {
    180: cv2.ROTATE_180,
    90: cv2.ROTATE_90_CLOCKWISE,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """One face of a picture.

    `box` and `points` (5, 2: eyes, nose, corners of the mouth) in px of the picture, `chip` uint8
    (112, 112, 3) RGB, `template` float32 (d,) of length 1. `sharpness` is the variance of the
    chip's Laplacian (grey levels squared: under 50 is blurred), `brightness` its mean grey level
    0..255.
    """

    box: Box
    points: NDArray[np.float64]
    chip: NDArray[np.uint8]
    template: NDArray[np.float32]
    sharpness: float
    brightness: float

    @property
    def tilt_deg(self) -> float:
        """How far the head is tilted in the picture, clockwise positive, by all five points."""
        upright = fit_similarity(CHIP_POINTS, self.points)
        return math.degrees(math.atan2(upright[1, 0], upright[0, 0]))

    @property
    def eyes_px(self) -> float:
        """Distance between the eyes in px of the picture."""
        return float(np.linalg.norm(self.points[1] - self.points[0]))


def load_image(source: Path | bytes) -> NDArray[np.uint8]:
    """A picture file (or its bytes) as BGR uint8 (H, W, 3), turned upright by its EXIF data.

    Raises ImageError if it cannot be read, is no picture, or is larger than 50 megapixels.
    """
    if isinstance(source, bytes):
        return decode(source, "picture")
    try:
        with source.open("rb") as file:
            data = read_file(file, os.fstat(file.fileno()).st_size, str(source))
    except OSError as error:
        raise ImageError(
            f"the picture cannot be read ({error.strerror})",
            where=str(source),
            fix="check the path",
        ) from error
    return decode(data, str(source))


def sharpness(chip: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of an RGB chip, in grey levels squared; low means blurred."""
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def brightness(chip: NDArray[np.uint8]) -> float:
    """Mean grey level of an RGB chip, 0..255."""
    return float(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).mean())


def find_faces(image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel) -> list[Box]:
    """Every face of a still, largest first: what a cascade finds and the aligner confirms."""
    return detector.find_still(
        image_bgr, faces_among=lambda boxes: model.faces_among(image_bgr, boxes)
    )


def read_faces(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel
) -> list[FaceSample]:
    """Every face of a still, largest first, encoded in one call; an empty list if none."""
    return _samples(image_bgr, find_faces(image_bgr, detector, model), model)


def read_one_face(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel, *, where: str = ""
) -> FaceSample:
    """The only face of a still, whom the picture is about: for enrolment.

    Raises ImageError if there is none, if there are several, or if it lies too far to a side or
    too low to be the one that the picture was taken of. The first search that finds a face is not
    believed to have found all: a tilted head may be beside an upright bystander's. Harder ones,
    and one for faces seen from the side, must find nobody else who is half as large or larger.
    """
    boxes = find_faces(image_bgr, detector, model)
    if not boxes:
        raise _no_face(where)
    return _only_face(image_bgr, boxes, detector, model, where)


def _no_face(where: str) -> ImageError:
    return ImageError(
        "no face was found", where=where, fix="use a sharp, well lit picture from the front"
    )


def _only_face(
    image_bgr: NDArray[np.uint8],
    boxes: list[Box],
    detector: FaceDetector,
    model: FaceModel,
    where: str,
) -> FaceSample:
    if len(boxes) == 1:
        boxes = boxes + _somebody_else(image_bgr, boxes[0], detector, model)
    if len(boxes) > 1:
        raise ImageError(
            f"{len(boxes)} faces were found",
            where=where,
            fix="use a picture that shows this one person alone",
        )
    if not _is_taken_of(image_bgr, boxes[0]):
        raise ImageError(
            "the only face that was found is not in the middle",
            where=where,
            fix="cut the picture to this one person, with the face in the middle",
        )
    return _samples(image_bgr, boxes, model)[0]


def read_one_face_turned(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel, *, where: str = ""
) -> tuple[FaceSample, int]:
    """The only face of a photograph as `read_one_face`, whichever side of it is up.

    Not every camera notes how it was held. One that shows no face as it is, is turned to where its
    face is the least doubtful. Also returns by how many degrees clockwise it was turned: 0, 90,
    180 or 270; the sample's box and points lie in the turned picture.
    """
    boxes = find_faces(image_bgr, detector, model)
    if boxes:
        return _only_face(image_bgr, boxes, detector, model, where), 0
    found = upright(image_bgr, detector, model)
    if found is None:
        raise _no_face(where)
    turned, turn_deg = found
    return read_one_face(turned, detector, model, where=where), turn_deg


def upright(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel
) -> tuple[NDArray[np.uint8], int] | None:
    """A still without an upright face, turned to where its face is the least doubtful.

    Also by how many degrees clockwise: 180, 90 or 270. None if there is no face in any turn.
    """
    found: list[tuple[float, int, NDArray[np.uint8]]] = []
    for turn_deg, turn in _TURNS.items():
        turned = np.asarray(cv2.rotate(image_bgr, turn), np.uint8)
        if boxes := find_faces(turned, detector, model):
            doubt = float(model.locate(turned, boxes[:1]).doubts[0])
            found.append((doubt, turn_deg, turned))
    if not found:
        return None
    _, turn_deg, turned = min(found, key=lambda one: one[0])
    return turned, turn_deg


def _somebody_else(
    image_bgr: NDArray[np.uint8], known: Box, detector: FaceDetector, model: FaceModel
) -> list[Box]:
    """Faces that are not `known` and not much smaller, each once."""
    smallest_px = _ALSO_SEEN * known.width
    found = detector.find_still_all(image_bgr, min_face_px=smallest_px)
    found += find_profiles(image_bgr, min_face_px=smallest_px)
    others = [known]
    for box in model.faces_among(image_bgr, [b for b in found if not _is_one_face(b, known)]):
        if not any(_is_one_face(box, other) for other in others):
            others.append(box)
    return others[1:]


def _is_one_face(a: Box, b: Box) -> bool:
    """Whether the middle of one box lies in the other: two heads are a face's width apart."""
    apart = max(abs(one - other) for one, other in zip(a.centre, b.centre, strict=True))
    return 2 * apart < max(a.width, b.width)


def _is_taken_of(image_bgr: NDArray[np.uint8], box: Box) -> bool:
    """Whether a picture may have been taken of this face: its middle is near, or straight below.

    Whom a camera is aimed at is in the middle, but of who stands or sits the head is above it.
    Near is a box's width, since whose head is beside another is at least so far from it.
    """
    height, width = image_bgr.shape[:2]
    centre_x, centre_y = box.centre
    beside_px, below_px = abs(centre_x - width / 2), centre_y - height / 2
    return bool(max(beside_px, below_px) < box.width)


def central(image_bgr: NDArray[np.uint8], boxes: Sequence[Box]) -> Box | None:
    """The box of a portrait's subject: large and near the middle; None if there is none."""
    return max(boxes, key=lambda box: _prominence(image_bgr, box), default=None)


def _prominence(image_bgr: NDArray[np.uint8], box: Box) -> float:
    """In px: positive where the picture's middle lies within half a box of the box's middle."""
    height, width = image_bgr.shape[:2]
    centre_x, centre_y = box.centre
    return box.width - 2 * math.hypot(centre_x - width / 2, centre_y - height / 2)


def read_central_face(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel
) -> FaceSample | None:
    """The face that a portrait is about, encoded; None if no face was found.

    A search that finds only faces away from the middle is not the last: a tilted head may be
    there, about as large or larger, which harder searches find, or one seen from the side, and
    not the bystander beside it. A portrait is known to show somebody: where no box is beyond
    doubt, the least doubtful one is taken, up to a limit, one in the middle first. For enrolment
    there is `read_one_face`, which takes neither a doubtful face nor one from the side.
    """
    aside: list[Box] = []
    doubtful: list[tuple[float, Box]] = []

    def is_the_subject(box: Box, others: list[Box]) -> bool:
        smallest_px = max((_AS_LARGE * other.width for other in others), default=0.0)
        return _prominence(image_bgr, box) > 0 and box.width >= smallest_px

    def in_the_middle(boxes: list[Box]) -> list[Box]:
        doubts = model.locate(image_bgr, boxes).doubts
        judged = [(float(doubt), box) for doubt, box in zip(doubts, boxes, strict=True)]
        doubtful.extend(judged)
        faces = [box for doubt, box in judged if doubt <= MAX_DOUBT]
        before = list(aside)
        if not aside:
            aside.extend(faces)
        return [box for box in faces if is_the_subject(box, before)]

    found = detector.find_still(image_bgr, faces_among=in_the_middle)
    found = found or in_the_middle(find_profiles(image_bgr))
    likely = [(doubt, box) for doubt, box in doubtful if doubt <= _MAX_PORTRAIT_DOUBT]
    central_ones = [(doubt, box) for doubt, box in likely if is_the_subject(box, aside)]
    if found:
        box = central(image_bgr, found)
    elif central_ones or not aside:
        box = min(central_ones or likely, key=lambda judged: judged[0], default=(0.0, None))[1]
    else:
        box = central(image_bgr, aside)
    return None if box is None else _samples(image_bgr, [box], model)[0]


def read_central_face_once(
    image_bgr: NDArray[np.uint8], detector: FaceDetector, model: FaceModel
) -> FaceSample | None:
    """The same by one search alone, as a frame of a video is searched: there, others follow."""
    boxes = model.faces_among(image_bgr, detector.find(image_bgr))
    box = central(image_bgr, boxes)
    return None if box is None else _samples(image_bgr, [box], model)[0]


def _samples(image_bgr: NDArray[np.uint8], boxes: list[Box], model: FaceModel) -> list[FaceSample]:
    if not boxes:
        return []
    points = model.points(image_bgr, boxes)
    chips = [chip_from_points(image_bgr, face) for face in points]
    templates = model.encode(np.stack(chips))
    return [
        FaceSample(box, face, chip, template, sharpness(chip), brightness(chip))
        for box, face, chip, template in zip(boxes, points, chips, templates, strict=True)
    ]
