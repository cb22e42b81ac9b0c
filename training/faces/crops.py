"""Training samples for the landmark network: crops as a door would cut them, and worse ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find import align
from oneglance.training.faces.door_look import CROP_LOOKS, looked
from oneglance.training.faces.face_table import FaceTable
from oneglance.training.faces.landmark_teacher import jitter

PATCH_SIZE = 160
# Side of the patch in sides of the upright crop: leaves room for turned and shifted crops.
_PATCH_IN_CROP = 2.2


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Grey patches around faces, uint8 (n, 160, 160), and where the face lies in each.

    `points` float32 (n, 5, 2) and `boxes` float32 (n, k, 3) (centre, side; NaN where a cascade
    missed) are in unit coordinates of the patch.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float32]
    boxes: NDArray[np.float32]


def cut_patches(image_of: Callable[[int], NDArray[np.uint8]], table: FaceTable) -> Patches:
    """The patch of every face in the table; `image_of(i)` is the BGR picture of row i."""
    count = len(table.row)
    pixels = np.empty((count, PATCH_SIZE, PATCH_SIZE), np.uint8)
    points = np.empty((count, 5, 2), np.float32)
    boxes = np.array(table.boxes)
    for index in range(count):
        image = image_of(index)
        face = align.fit_similarity(align.MEAN_POINTS, table.points[index])
        side = float(np.hypot(face[0, 0], face[1, 0])) * _PATCH_IN_CROP
        corner = align.apply(face, np.array([0.5, 0.5])) - side / 2
        matrix = np.array([[side, 0.0, corner[0]], [0.0, side, corner[1]]])
        pixels[index] = cv2.cvtColor(align.cut(image, matrix, PATCH_SIZE), cv2.COLOR_BGR2GRAY)
        points[index] = (table.points[index] - corner) / side
        boxes[index, :, :2] = (table.boxes[index, :, :2] - corner) / side
        boxes[index, :, 2] = table.boxes[index, :, 2] / side
    return Patches(pixels, points, boxes)


def sample(
    patches: Patches, index: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One crop uint8 (64, 64, 1) and its points float32 (5, 2) in unit crop coordinates.

    Most crops start from a box that a cascade really gave, some from the upright crop that a second
    pass sees, and some from one turned by up to 40 degrees, as for a tilted head.
    """
    points = patches.points[index].astype(np.float64)
    upright = align.fit_similarity(align.MEAN_POINTS, points)
    kind = generator.random()
    if kind < 0.25:
        matrix = jitter(upright, generator, turn_deg=4.0, size=0.04, shift=0.02)
    elif kind < 0.55:
        turned = _turned(upright, np.deg2rad(generator.uniform(-40, 40)))
        matrix = jitter(turned, generator, turn_deg=0.0, size=0.12, shift=0.06)
    else:
        boxes = patches.boxes[index]
        x, y, side = boxes[generator.choice(np.flatnonzero(~np.isnan(boxes[:, 2])))]
        side *= align.CROP_SCALE
        box = np.array([[side, 0, x - side / 2], [0, side, y - side / 2]], np.float64)
        matrix = jitter(box, generator, turn_deg=8.0, size=0.07, shift=0.035)
    crop = align.cut(patches.pixels[index], matrix * PATCH_SIZE, align.CROP_SIZE)
    linear = np.linalg.inv(matrix[:, :2])
    found = (points - matrix[:, 2]) @ linear.T
    if generator.random() < 0.5:
        crop = np.asarray(cv2.flip(crop, 1), np.uint8)
        found = align.mirror_points(found)
    return looked(crop, generator, CROP_LOOKS)[:, :, None], found.astype(np.float32)


def _turned(matrix: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = matrix[:, :2] @ turn
    centre = align.apply(matrix, np.array([0.5, 0.5]))
    return np.column_stack([linear, centre - linear @ [0.5, 0.5]])
