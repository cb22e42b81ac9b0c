"""Put a picture onto a surface in space, and the surface into a frame.

Surfaces are measured in distances between the eyes of the face on them ("units"), from the point
between nose and eyes: right, down, towards the camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Canvas = NDArray[np.float32]
# Maps points (..., 2) of a picture, in units, to px of the frame.
Forward = Callable[[Floats], Floats]

_NODES = 45
_CELL_PX = 8
_ROUNDS = 5
# A place this far from where the inverse maps it is not on the surface.
_LOST_PX = 3.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a surface is: its origin in px, px per unit, angles in degrees, distance in units.

    Positive angles turn what is near the camera to the right (yaw: a face looks to its own left),
    up (pitch), and clockwise (roll), about `pivot` in units.
    """

    x: float
    y: float
    unit_px: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    distance: float = 12.0
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def rotation(self) -> Floats:
        """The rotation matrix (3, 3)."""
        yaw, pitch, roll = np.deg2rad([self.yaw, self.pitch, self.roll])
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array(
            [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        )
        lean = np.eye(3)
        lean[:2, :2] = [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
        return np.asarray(lean @ nod @ turn)

    def turned(self, points: Floats) -> Floats:
        """Points (..., 3) in units, turned about the pivot."""
        return np.asarray((points - self.pivot) @ self.rotation().T + self.pivot)

    def seen(self, points: Floats) -> Floats:
        """Turned points (..., 3) in units, seen by the camera: (..., 2) in px."""
        nearer = self.distance / np.maximum(self.distance - points[..., 2], 0.2 * self.distance)
        return np.asarray(points[..., :2] * nearer[..., None] * self.unit_px + [self.x, self.y])

    def project(self, points: Floats) -> Floats:
        """Points (..., 3) in units to px (..., 2)."""
        return self.seen(self.turned(points))


class Texture:
    """A picture, uint8 (H, W, 4) BGR and coverage; its px `origin` is (0, 0) in units.

    It is also kept in ever smaller sizes, as shrinking by more than half would alias.
    """

    def __init__(self, layers: NDArray[np.uint8], origin: tuple[float, float], unit_px: float):
        self.origin = origin
        self.unit_px = unit_px
        self.levels = [np.ascontiguousarray(layers)]
        while min(self.levels[-1].shape[:2]) > 64 and len(self.levels) < 4:
            height, width = self.levels[-1].shape[:2]
            size = (width // 2, height // 2)
            smaller = cv2.resize(self.levels[-1], size, interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(smaller, np.uint8))

    def level(self, unit_px: float) -> int:
        """Which of the sizes to show if a unit is this many px."""
        down = int(np.floor(np.log2(max(self.unit_px / unit_px, 1.0)) + 0.3))
        return min(down, len(self.levels) - 1)

    def to_px(self, units: NDArray[np.floating], level: int = 0) -> NDArray[np.float32]:
        """Points (..., 2) in units to px of a level."""
        height, width = self.levels[level].shape[:2]
        full_height, full_width = self.levels[0].shape[:2]
        scale = np.array([width / full_width, height / full_height])
        px = np.asarray(units, np.float64) * self.unit_px + np.asarray(self.origin)
        return np.asarray((px + 0.5) * scale - 0.5, np.float32)

    def corners(self) -> Floats:
        """Its corners (4, 2) in units, clockwise from the upper left."""
        height, width = self.levels[0].shape[:2]
        px = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        return np.asarray((px - self.origin) / self.unit_px)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """What a picture covers of a frame: `left`, `top` in px, and each px's place in the picture.

    `units` is float32 (h, w, 2), in units from the picture's origin.
    """

    left: int
    top: int
    units: NDArray[np.float32]

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the frame."""
        height, width = self.units.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def place(texture: Texture, forward: Forward, size: tuple[int, int]) -> Placed | None:
    """Where in a frame of `size` (width, height) each point of a picture lies; None if nowhere.

    The inverse of `forward` is found on a coarse grid by Newton's method, starting from the
    homography of the corners, which is exact for a plane. Where a surface folds over itself, the
    fold comes out smeared.
    """
    corners = texture.corners()
    low, high = corners.min(0), corners.max(0)
    across = np.linspace(low[0], high[0], _NODES)
    down = np.linspace(low[1], high[1], _NODES)
    there = forward(np.stack(np.meshgrid(across, down), -1))
    width, height = size
    left, top = np.clip(np.floor(there.min((0, 1))).astype(int) - 1, 0, [width, height])
    right, bottom = np.clip(np.ceil(there.max((0, 1))).astype(int) + 2, 0, [width, height])
    if right - left < 2 or bottom - top < 2:
        return None
    cells = -(-np.array([right - left, bottom - top]) // _CELL_PX)
    grid_x = left + _CELL_PX * (np.arange(cells[0]) + 0.5) - 0.5
    grid_y = top + _CELL_PX * (np.arange(cells[1]) + 0.5) - 0.5
    wanted = np.stack(np.meshgrid(grid_x, grid_y), -1)
    step = (high - low) / (_NODES - 1)
    nodes = _inverse(there, wanted)
    full_size = (int(cells[0] * _CELL_PX), int(cells[1] * _CELL_PX))
    units = np.asarray(low + nodes * step, np.float32)
    full = cv2.resize(units, full_size, interpolation=cv2.INTER_LINEAR)
    part = slice(0, int(bottom - top)), slice(0, int(right - left))
    return Placed(int(left), int(top), np.asarray(full[part], np.float32))


def _inverse(there: Floats, wanted: Floats) -> Floats:
    """Where in a grid (n, n, 2) with nodes at `there` the places `wanted` (..., 2) are.

    Counted in nodes from the first. Places that are not found are interpolated from neighbours.
    """
    last = float(_NODES - 1)
    ends = np.array([[0, 0], [last, 0], [last, last], [0, last]], np.float32)
    seen = np.array([there[0, 0], there[0, -1], there[-1, -1], there[-1, 0]], np.float32)
    back = cv2.getPerspectiveTransform(seen, ends)
    nodes = np.asarray(cv2.perspectiveTransform(wanted, back), np.float64)
    right, down = np.gradient(there, axis=1), np.gradient(there, axis=0)
    table = np.concatenate([there, right, down], 2).astype(np.float32)
    for _ in range(_ROUNDS):
        inside = np.clip(nodes, 0, last)
        at = inside.astype(np.float32)
        now = [
            cv2.remap(table[..., i : i + 2], at[..., 0], at[..., 1], cv2.INTER_LINEAR)
            for i in (0, 2, 4)
        ]
        over = nodes - inside
        off = wanted - now[0] - over[..., :1] * now[1] - over[..., 1:] * now[2]
        (a, c), (b, d) = np.moveaxis(now[1], -1, 0), np.moveaxis(now[2], -1, 0)
        det = a * d - b * c
        det = np.where(np.abs(det) < 0.02, 0.02, det)
        move = np.stack([d * off[..., 0] - b * off[..., 1], a * off[..., 1] - c * off[..., 0]], -1)
        nodes = nodes + np.clip(move / det[..., None], -4, 4)
    nodes = np.clip(nodes, -last, 2 * last)
    near = ((nodes > -2) & (nodes < last + 2)).all(-1)
    lost = near & ((off**2).sum(-1) > _LOST_PX**2)
    if lost.any():
        found = (near & ~lost).astype(np.float64)
        weight = cv2.GaussianBlur(found, (0, 0), 2.0)
        around = cv2.GaussianBlur(nodes * found[..., None], (0, 0), 2.0)
        nodes[lost] = (around / np.maximum(weight, 1e-9)[..., None])[lost]
    return np.asarray(nodes, np.float64)


def sample(texture: Texture, placed: Placed, unit_px: float) -> Canvas:
    """The picture at the placed points: float32 (h, w, 4), coverage 0..1; empty beyond its edge."""
    level = texture.level(unit_px)
    height, width = texture.levels[level].shape[:2]
    full_height, full_width = texture.levels[0].shape[:2]
    scale = np.array([width / full_width, height / full_height], np.float32)
    gain = texture.unit_px * scale
    shift = (np.asarray(texture.origin) + 0.5) * scale - 0.5
    map_x = placed.units[..., 0] * np.float32(gain[0]) + np.float32(shift[0])
    map_y = placed.units[..., 1] * np.float32(gain[1]) + np.float32(shift[1])
    layers = cv2.remap(
        texture.levels[level], map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    out = layers.astype(np.float32)
    out[..., 3] *= np.float32(1 / 255)
    return out


def smear(layers: Canvas, right_px: float, down_px: float) -> Canvas:
    """Layers blurred by how far they moved while the shutter was open."""
    length = float(np.hypot(right_px, down_px))
    if length < 1.0:
        return layers
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for part in np.linspace(-0.5, 0.5, 4 * half + 1):
        kernel[round(half + part * down_px), round(half + part * right_px)] += 1
    return np.asarray(cv2.filter2D(layers, -1, kernel / kernel.sum()), np.float32)


def lay(frame: Canvas, placed: Placed, layers: Canvas) -> None:
    """Draw layers into the frame, float32 (H, W, 3), where they are placed."""
    part = frame[placed.window]
    cover = np.ascontiguousarray(layers[..., 3])
    # OpenCV's passes are several times as fast as the same sum in NumPy.
    change = cv2.subtract(cv2.cvtColor(layers, cv2.COLOR_BGRA2BGR), part)
    part[:] = cv2.add(part, cv2.multiply(change, cv2.merge([cover, cover, cover])))
