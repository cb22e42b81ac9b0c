"""The background: drawn, static rooms, uint8 (H, W, 3) BGR."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.film import Image
from oneglance.training.liveness.portrait import Portrait

Colour = tuple[float, float, float]


def room(
    form: str, size: tuple[int, int], others: list[Portrait], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A room of one of these forms, float32 (H, W, 3): "hall", "office", "brick" or "window".

    Half of them have part of a photograph's background as a picture on the wall, so that not
    everything in the background is drawn.
    """
    width, height = size
    image = _FORMS[form](width, height, rng)
    if others and rng.random() < 0.5:
        _hang_picture(image, others[int(rng.integers(len(others)))].picture, rng)
    image = image + 6 * _cloud((height, width), 4, rng)[..., None]
    image = image + rng.normal(0, 2.5, (height, width, 1)).astype(np.float32)
    blur = float(rng.uniform(0.6, 2.2))
    return np.asarray(np.clip(cv2.GaussianBlur(image, (0, 0), blur), 4, 250), np.float32)


def _cloud(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Soft patches of several sizes, about -1..1."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(4):
        count = cells * 2**octave
        small = rng.uniform(-1, 1, (count, round(count * width / height))).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / 1.6


def _grey(low: float, high: float, rng: np.random.Generator) -> Colour:
    level = float(rng.uniform(low, high))
    b, g, r = level + rng.normal(0, 8, 3)
    return (float(b), float(g), float(r))


def _wall(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    light = 1 - float(rng.uniform(0, 0.4)) * down + float(rng.uniform(-0.25, 0.25)) * across
    return np.asarray(np.array(_grey(90, 190, rng), np.float32) * light, np.float32)


def _hall(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    image = _wall(width, height, rng)
    floor = round(float(rng.uniform(0.75, 0.95)) * height)
    cv2.rectangle(image, (0, floor), (width, height), _grey(50, 110, rng), -1)
    for _ in range(int(rng.integers(1, 3))):
        left = int(rng.integers(-80, width - 60))
        right, top = left + int(rng.integers(110, 190)), int(rng.integers(10, 120))
        cv2.rectangle(image, (left, top), (right, floor), _grey(50, 150, rng), -1)
        cv2.rectangle(image, (left, top), (right, floor), _grey(40, 120, rng), 6)
        for panel in (0.1, 0.55):
            low = top + round(panel * (floor - top))
            inner = (left + 22, low), (right - 22, low + round(0.35 * (floor - top)))
            cv2.rectangle(image, *inner, _grey(50, 130, rng), 3)
        cv2.circle(image, (right - 18, (top + floor) // 2), 6, _grey(150, 230, rng), -1)
    glow = np.zeros((height, width), np.float32)
    cv2.circle(glow, (int(rng.integers(0, width)), int(rng.integers(-20, 80))), 60, 1.0, -1)
    return np.asarray(image + 50.0 * cv2.GaussianBlur(glow, (0, 0), 60)[..., None], np.float32)


def _office(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    image = _wall(width, height, rng)
    for _ in range(int(rng.integers(2, 4))):
        left, top = int(rng.integers(-60, width - 40)), int(rng.integers(0, height // 2))
        right, bottom = left + int(rng.integers(140, 280)), top + int(rng.integers(120, 260))
        cv2.rectangle(image, (left, top), (right, bottom), _grey(40, 110, rng), -1)
        shelf = int(rng.integers(45, 70))
        for y in range(top, bottom, shelf):
            x = left + 4
            while x < right - 8:
                thick = int(rng.integers(6, 18))
                tall = int(rng.integers(shelf // 2, shelf - 4))
                spine = _book(rng)
                foot = min(y + shelf - 3, bottom)
                cv2.rectangle(image, (x, foot - tall), (min(x + thick, right - 4), foot), spine, -1)
                x += thick + int(rng.integers(1, 4))
            cv2.line(image, (left, y), (right, y), _grey(80, 160, rng), 3)
    return np.asarray(image, np.float32)


def _book(rng: np.random.Generator) -> Colour:
    colour = rng.uniform(30, 200, 3)
    b, g, r = colour.mean() + 0.5 * (colour - colour.mean())
    return (float(b), float(g), float(r))


def _brick(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    mortar = _grey(120, 190, rng)
    image = np.full((height, width, 3), mortar, np.float32)
    tall, wide = int(rng.integers(16, 34)), int(rng.integers(44, 90))
    base = np.array([rng.uniform(40, 90), rng.uniform(60, 110), rng.uniform(100, 170)])
    for row, y in enumerate(range(-tall, height, tall)):
        for x in range(-wide - (row % 2) * wide // 2, width, wide):
            colour = tuple(float(v) for v in base * rng.uniform(0.75, 1.2))
            cv2.rectangle(image, (x + 2, y + 2), (x + wide - 2, y + tall - 2), colour, -1)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    return np.asarray(image * (1 + float(rng.uniform(-0.3, 0.3)) * across), np.float32)


def _window(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    image = _wall(width, height, rng)
    left, top = int(rng.integers(-40, width // 2)), int(rng.integers(-30, 90))
    right, bottom = left + int(rng.integers(220, 420)), top + int(rng.integers(220, 380))
    view = _cloud((height, width), 6, rng)[..., None] * np.array([25, 45, 30], np.float32)
    view = view + np.array(_grey(120, 200, rng), np.float32)
    inside = np.zeros((height, width, 1), np.float32)
    cv2.rectangle(inside, (left, top), (right, bottom), 1.0, -1)
    image = image + (view - image) * inside
    frame = _grey(150, 230, rng)
    cv2.rectangle(image, (left, top), (right, bottom), frame, 10)
    cv2.line(image, ((left + right) // 2, top), ((left + right) // 2, bottom), frame, 8)
    if rng.random() < 0.6:
        gap = int(rng.integers(10, 22))
        for y in range(top, bottom, gap):
            cv2.line(image, (left, y), (right, y), _grey(150, 220, rng), max(2, gap // 3))
    return np.asarray(image, np.float32)


_FORMS = {"hall": _hall, "office": _office, "brick": _brick, "window": _window}


def _hang_picture(image: NDArray[np.float32], photo: Image, rng: np.random.Generator) -> None:
    """A corner of a photograph, above and beside its face, as a picture in a frame."""
    width = photo.shape[1]
    side = round(0.24 * width)
    corner = photo[:side, :side] if rng.random() < 0.5 else photo[:side, width - side :]
    size = int(rng.integers(70, 150))
    hung = cv2.resize(corner, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    y = int(rng.integers(0, image.shape[0] - size))
    x = int(rng.integers(0, image.shape[1] - size))
    image[y : y + size, x : x + size] = hung
    cv2.rectangle(image, (x, y), (x + size, y + size), _grey(20, 120, rng), 5)
