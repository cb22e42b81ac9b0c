"""One lamp on a face: what a chip would look like, by the shape of a generic face. Pure.

The shape is a height for each px of the chip (an ellipsoid with a nose, brows, eye sockets, lips, a
chin), moved along with the face's own five points. A lamp far away lights it by Lambert's law, with
shadows that are attached and cast; a camera exposes, clips and encodes. It is no portrait studio,
but it casts a nose's shadow on a cheek and leaves half a face in the dark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import CHIP_POINTS, CHIP_SIZE

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

GAMMA = 2.2
# The head, in px of the chip: centre, half width, half height, depth.
_CENTRE, _HALF, _DEPTH = (56.0, 66.0), (46.0, 62.0), 46.0
# Bumps: centre, spread across and down, height.
_BUMPS = (
    ((38.3, 51.7), (8.0, 4.5), -4.0),
    ((73.5, 51.5), (8.0, 4.5), -4.0),
    ((40.0, 41.0), (11.0, 3.5), 3.0),
    ((72.0, 41.0), (11.0, 3.5), 3.0),
    ((33.0, 74.0), (9.0, 7.0), 2.5),
    ((79.0, 74.0), (9.0, 7.0), 2.5),
    ((56.0, 92.0), (9.0, 4.0), 3.0),
    ((56.0, 108.0), (10.0, 5.0), 4.0),
)
_NOSE_TOP, _NOSE_TIP, _NOSE_HEIGHT, _NOSE_WIDTH = 46.0, 72.0, 14.0, 5.0
_SHADOW_REACH = 56


@dataclass(frozen=True, slots=True)
class Lamp:
    """Where the only lamp hangs, in degrees from straight ahead: right and up positive.

    `ambient` is the part of the light that comes from everywhere, 0 to 1.
    """

    right_deg: float
    up_deg: float
    ambient: float

    @property
    def direction(self) -> NDArray[np.float64]:
        """Towards the lamp: right, down, out of the picture; length 1."""
        right, up = math.radians(self.right_deg), math.radians(self.up_deg)
        return np.array(
            [math.sin(right) * math.cos(up), -math.sin(up), math.cos(right) * math.cos(up)]
        )


def face_heights() -> Plane:
    """How far each px of the chip stands out from the picture, in px: float32 (112, 112)."""
    y, x = np.mgrid[0:CHIP_SIZE, 0:CHIP_SIZE].astype(np.float64)
    from_middle = np.hypot((x - _CENTRE[0]) / _HALF[0], (y - _CENTRE[1]) / _HALF[1])
    # Steep at the rim, but not vertical like an ellipsoid, which would draw a ring round the head.
    z = _DEPTH * np.maximum(1 - from_middle**2.5, 0.0)
    for (cx, cy), (sx, sy), height in _BUMPS:
        z += height * np.exp(-(((x - cx) / sx) ** 2) / 2 - ((y - cy) / sy) ** 2 / 2)
    along = np.clip((y - _NOSE_TOP) / (_NOSE_TIP - _NOSE_TOP), 0, None)
    fall = np.exp(-((np.maximum(y - _NOSE_TIP, 0) / 3.5) ** 2) / 2)
    across = np.exp(-(((x - _CENTRE[0]) / _NOSE_WIDTH) ** 2) / 2)
    z += _NOSE_HEIGHT * np.minimum(along, 1.0) * fall * across
    return np.asarray(cv2.GaussianBlur(z, (0, 0), 1.0), np.float32)


def shading(lamp: Lamp) -> Plane:
    """How much light each px of a generic face reflects, 1 where it faces the lamp."""
    z = face_heights()
    down, right = np.gradient(z)
    normal = np.dstack([-right, -down, np.ones_like(z)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    to_lamp = lamp.direction
    lit = np.maximum(normal @ to_lamp, 0.0)
    lit *= 1 - _cast_shadow(z, to_lamp)
    lit = cv2.GaussianBlur(lit, (0, 0), 0.8)
    return np.asarray(lamp.ambient + (1 - lamp.ambient) * lit, np.float32)


def relit(chip: Image, points: NDArray[np.floating], shade: Plane, exposure: float) -> Image:
    """A chip uint8 (112, 112, 3) as under the lamp of `shade`.

    `points` (5, 2) are the face's in the chip. Half of the original light is taken out first, by
    its low frequencies. `exposure` is the mean of linear light that the camera brings the middle of
    the face to (0.2 is usual); what is above 1 is clipped.
    """
    linear = (chip.astype(np.float32) / 255) ** GAMMA
    grey = linear @ np.array([0.299, 0.587, 0.114], np.float32)
    light = cv2.GaussianBlur(np.log(grey + 0.01), (0, 0), 14)
    linear *= np.exp(-0.6 * (light - light.mean()))[..., np.newaxis]
    source = np.column_stack([CHIP_POINTS, np.ones(len(CHIP_POINTS))])
    matrix = np.linalg.lstsq(source, points, rcond=None)[0].T
    shade = cv2.warpAffine(
        shade,
        matrix,
        (CHIP_SIZE, CHIP_SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    linear *= shade[..., np.newaxis]
    mean = float(linear[24:104, 24:88].mean())
    linear *= exposure / max(mean, 1e-4)
    return np.asarray(np.rint(255 * np.clip(linear, 0, 1) ** (1 / GAMMA)), np.uint8)


def _cast_shadow(z: Plane, to_lamp: NDArray[np.float64]) -> Plane:
    """1 where something of the face stands between a px and the lamp, soft at its edge."""
    flat = math.hypot(to_lamp[0], to_lamp[1])
    shadow = np.zeros_like(z)
    if flat < 1e-6:
        return shadow
    step = to_lamp[:2] / flat
    rise = to_lamp[2] / flat
    for distance in range(2, _SHADOW_REACH):
        move = np.array([[1, 0, step[0] * distance], [0, 1, step[1] * distance]])
        ahead = cv2.warpAffine(
            z, move, z.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        shadow = np.maximum(shadow, ahead > z + rise * distance + 0.5)
    return np.asarray(cv2.GaussianBlur(shadow, (0, 0), 1.2), np.float32)
