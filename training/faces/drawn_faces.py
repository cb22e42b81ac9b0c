"""Drawn faces with known landmarks: they resemble nobody, and are enough to run every step."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find import align
from oneglance.training.faces.landmark_teacher import jitter

FRAME_SIZE = 160


def draw_person(seed: int, person: int) -> dict[str, NDArray[np.float64]]:
    """How one drawn person looks: colours (skin, eyes, mouth, hair) and points of the face."""
    generator = np.random.default_rng([seed, person])
    points = align.MEAN_POINTS + generator.normal(0, 0.012, (5, 2))
    return {"colours": generator.uniform(30, 225, (4, 3)), "points": points}


def draw_face(
    looks: dict[str, NDArray[np.float64]], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """A picture uint8 (160, 160, 3), its five points (5, 2) in px and a detector-like box.

    The box is (centre x, centre y, side) in px, off by about as much as a cascade's.
    """
    side = 90.0
    corner = (FRAME_SIZE - side) / 2
    upright = np.array([[side, 0.0, corner], [0.0, side, corner]])
    matrix = jitter(upright, generator, turn_deg=6.0, size=0.08, shift=0.04)
    points = align.apply(matrix, looks["points"])
    light = generator.uniform(0.8, 1.2)
    skin, eyes, mouth, hair = (tuple(map(float, colour)) for colour in looks["colours"] * light)
    image = np.full((FRAME_SIZE, FRAME_SIZE, 3), generator.uniform(60, 200), np.float64)
    middle = align.apply(matrix, np.array([0.5, 0.5]))
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    _ellipse(image, middle - [0, 0.08 * scale], (0.42 * scale, 0.52 * scale), hair)
    _ellipse(image, middle, (0.36 * scale, 0.46 * scale), skin)
    for point in points[:2]:
        _ellipse(image, point, (0.07 * scale, 0.04 * scale), eyes)
    _ellipse(image, points[2], (0.03 * scale, 0.06 * scale), hair)
    _ellipse(image, points[3:].mean(0), (0.15 * scale, 0.04 * scale), mouth)
    image += generator.normal(0, 4, image.shape)
    box = np.append(
        middle + generator.normal(0, 0.02 * scale, 2),
        scale / align.CROP_SCALE * np.exp(generator.normal(0, 0.05)),
    )
    return np.asarray(np.clip(image, 0, 255), np.uint8), points, box


def draw_people(
    seed: int, people: Sequence[int], pictures: int
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32], NDArray[np.float32], list[str]]:
    """`pictures` of each of `people`: images, points (n, 5, 2), boxes (n, 1, 3), names (n,)."""
    images, points, boxes, names = [], [], [], []
    for person in people:
        looks = draw_person(seed, person)
        generator = np.random.default_rng([seed, person, 1])
        for _ in range(pictures):
            image, face, box = draw_face(looks, generator)
            images.append(image)
            points.append(face)
            boxes.append(box[None])
            names.append(f"drawn/{person}")
    return images, np.array(points, np.float32), np.array(boxes, np.float32), names


def _ellipse(
    image: NDArray[np.float64],
    centre: NDArray[np.float64],
    axes: tuple[float, float],
    colour: tuple[float, ...],
) -> None:
    place = (round(float(centre[0])), round(float(centre[1])))
    size = (max(1, round(axes[0])), max(1, round(axes[1])))
    cv2.ellipse(image, place, size, 0, 0, 360, colour, -1, cv2.LINE_8)
