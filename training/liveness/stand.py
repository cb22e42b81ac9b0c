"""Where in the frame the face is, and when frames are taken: the same for visits and attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.acts import Act, amount, ease
from oneglance.training.liveness.portrait import BOX_UNITS

Path = NDArray[np.float64]

SIZES = ((640, 480), (640, 360))
FACE_PX = (90.0, 220.0)
SECONDS = (1.5, 4.0)
FPS = (15.0, 30.0)
_FOCAL_PX = (480.0, 760.0)
# A face beyond this share of the frame's height no longer fits.
_MOST_OF_FRAME = 0.62


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """The middle of the face and the distance between its eyes, in px, at each time (n,); and more.

    `distance` (n,) is how far it is from the camera, in distances between its eyes. `shutter` is
    the share of the time between frames for which the shutter is open.
    """

    size: tuple[int, int]
    at_s: Path
    x: Path
    y: Path
    unit_px: Path
    distance: Path
    shutter: float

    def speed(self, index: int) -> tuple[float, float]:
        """How many px the face moves while the shutter is open."""
        before = max(0, index - 1)
        right = float(self.x[index] - self.x[before]) * self.shutter
        down = float(self.y[index] - self.y[before]) * self.shutter
        return right, down


def times(rng: np.random.Generator, seconds: float | None, fps: float | None) -> Path:
    """When a film's frames are taken, float64 (n,) from 0: a little uneven, as in real cameras."""
    rate = float(rng.uniform(*FPS)) if fps is None else fps
    length_s = float(rng.uniform(*SECONDS)) if seconds is None else seconds
    count = max(2, round(length_s * rate))
    at_s = (np.arange(count) + rng.uniform(-0.04, 0.04, count)) / rate
    return np.asarray(at_s - at_s[0])


def stand(
    at_s: Path, rng: np.random.Generator, *, grow: float | None = None, acts: Sequence[Act] = ()
) -> Stand:
    """A place in front of the camera. Every second visitor walks up to it.

    With `grow`, the face grows by that factor over the whole film instead; 1 keeps it hanging
    there.
    """
    size = SIZES[int(rng.integers(len(SIZES)))]
    width, height = size
    most = min(FACE_PX[1], _MOST_OF_FRAME * height)
    box = float(np.exp(rng.uniform(np.log(FACE_PX[0]), np.log(most))))
    place_x, place_y = float(rng.uniform(0.3, 0.7)) * width, float(rng.uniform(0.36, 0.56)) * height
    # Whole faces only: none is cut off by the frame's edge.
    place_x = float(np.clip(place_x, 0.75 * box, width - 0.75 * box))
    place_y = float(np.clip(place_y, 0.72 * box, height - 0.72 * box))
    walks, walk_s, from_part = rng.random() < 0.5, rng.uniform(0.6, 1.5), rng.uniform(0.45, 0.8)
    focal = float(rng.uniform(*_FOCAL_PX))
    shutter = float(rng.uniform(0.1, 0.5))
    if grow is not None:
        # At constant speed: the distance shrinks linearly.
        part = np.linspace(0, 1, len(at_s))
        growth = 1 / (grow + (1 - grow) * ease(part))
    elif walks:
        growth = 1 / (1 / from_part + (1 - 1 / from_part) * ease(at_s / walk_s))
    else:
        growth = np.ones_like(at_s)
    nearer = 1 + 0.5 * amount(acts, "closer", at_s)
    growth = np.minimum(growth * nearer, _MOST_OF_FRAME * height / box)
    unit_px = box / BOX_UNITS * growth
    x = width / 2 + (place_x - width / 2) * growth
    y = height / 2 + (place_y - height / 2) * growth
    return Stand(size, at_s, x, y, unit_px, focal / unit_px, shutter)
