"""A photograph of a person, prepared to be shown at a door or printed on paper."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import CHIP_POINTS, fit_similarity
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import read_central_face
from oneglance.training.liveness.film import Image, Points
from oneglance.training.liveness.warp import Texture

# Px between the eyes in a portrait's own picture; the largest face shown has 77.
UNIT_PX = 80.0
# The side of a face's box (see align.box_around), in distances between the eyes.
BOX_UNITS = 112 / 1.106 / float(np.linalg.norm(CHIP_POINTS[1] - CHIP_POINTS[0]))
# How much of a photograph is kept around the face, in units: to each side, up and down.
_ASIDE, _UP, _DOWN = 3.4, 3.2, 3.4
# How much body is made up below a photograph's edge, and how wide shoulders are.
_BODY, _SHOULDERS = 12.0, 3.3
_CUT_PX = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One photograph of one face.

    `picture` uint8 (H, W, 3) BGR shows it as it was taken, scaled so that a face looking straight
    ahead has UNIT_PX between the eyes; `origin` is the middle of the face in px, and `points`
    float64 (5, 2) are its five points in units from there. `person_only` is the person, cut out
    with a soft edge, with a body made up where the photograph ends.
    """

    person: str
    picture: Image
    origin: tuple[float, float]
    points: Points
    person_only: Texture

    @property
    def colour(self) -> NDArray[np.float64]:
        """The mean colour of the face: BGR (3,) in grey levels."""
        x, y = (round(v) for v in self.origin)
        half = round(0.8 * UNIT_PX)
        face = self.picture[max(0, y - half) : y + half, max(0, x - half) : x + half]
        return np.asarray(face.mean((0, 1)))

    @property
    def brightness(self) -> float:
        """Mean grey level of the face."""
        return float(self.colour.mean())


def portrait_of(image_bgr: Image, points: Points, *, person: str) -> Portrait:
    """A portrait from a picture (H, W, 3) and the five points (5, 2) of the face in px of it.

    Takes about 0.2 s, mostly for telling the person from the background (GrabCut: Rother,
    Kolmogorov and Blake, SIGGRAPH 2004).
    """
    chip = fit_similarity(CHIP_POINTS, points)
    unit = float(np.hypot(chip[0, 0], chip[1, 0])) * float(
        np.linalg.norm(CHIP_POINTS[1] - CHIP_POINTS[0])
    )
    middle = chip[:, :2] @ np.array([56.0, 66.0]) + chip[:, 2]
    picture, origin = _scaled(image_bgr, middle, UNIT_PX / unit)
    known = np.asarray((points - middle) / unit, np.float64)
    cover = _cover(picture, origin, known)
    return Portrait(person, picture, origin, known, _with_body(picture, cover, origin))


def read_portrait(
    image_bgr: Image, *, person: str, detector: FaceDetector, model: FaceModel
) -> Portrait | None:
    """The portrait of a picture's main face; None if no face was found."""
    sample = read_central_face(image_bgr, detector, model)
    return None if sample is None else portrait_of(image_bgr, sample.points, person=person)


def _scaled(
    image: Image, middle: NDArray[np.float64], scale: float
) -> tuple[Image, tuple[float, float]]:
    height, width = image.shape[:2]
    reach = UNIT_PX / scale
    left, top = max(0, int(middle[0] - _ASIDE * reach)), max(0, int(middle[1] - _UP * reach))
    right = min(width, int(middle[0] + _ASIDE * reach) + 1)
    bottom = min(height, int(middle[1] + _DOWN * reach) + 1)
    part = image[top:bottom, left:right]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    size = (round((right - left) * scale), round((bottom - top) * scale))
    picture = np.asarray(cv2.resize(part, size, interpolation=way), np.uint8)
    origin = (float(middle[0] - left) * scale, float(middle[1] - top) * scale)
    return picture, origin


def _cover(picture: Image, origin: tuple[float, float], points: Points) -> NDArray[np.float32]:
    """How much of each pixel is the person, float32 (H, W) 0..1."""
    shrink = _CUT_PX / UNIT_PX
    small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    x, y = origin[0] * shrink, origin[1] * shrink
    unit = _CUT_PX

    def ellipse(centre: tuple[float, float], half: tuple[float, float], value: int) -> None:
        at = (round(x + centre[0] * unit), round(y + centre[1] * unit))
        size = (round(half[0] * unit), round(half[1] * unit))
        cv2.ellipse(mask, at, size, 0, 0, 360, value, -1)

    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    # There may be hair, there probably are shoulders and a head, and there is a face, neck and
    # chest. If the face is turned, the rest of the head is on the side away from which it turned.
    back = -float(points[2, 0] - points[:2, 0].mean())
    ellipse((back, -0.45), (2.1, 2.55), cv2.GC_PR_BGD)
    ellipse((0, 3.6), (_SHOULDERS + 0.3, 2.1), cv2.GC_PR_FGD)
    ellipse((back, -0.45), (1.75, 2.25), cv2.GC_PR_FGD)
    # Including hair, which would otherwise be cut off: its colours are nowhere else on a person.
    ellipse((0.7 * back, -0.45), (1.3, 1.85), cv2.GC_FGD)
    ellipse((0, 1.5), (0.6, 0.8), cv2.GC_FGD)
    ellipse((0, 3.8), (1.6, 1.7), cv2.GC_FGD)
    near, far = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(small, mask, [0, 0, width, height], near, far, 3, cv2.GC_INIT_WITH_MASK)
    person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    person = np.asarray(cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((3, 3))), np.uint8)
    _, parts = cv2.connectedComponents(person)
    at_y, at_x = min(height - 1, max(0, round(y))), min(width - 1, max(0, round(x)))
    person = np.asarray((parts == parts[at_y, at_x]) & (person > 0), np.uint8)
    soft = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 0.05 * unit)
    full = cv2.resize(soft, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_CUBIC)
    # Steeper than the blur left it, and a little further in, to bring along less of the background.
    return np.asarray(np.clip((full - 0.55) / 0.35, 0, 1), np.float32)


def _with_body(picture: Image, cover: NDArray[np.float32], origin: tuple[float, float]) -> Texture:
    """The person, with a body of plain cloth that continues below and beside the photograph."""
    height, width = cover.shape
    below = round(_BODY * UNIT_PX)
    beside = max(0, round((_SHOULDERS + 0.8) * UNIT_PX - width / 2))
    whole = cv2.copyMakeBorder(picture, 0, below, beside, beside, cv2.BORDER_REPLICATE)
    whole = np.asarray(whole, np.uint8)
    own = np.pad(cover, ((0, below), (beside, beside)))
    middle_x, middle_y = origin[0] + beside, origin[1]
    y = (np.arange(whole.shape[0], dtype=np.float32)[:, None] - middle_y) / UNIT_PX
    x = (np.arange(whole.shape[1], dtype=np.float32)[None] - middle_x) / UNIT_PX
    # Shoulders slope to the sides, and arms hang nearly straight.
    top = 1.65 + 0.55 * (np.abs(x) / _SHOULDERS) ** 3
    outline = np.clip((y - top) / 0.15, 0, 1) * np.clip((_arms(y) - np.abs(x)) / 0.12, 0, 1)
    cloth = _cloth(picture, cover, origin, whole.shape[:2])
    # The photograph fades into the made-up part before its edge.
    edge_y = np.clip((height - 1 - (y * UNIT_PX + middle_y)) / (0.5 * UNIT_PX), 0, 1)
    edge_x = np.clip((width / 2 - np.abs(x * UNIT_PX + middle_x - beside - width / 2)) / 20, 0, 1)
    photo = own * edge_y * np.where(y > 1.3, edge_x, 1.0)
    colours = cloth + (whole - cloth) * photo[..., None]
    alpha = np.maximum(photo, outline)
    layers = np.dstack([colours, 255 * alpha])
    return Texture(
        np.clip(np.round(layers), 0, 255).astype(np.uint8), (middle_x, middle_y), UNIT_PX
    )


def _arms(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far a body reaches to the side, in units, at each height below the middle of the face."""
    return np.asarray(_SHOULDERS + 0.35 * np.clip((y - 2) / 3, 0, 1), np.float32)


def _cloth(
    picture: Image,
    cover: NDArray[np.float32],
    origin: tuple[float, float],
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Cloth in the colour of the person's clothes, with soft folds and a weave."""
    low = min(picture.shape[0] - 8, round(origin[1] + 2.2 * UNIT_PX))
    worn, weight = picture[low:].reshape(-1, 3), cover[low:].reshape(-1)
    colour = (worn * weight[:, None]).sum(0) / max(float(weight.sum()), 1e-6)
    if weight.sum() < 0.1 * len(weight):
        colour = np.array([70.0, 60.0, 55.0])
    # Seeded by the picture alone, so that a portrait is always the same.
    rng = np.random.default_rng(int(picture[::16, ::16].sum()))
    folds = np.zeros(shape, np.float32)
    for cells in (5, 12, 26):
        small = rng.uniform(-1, 1, (cells, max(3, cells // 2))).astype(np.float32)
        folds += cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC) * 6 / cells
    weave = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 1.5)
    light = 1 + 0.12 * folds + 0.12 * weave
    return np.asarray(np.clip(np.clip(colour, 18, 235) * light[..., None], 0, 255), np.float32)
