"""What a Haar cascade and a door do to the picture of a face, one small function per effect.

Every function takes an image uint8 (h, w) or (h, w, 3), draws the strength of its effect from a
numpy generator within a stated range, and returns a new image of the same shape; the original is
not changed. If the range allows no effect, the image comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Look = Callable[[Image, np.random.Generator], Image]


def box_jitter(
    image: Image, generator: np.random.Generator, size: float = 0.015, shift: float = 0.01
) -> Image:
    """A box that is a little too large or small and off the face, as cascades give them.

    The scale's logarithm and the shifts, in sides of the image, are normal with these sigmas.
    """
    scale = float(np.exp(generator.normal(0, size)))
    return _moved(image, 0.0, scale, generator.normal(0, shift, 2))


def tilt(image: Image, generator: np.random.Generator, most_deg: float = 4.0) -> Image:
    """A head turned in the plane of the picture by up to `most_deg` either way, uniformly."""
    return _moved(image, float(generator.uniform(-most_deg, most_deg)), 1.0, np.zeros(2))


def distance(image: Image, generator: np.random.Generator, smallest: float = 0.3) -> Image:
    """A face further away: averaged down to `smallest` to 1 of its size, and enlarged again."""
    height, width = image.shape[:2]
    factor = float(generator.uniform(smallest, 1.0))
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height)), np.uint8)


def motion_blur(image: Image, generator: np.random.Generator, longest_px: float = 6.0) -> Image:
    """A face that moved by 0 to `longest_px` in any direction while the shutter was open."""
    length = float(generator.uniform(0, longest_px))
    angle = float(generator.uniform(0, np.pi))
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    along = np.linspace(-length / 2, length / 2, max(1, 4 * round(length) + 1))
    places = np.stack([np.sin(angle) * along, np.cos(angle) * along]) + half
    low = np.floor(places).astype(int)
    part = places - low
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - part[0]) * np.abs(1 - right - part[1])
            np.add.at(kernel, (low[0] + down, low[1] + right), share)
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)


def focus_blur(image: Image, generator: np.random.Generator, most_px: float = 1.6) -> Image:
    """A face out of focus: a Gaussian blur of sigma 0 to `most_px`."""
    sigma = float(generator.uniform(0, most_px))
    # Below this no pixel changes, and cv2 takes 0 for "choose one".
    if sigma < 0.2:
        return image.copy()
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def gamma(image: Image, generator: np.random.Generator, most: float = 2.2) -> Image:
    """Another tone curve: an exponent between 1 / `most` and `most`, its logarithm uniform."""
    exponent = float(np.exp(generator.uniform(-1, 1) * np.log(most)))
    levels = 255 * (np.arange(256) / 255) ** exponent
    return np.asarray(cv2.LUT(image, levels.round().astype(np.uint8)), np.uint8)


def light(
    image: Image,
    generator: np.random.Generator,
    contrast: tuple[float, float] = (0.7, 1.2),
    brightness: float = 15.0,
) -> Image:
    """Contrast about the mean within a range, and brightness added in grey levels (one sigma)."""
    factor = float(generator.uniform(*contrast))
    added = float(generator.normal(0, brightness))
    mean = float(image.mean())
    levels = np.clip((np.arange(256) - mean) * factor + mean + added, 0, 255)
    return np.asarray(cv2.LUT(image, levels.round().astype(np.uint8)), np.uint8)


def shadow(image: Image, generator: np.random.Generator, darkest: float = 0.35) -> Image:
    """A shadow on one side of a straight, soft edge, where `darkest` to 1 of the light is left.

    The edge runs in any direction through the middle half of the image, and is 2 % to 40 % of a
    side wide.
    """
    height, width = image.shape[:2]
    left = float(generator.uniform(darkest, 1.0))
    angle = float(generator.uniform(0, 2 * np.pi))
    middle = generator.uniform(-0.25, 0.25)
    softness = float(generator.uniform(0.02, 0.4))
    across = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
    down = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    off = across * np.cos(angle) + down[:, None] * np.sin(angle) - middle
    lit = np.clip(off / softness + 0.5, 0, 1)
    factor = left + (1 - left) * lit
    factor = factor if image.ndim == 2 else factor[..., None]
    return np.asarray((image * factor).round(), np.uint8)


def noise(image: Image, generator: np.random.Generator, most: float = 8.0) -> Image:
    """A sensor in the dark: Gaussian noise of sigma 0 to `most` grey levels in every value."""
    sigma = float(generator.uniform(0, most))
    added = generator.standard_normal(image.shape, np.float32) * np.float32(sigma)
    return np.asarray(np.clip(image + added, 0, 255).round(), np.uint8)


def jpeg(image: Image, generator: np.random.Generator, worst: int = 30) -> Image:
    """A network camera's compression: JPEG at quality `worst` to 95."""
    quality = int(generator.integers(worst, 96))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    flags = cv2.IMREAD_GRAYSCALE if image.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(data, flags), np.uint8)


def cover(
    image: Image,
    generator: np.random.Generator,
    width: tuple[float, float] = (0.25, 0.8),
    height: tuple[float, float] = (0.08, 0.25),
) -> Image:
    """Something the size of glasses in front of the face: a rectangle of one grey level.

    Its sides are within these shares of the image's; it may lie anywhere within the image, and lets
    0 to 40 % of what is behind it show through.
    """
    rows, columns = image.shape[:2]
    high = max(1, round(rows * float(generator.uniform(*height))))
    wide = max(1, round(columns * float(generator.uniform(*width))))
    y = int(generator.integers(0, rows - high + 1))
    x = int(generator.integers(0, columns - wide + 1))
    level, through = float(generator.uniform(0, 255)), float(generator.uniform(0, 0.4))
    covered = image.copy()
    behind = covered[y : y + high, x : x + wide]
    covered[y : y + high, x : x + wide] = (behind * through + level * (1 - through)).round()
    return covered


def mirror(image: Image, generator: np.random.Generator) -> Image:
    """Left and right swapped."""
    return np.ascontiguousarray(image[:, ::-1])


# For chips 112 px wide, as the aligner cuts them: how likely each effect is, in the order in which
# light meets them on its way from the face to the pixels.
CHIP_LOOKS: tuple[tuple[float, Look], ...] = (
    (0.5, mirror),
    (1.0, box_jitter),
    (0.8, tilt),
    (0.2, cover),
    (0.25, shadow),
    (0.2, motion_blur),
    (0.2, focus_blur),
    (0.2, distance),
    (0.3, gamma),
    (0.4, light),
    (0.25, noise),
    (0.25, jpeg),
)
# For the aligner's grey crop of 64 px. Its geometry is drawn separately, as its points must follow.
CROP_LOOKS: tuple[tuple[float, Look], ...] = (
    (0.25, partial(cover, width=(0.1, 0.6), height=(0.1, 0.4))),
    (0.25, partial(shadow, darkest=0.25)),
    (0.12, partial(motion_blur, longest_px=5.0)),
    (0.2, partial(focus_blur, most_px=2.0)),
    (0.2, partial(distance, smallest=0.25)),
    (0.3, partial(gamma, most=2.4)),
    (0.8, partial(light, contrast=(0.5, 1.35), brightness=25.0)),
    (0.3, partial(noise, most=12.0)),
    (0.15, partial(jpeg, worst=25)),
)


def looked(
    image: Image, generator: np.random.Generator, looks: tuple[tuple[float, Look], ...]
) -> Image:
    """The image after those of `looks` (chance, function) that are drawn for it, in order."""
    for chance, look in looks:
        if generator.random() < chance:
            image = look(image, generator)
    return image


def worn(chip: Image, generator: np.random.Generator) -> Image:
    """A chip (112, 112, 3) as a door would see it."""
    return looked(chip, generator, CHIP_LOOKS)


def _moved(image: Image, turn_deg: float, scale: float, shift: NDArray[np.float64]) -> Image:
    """Turned and scaled about the middle, shifted in sides of the image; edges are repeated."""
    height, width = image.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = np.array(cv2.getRotationMatrix2D(middle, turn_deg, scale), np.float64)
    matrix[:, 2] += shift * np.array([width, height], np.float64)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
