"""Read the faces of many pictures for an evaluation, and what may have made them hard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError
from oneglance.faces.evaluation.figures import Comparisons
from oneglance.faces.evaluation.slices import FACE_TRAITS, pair_slices, picture_slices
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import (
    FaceSample,
    load_image,
    read_central_face,
    read_central_face_once,
)

_SHARPNESS_PX = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of pictures, by name: `pictures` and, where a face was found, the others.

    `templates` are float32 (d,); `pictures` and `faces` hold the values of `PICTURE_TRAITS` and
    `FACE_TRAITS` by their names.
    """

    pictures: dict[str, dict[str, float]] = field(default_factory=dict)
    faces: dict[str, dict[str, float]] = field(default_factory=dict)
    templates: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """The pictures without a face."""
        return sorted(self.pictures.keys() - self.templates.keys())


def read_pictures(
    names: Sequence[str],
    pictures: Pictures,
    detector: FaceDetector,
    model: FaceModel,
    advance: Callable[[], None],
    *,
    one_search: bool = False,
) -> Reading:
    """Read the central face of each picture; `advance` is called after each.

    They are searched as stills, ever harder; with `one_search` once, as one frame of a video.

    Raises ImageError, with its name, for a picture that cannot be read.
    """
    read_face = read_central_face_once if one_search else read_central_face
    reading = Reading()
    for name in names:
        data = pictures.read(name)
        try:
            image = load_image(data)
        except ImageError as error:
            raise ImageError(error.what, where=f"{pictures.source}:{name}", fix=error.fix) from None
        reading.pictures[name] = picture_traits(image)
        sample = read_face(image, detector, model)
        if sample is not None:
            reading.templates[name] = sample.template
            reading.faces[name] = face_traits(sample)
        advance()
    return reading


def read_templates(
    names: Sequence[str],
    pictures: Pictures,
    detector: FaceDetector,
    model: FaceModel,
    advance: Callable[[], None],
) -> dict[str, NDArray[np.float32]]:
    """The template of the central face of each picture; pictures without a face are left out."""
    return read_pictures(names, pictures, detector, model, advance).templates


def picture_traits(image_bgr: NDArray[np.uint8]) -> dict[str, float]:
    """The values of `PICTURE_TRAITS` of a picture uint8 (H, W, 3)."""
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    shrink = min(1.0, _SHARPNESS_PX / max(grey.shape))
    size = [max(1, round(side * shrink)) for side in reversed(grey.shape)]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return {
        "shorter_side_px": float(min(grey.shape)),
        "brightness": float(grey.mean()),
        "sharpness": float(cv2.Laplacian(small, cv2.CV_32F).var()),
    }


def face_traits(sample: FaceSample) -> dict[str, float]:
    """The values of `FACE_TRAITS` of a face."""
    return {
        "tilt_deg": abs(sample.tilt_deg),
        "eyes_px": sample.eyes_px,
        "brightness": sample.brightness,
        "sharpness": sample.sharpness,
    }


def slices_of(made: Comparisons, reading: Reading, threshold: float | None) -> dict[str, Any]:
    """Error rates by trait, ready for JSON: `pairs` at `threshold`, and `pictures`.

    `pairs` is empty where there is no threshold.
    """
    names = sorted(reading.pictures)
    acquired = np.array([name in reading.templates for name in names])
    pictures = _columns([reading.pictures[name] for name in names])
    by_pair = {}
    if threshold is not None:
        # A picture without a face is in no pair: what stands in its row is never looked at.
        unknown = {trait.name: float("nan") for trait in FACE_TRAITS}
        faces = _columns([reading.faces.get(name, unknown) for name in made.paired.names])
        by_pair = pair_slices(made.genuine, made.impostor, made.paired, faces, threshold)
    return {"pairs": by_pair, "pictures": picture_slices(pictures, acquired)}


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
