"""A tiny renderer for tests of liveness: a wall, and before it a head or a picture of one.

Nothing of the films that liveness was fitted on is in it. Sizes are in sides of the face's box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import CHIP_DOWN_IN_BOX, CHIP_POINTS, CHIP_SIDE_IN_BOX, CHIP_SIZE

# The five points about the middle of the face's box.
POINTS = (CHIP_POINTS / CHIP_SIZE - 0.5) * CHIP_SIDE_IN_BOX - [0.0, -CHIP_DOWN_IN_BOX]
SIZE = 300, 400
SHEET_PX = 300
# The sheet's picture is so many sides of the face wide.
SHEET_SIDES = 3.0
# The camera is so many sides of the face away.
AWAY = 5.0

Shape = NDArray[np.float64]
Depth = Callable[[Shape, Shape], Shape]


@dataclass(frozen=True)
class Pose:
    """Where the face is: middle and side in px, and its turns in radians."""

    x: float
    y: float
    side: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


def patterned(rng: np.random.Generator, height: int, width: int, grain: float) -> NDArray[np.uint8]:
    """A grey pattern with details of about `grain` px and some of twice and four times that."""
    total = np.zeros((height, width), np.float32)
    for times in (1, 2, 4):
        noise = rng.normal(size=(height, width)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), grain * times)
        total += smooth / smooth.std()
    return np.asarray(np.clip(128 + 22 * total, 0, 255), np.uint8)


def head_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a head stands out to the camera: an egg with a nose."""
    egg = 0.45 * np.sqrt(np.maximum(0.0, 1.0 - (x / 0.52) ** 2 - (y / 0.75) ** 2))
    height = np.where(y < 0.1, (y - 0.1) / 0.3, (y - 0.1) / 0.1)
    nose = 0.16 * np.exp(-((x / 0.09) ** 2) - height**2)
    return np.asarray(egg + nose, np.float64)


def no_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sheet."""
    return np.zeros_like(x + y)


def bent_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sheet bent to a part of a cylinder."""
    return np.asarray(-0.35 * x * x + 0 * y)


class Scene:
    """A pattern shaped by `depth` before a wall; `half` (x, y) is how far it reaches."""

    def __init__(
        self,
        seed: int,
        depth: Depth = head_depth,
        half: tuple[float, float] = (0.5, 0.72),
        noise: float = 2.0,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._wall = patterned(self._rng, *SIZE, 4.0)
        self._texture = patterned(self._rng, SHEET_PX, SHEET_PX, 2.5)
        self._depth = depth
        self._half = half
        self._round = depth is head_depth
        self._noise = noise

    def draw(self, pose: Pose) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """One frame uint8 (*SIZE, 3) BGR and the face's points (5, 2) in px."""
        rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float64)
        u, v = (columns - pose.x) / pose.side, (rows - pose.y) / pose.side
        turn = _turned(pose)
        x, y = u.copy(), v.copy()
        for _ in range(6):
            px, py = self._project(turn, x, y)
            x, y = x + (u - px), y + (v - py)
        shown = (
            (x / self._half[0]) ** 2 + (y / self._half[1]) ** 2 < 1
            if self._round
            else (np.abs(x) < self._half[0]) & (np.abs(y) < self._half[1])
        )
        scale = SHEET_PX / SHEET_SIDES
        where = (
            (x * scale + SHEET_PX / 2).astype(np.float32),
            (y * scale + SHEET_PX / 2).astype(np.float32),
        )
        sheet = cv2.remap(self._texture, *where, cv2.INTER_LINEAR)
        grey = np.where(shown, sheet, self._wall) + self._rng.normal(0, self._noise, shown.shape)
        grey = np.asarray(np.clip(grey, 0, 255), np.uint8)
        points = np.stack(self._project(turn, POINTS[:, 0], POINTS[:, 1]), 1)
        points = points * pose.side + [pose.x, pose.y]
        return np.repeat(grey[:, :, None], 3, axis=2), points + self._rng.normal(
            0, 0.01 * pose.side * 0.35, (5, 2)
        )

    def _project(self, turn: Shape, x: Shape, y: Shape) -> tuple[Shape, Shape]:
        z = self._depth(np.clip(x, -1.4, 1.4), np.clip(y, -1.4, 1.4))
        a, b, c = (turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z for k in range(3))
        near = AWAY / (AWAY - c)
        return a * near, b * near


def _turned(pose: Pose) -> NDArray[np.float64]:
    cy, sy, cp, sp, cr, sr = (
        f(angle) for angle in (pose.yaw, pose.pitch, pose.roll) for f in (np.cos, np.sin)
    )
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def wander(rng: np.random.Generator, frames: int, step_s: float, size: float = 1.0) -> list[Pose]:
    """A smooth way: sways, turns and comes nearer a little; `size` times as much."""
    at = np.arange(frames) * step_s
    phases, speeds = rng.uniform(0, 6.28, 6), rng.uniform(2.0, 5.0, 6)
    waves = np.sin(speeds[:, None] * at + phases[:, None])
    x0, y0, side = rng.uniform(180, 220), rng.uniform(140, 160), rng.uniform(70, 100)
    return [
        Pose(
            x0 + size * 0.25 * side * w[0],
            y0 + size * 0.08 * side * w[1],
            side * (1 + size * 0.06 * w[2]),
            size * 0.13 * w[3],
            size * 0.07 * w[4],
            size * 0.04 * w[5],
        )
        for w in waves.T
    ]
