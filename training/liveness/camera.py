"""The camera through which every film is taken: lens, sensor, exposure, codec."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.film import Image
from oneglance.training.liveness.motion import wander
from oneglance.training.liveness.stand import Path
from oneglance.training.liveness.styles import Style, draw
from oneglance.training.liveness.warp import Canvas

_SPARE_PX = 64
# A codec spends no bits on differences below this many grey levels.
_DEAD_GREYS = 2.0


class Camera:
    """One camera during one film: `take` must be given the frames in order."""

    def __init__(
        self, size: tuple[int, int], at_s: Path, style: Style, rng: np.random.Generator
    ) -> None:
        width, height = size
        self._rng = rng
        self._blur = draw(style.lens_blur, rng)
        self._sharpen = draw(style.sharpen, rng)
        self._quality = round(draw(style.jpeg_quality, rng))
        self._differences = style.codec == "differences"
        self._before: NDArray[np.float32] | None = None
        across = np.linspace(-1, 1, width)[None] * width / height
        down = np.linspace(-1, 1, height)[:, None]
        dark = draw(style.vignette, rng) * (across**2 + down**2) / (1 + (width / height) ** 2)
        white = 1 + rng.uniform(-0.05, 0.05, 3)
        # A Bayer pattern: each pixel sees one colour, BG over GR.
        colours = np.empty((height, width))
        colours[0::2, 0::2], colours[1::2, 1::2] = white[0], white[2]
        colours[0::2, 1::2] = colours[1::2, 0::2] = white[1]
        self._gain = (colours * (1 - dark)).astype(np.float32)
        drift = draw(style.exposure_drift, rng)
        self._exposure = float(rng.uniform(0.9, 1.1)) * (1 + drift * wander(style, at_s, 0.4, rng))
        # Mains lamps flicker: faint bars, standing or rolling, over everything that they light.
        self._flicker = float(rng.uniform(0, 0.02))
        self._bars_px, self._roll_hz = float(rng.uniform(150, 900)), float(rng.uniform(-3, 3))
        self._rows = np.arange(height)
        self._at_s = at_s
        noise = rng.standard_normal((height + _SPARE_PX, width + _SPARE_PX), np.float32)
        self._noise = noise * np.float32(draw(style.noise_greys, rng))
        contrast, gamma = float(rng.uniform(0.85, 1.1)), float(rng.uniform(0.85, 1.15))
        levels = np.arange(256) / 255
        curve = levels**gamma
        curve = curve + (contrast - 1) * 2 * (curve - 0.5) * curve * (1 - curve) * 4
        self._curve = np.clip(np.round(255 * curve), 0, 255).astype(np.uint8)

    def take(self, scene: Canvas, index: int) -> Image:
        """The camera's picture of a scene float32 (H, W, 3) BGR in grey levels."""
        seen = cv2.GaussianBlur(scene, (5, 5), self._blur)
        raw = np.empty(seen.shape[:2], np.float32)
        raw[0::2, 0::2], raw[1::2, 1::2] = seen[0::2, 0::2, 0], seen[1::2, 1::2, 2]
        raw[0::2, 1::2], raw[1::2, 0::2] = seen[0::2, 1::2, 1], seen[1::2, 0::2, 1]
        raw *= self._gain
        at_s = self._at_s[index]
        turn = 2 * np.pi * (self._rows / self._bars_px + self._roll_hz * at_s)
        lit = self._exposure[index] * (1 + self._flicker * np.cos(turn))
        raw *= lit.astype(np.float32)[:, None]
        height, width = raw.shape
        down, right = self._rng.integers(0, _SPARE_PX, 2)
        noise = self._noise[down : down + height, right : right + width]
        # Shot noise: it grows with light, but more slowly.
        raw += noise * (np.float32(0.7) + raw * np.float32(0.6 / 255))
        bayer = cv2.convertScaleAbs(np.maximum(raw, 0, out=raw))
        image = cv2.demosaicing(bayer, cv2.COLOR_BayerRG2BGR)
        image = cv2.LUT(image, self._curve)
        if self._sharpen > 0:
            soft = cv2.GaussianBlur(image, (5, 5), 1.2)
            image = cv2.addWeighted(image, 1 + self._sharpen, soft, -self._sharpen, 0)
        return self._coded(np.asarray(image, np.uint8))

    def _coded(self, image: Image) -> Image:
        if not self._differences:
            return _jpeg(image, self._quality)
        if self._before is None:
            self._before = _jpeg(image, self._quality).astype(np.float32)
        else:
            # As video codecs do: send only what differs from the previous picture, coarsely.
            change = np.asarray(cv2.subtract(image, self._before, dtype=cv2.CV_32F), np.float32)
            change *= np.float32(0.5)
            blue, green, red = cv2.split(np.abs(cv2.blur(change, (8, 8))))
            told = cv2.max(cv2.max(blue, green), red) >= _DEAD_GREYS / 8
            change *= told.astype(np.float32)[..., None]
            change += np.float32(128)
            sent = _jpeg(np.clip(change, 0, 255, out=change).astype(np.uint8), self._quality)
            added = sent.astype(np.float32)
            added -= np.float32(128)
            added *= np.float32(2)
            added += self._before
            self._before = np.clip(added, 0, 255, out=added)
        return np.asarray(self._before.round(), np.float32).astype(np.uint8)


def _jpeg(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
