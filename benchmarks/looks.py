"""Made-up everyday looks: what people wear, and what light and cameras do, drawn on a photograph.

Each takes a picture BGR uint8 (H, W, 3), the five points (5, 2) in px of the face in it, and a
random generator, and returns the changed picture. What is worn is drawn in the frame of the chip
(faces/find/align.py: 112 wide, eyes near y = 52, nose 72, mouth 92) and laid over the face; it
takes on the light of what it covers. It is a drawing, not a mask: real ones have folds and straps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import CHIP_POINTS, apply, fit_similarity

Image = NDArray[np.uint8]
Points = NDArray[np.floating]
Change = Callable[[Image, Points, np.random.Generator], Image]
Outline = Sequence[tuple[float, float]]

_FINER = 16  # cv2 draws on a grid this much finer than pixels
_MASK_COLOURS = ((214, 196, 158), (235, 235, 235), (40, 38, 36), (180, 205, 170), (150, 130, 200))
_CLOTH_COLOURS = ((60, 50, 45), (40, 40, 120), (120, 70, 40), (90, 110, 120), (60, 90, 60))
_WHOLE_MASK: Outline = (
    (12, 66), (34, 62), (56, 58), (78, 62), (100, 66), (95, 98), (78, 119), (56, 125), (34, 119),
    (17, 98),
)  # fmt: skip
_LOW_MASK: Outline = (
    (15, 84), (36, 81), (56, 80), (76, 81), (97, 84), (94, 102), (78, 120), (56, 126), (34, 120),
    (18, 102),
)  # fmt: skip
_HAT: Outline = (
    (-6, 34), (20, 27), (56, 24), (92, 27), (118, 34), (112, -10), (90, -42), (56, -50), (22, -42),
    (0, -10),
)  # fmt: skip
_SCARF: Outline = (
    (2, 96), (30, 99), (56, 100), (82, 99), (110, 96), (135, 130), (140, 190), (-28, 190),
    (-23, 130),
)  # fmt: skip
_BEARD: Outline = (
    (16, 72), (24, 78), (36, 84), (48, 82), (56, 80), (64, 82), (76, 84), (88, 78), (96, 72),
    (92, 102), (76, 122), (56, 127), (36, 122), (20, 102),
)  # fmt: skip


def _area(image: Image, points: Points, outline: Outline, soft_px: float) -> NDArray[np.float32]:
    """1 inside an outline of chip coordinates, 0 outside, soft at the edge: (H, W, 1)."""
    placed = apply(fit_similarity(CHIP_POINTS, points), np.array(outline, np.float64))
    area = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(area, [np.round(placed * _FINER).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(area, (0, 0), soft_px), np.float32)[..., None] / 255


def _laid_over(
    image: Image, area: NDArray[np.float32], colour: Sequence[float], shade: float
) -> Image:
    """Cloth of a colour where `area` is, in the light of what it covers as far as `shade` says."""
    light = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 9)
    inside = float((light * area[..., 0]).sum() / max(1.0, float(area.sum())))
    relative = np.clip(light.astype(np.float32) / max(inside, 1.0), 0.3, 1.8)[..., None]
    level = np.clip(inside / 140, 0.25, 1.3)
    cloth = np.array(colour, np.float32) * level * (1 - shade + shade * relative)
    mixed = image * (1 - area) + np.clip(cloth, 0, 255) * area
    return np.asarray(np.round(mixed), np.uint8)


def _worn(
    image: Image,
    points: Points,
    rng: np.random.Generator,
    *,
    outline: Outline,
    colours: Sequence[Sequence[float]],
) -> Image:
    colour = colours[int(rng.integers(len(colours)))]
    return _laid_over(image, _area(image, points, outline, 0.8), colour, 0.7)


def hat(image: Image, points: Points, rng: np.random.Generator) -> Image:
    """A hat over forehead and hair, whose brim shades the eyes."""
    shadow = _area(image, points, ((-10, 20), (122, 20), (112, 62), (0, 62)), 5)
    shaded = np.asarray(np.round(image * (1 - 0.4 * shadow)), np.uint8)
    return _worn(shaded, points, rng, outline=_HAT, colours=_CLOTH_COLOURS)


def _glass(image: Image, points: Points, radius: tuple[float, float]) -> NDArray[np.float32]:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    areas = []
    for x, y in CHIP_POINTS[:2]:
        ring = np.column_stack([x + radius[0] * np.cos(turns), y + 2 + radius[1] * np.sin(turns)])
        areas.append(_area(image, points, [tuple(corner) for corner in ring], 0.6))
    return np.maximum(*areas)


def _bars(image: Image, points: Points, thick: float) -> NDArray[np.float32]:
    bars = ((50, 62), (-2, 22), (90, 114))
    drawn = [
        _area(image, points, ((a, 50), (b, 50), (b, 50 + thick), (a, 50 + thick)), 0.6)
        for a, b in bars
    ]
    return np.asarray(np.maximum.reduce(drawn), np.float32)


def sunglasses(image: Image, points: Points, rng: np.random.Generator) -> Image:
    """Dark glasses that let almost nothing through."""
    area = np.maximum(_glass(image, points, (16, 12.5)), _bars(image, points, 3))
    colour = rng.uniform(12, 45, 3)
    return _laid_over(image, 0.95 * area, colour, 0.2)


def thick_glasses(image: Image, points: Points, rng: np.random.Generator) -> Image:
    """Clear glasses in a thick dark frame, with a faint reflection."""
    inside = _glass(image, points, (13, 10.5))
    frame = np.clip(_glass(image, points, (16.5, 13.5)) - inside, 0, 1)
    frame = np.maximum(frame, _bars(image, points, 3))
    seen = image * (1 - 0.15 * inside) + 230 * 0.15 * inside
    return _laid_over(np.asarray(seen, np.uint8), frame, rng.uniform(15, 60, 3), 0.3)


def beard(image: Image, points: Points, rng: np.random.Generator) -> Image:
    """The lower face darkened as by dense short hair, the lips left out."""
    lips = _area(image, points, ((40, 92), (48, 87), (64, 87), (72, 92), (64, 98), (48, 98)), 1.2)
    area = np.clip(_area(image, points, _BEARD, 2.0) - lips, 0, 1)
    grain = cv2.GaussianBlur(rng.standard_normal(image.shape[:2]).astype(np.float32), (0, 0), 0.7)
    dark = np.clip(0.33 + 0.25 * grain, 0.1, 0.8)[..., None]
    return np.asarray(np.round(image * (1 - area * (1 - dark))), np.uint8)


def grey(image: Image, _: Points, __: np.random.Generator) -> Image:
    """Without colour, as many door cameras see at night."""
    return np.asarray(cv2.merge([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)] * 3), np.uint8)


def like_near_infrared(image: Image, points: Points, rng: np.random.Generator) -> Image:
    """Grey from the red, skin brighter and flatter, lit from the camera, with a little noise.

    Like, not is: how skin and eyes reflect 850 nm is in no photograph.
    """
    red = image[..., 2].astype(np.float32) * 0.9 + image[..., 1].astype(np.float32) * 0.1
    flat = 255 * (red / 255) ** 0.7
    height, width = flat.shape
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - points[2, 0], y - points[2, 1]) / np.hypot(height, width)
    lit = flat * np.clip(1.1 - 0.9 * away, 0.2, 1.1) + rng.normal(0, 4, flat.shape)
    return np.asarray(cv2.merge([np.clip(lit, 0, 255).astype(np.uint8)] * 3), np.uint8)


def low_light(image: Image, _: Points, rng: np.random.Generator, *, electrons: float) -> Image:
    """Few electrons in a white pixel, 2 of read noise, then gain: dark, and full of noise."""
    linear = (image.astype(np.float64) / 255) ** 2.2
    counted = rng.poisson(linear * electrons) + rng.normal(0, 2, image.shape)
    seen = 0.35 * np.clip(counted / electrons, 0, 1)
    return np.asarray(np.round(255 * seen ** (1 / 2.2)), np.uint8)


def moved(image: Image, _: Points, rng: np.random.Generator, *, length_px: int) -> Image:
    """Blurred along a straight line of `length_px` (odd) in a random direction."""
    line = np.zeros((length_px, length_px), np.float32)
    line[length_px // 2] = 1
    middle = (length_px // 2, length_px // 2)
    turn = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(line, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def fish_eye(image: Image, points: Points, rng: np.random.Generator, *, off_deg: float) -> Image:
    """As a door's fish-eye (equidistant) sees a face `off_deg` off its axis, in any direction.

    The face keeps about its size across the radius, and is squeezed along it.
    """
    face = np.linalg.norm(points[1] - points[0])
    # At the distance from which 112 / 35 eye distances span 15 degrees.
    focal = face * (112 / 35) / np.tan(np.radians(15.0))
    way = rng.uniform(0, 2 * np.pi)
    toward = np.array([np.cos(way), np.sin(way)])
    axis = points[2] - focal * np.tan(np.radians(off_deg)) * toward
    lies = axis + focal * np.radians(off_deg) * toward
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    # The changed picture shows the face where it was.
    x, y = x - points[2, 0] + lies[0] - axis[0], y - points[2, 1] + lies[1] - axis[1]
    radius = np.hypot(x, y)
    angle = np.clip(radius / focal, 0, np.radians(80))
    stretch = focal * np.tan(angle) / np.maximum(radius, 1e-9)
    at = (x * stretch + axis[0]).astype(np.float32), (y * stretch + axis[1]).astype(np.float32)
    return np.asarray(
        cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def unchanged(image: Image, _: Points, __: np.random.Generator) -> Image:
    """The picture as it is."""
    return image


LOOKS: dict[str, Change] = {
    "unchanged": unchanged,
    "mask": partial(_worn, outline=_WHOLE_MASK, colours=_MASK_COLOURS),
    "mask below the nose": partial(_worn, outline=_LOW_MASK, colours=_MASK_COLOURS),
    "sunglasses": sunglasses,
    "thick glasses": thick_glasses,
    "hat": hat,
    "scarf up to the lips": partial(_worn, outline=_SCARF, colours=_CLOTH_COLOURS),
    "beard": beard,
    "grey": grey,
    "like near infra-red": like_near_infrared,
    "low light, 200 electrons": partial(low_light, electrons=200),
    "low light, 50 electrons": partial(low_light, electrons=50),
    "motion blur 9 px": partial(moved, length_px=9),
    "fish-eye, 40 degrees off": partial(fish_eye, off_deg=40),
}
