"""A person at the camera: a photograph on a head that turns, blinks, speaks and breathes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.acts import Act, amount, blink
from oneglance.training.liveness.film import Points
from oneglance.training.liveness.motion import blinks, glances, wander
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.stand import Path, Stand
from oneglance.training.liveness.styles import Style, draw
from oneglance.training.liveness.warp import (
    Canvas,
    Floats,
    Placed,
    Pose,
    Texture,
    lay,
    place,
    sample,
    smear,
)

# Where the head turns on the neck, in units from the middle of the face.
_PIVOT = (0.0, 1.0, -0.3)
_TURN_DEG, _LOOK_UP_DEG = 29.0, 20.0
_MOST_DEG = 32.0
_LID = 0.17
_MIDDLE = np.array([0.0, -0.35])


class Head:
    """One person during a film: `draw` puts them into a frame and says where their points are."""

    def __init__(
        self,
        portrait: Portrait,
        stand: Stand,
        style: Style,
        rng: np.random.Generator,
        acts: Sequence[Act] = (),
        *,
        gain: float | NDArray[np.float32] = 1.0,
    ) -> None:
        at_s = stand.at_s
        self.portrait = portrait
        self._stand = stand
        self._shape = style.head_shape
        self._depth, self._nose = draw(style.head_depth, rng), draw(style.nose_depth, rng)
        self._gain = gain
        turn = amount(acts, "turn_left", at_s) - amount(acts, "turn_right", at_s)
        up = amount(acts, "look_up", at_s)
        # Somebody who does as asked holds still otherwise.
        calm = 1 - 0.8 * np.maximum(np.abs(turn), up)
        yaw_deg = draw(style.sway_yaw_deg, rng)

        def sway(degrees: float) -> Path:
            return degrees * wander(style, at_s, draw(style.sway_hz, rng), rng) * calm

        aside = glances(at_s, rng) * float(rng.uniform(0, 16)) * calm
        self.yaw = np.clip(sway(yaw_deg) + aside + _TURN_DEG * turn, -_MOST_DEG, _MOST_DEG)
        self.pitch = sway(0.5 * yaw_deg) + _LOOK_UP_DEG * up
        self.roll = sway(0.35 * yaw_deg)
        self.right = 0.08 * wander(style, at_s, 0.5, rng)
        self.down = 0.05 * wander(style, at_s, 0.5, rng)
        self._body_yaw = 0.2 * self.yaw
        self._lean = 2.0 * wander(style, at_s, 0.3, rng)
        breath_hz = float(rng.uniform(0.2, 0.35))
        self._breath = 0.025 * np.sin(2 * np.pi * (breath_hz * at_s + rng.random()))
        self.closed = blinks(at_s, rng)
        for act in acts:
            if act.name == "blink":
                self.closed = np.maximum(self.closed, blink(act.begin_s, act.end_s, at_s))
        speaks = float(rng.random() < 0.35)
        self._open = speaks * np.clip(0.5 + wander(style, at_s, 3.5, rng), 0, 1.5)
        self._smile = float(rng.uniform(0, 0.8)) * wander(style, at_s, 0.4, rng)
        self._faces: dict[int, _Face] = {}
        # How far its five points are moved (5, 2) in units, from a film's two photographs.
        self.shifts: Points = np.zeros((5, 2))

    def calm(self, part: float) -> None:
        """Let the body move by a `part` of what it would; the head turns as it does."""
        for path in (self.right, self.down, self._lean, self._breath, self._body_yaw):
            path *= part

    def same_motion(self, portrait: Portrait, gain: float | NDArray[np.float32]) -> Head:
        """Another photograph that moves like this one."""
        other = copy.copy(self)
        other.portrait, other._gain, other._faces = portrait, gain, {}
        return other

    def layers(self, index: int) -> tuple[Placed, Canvas] | None:
        """The person in one frame, where and what; None if they are not in it."""
        unit_px = float(self._stand.unit_px[index])
        texture = self.portrait.person_only
        placed = place(texture, lambda units: self.forward(units, index), self._stand.size)
        if placed is None:
            return None
        level = texture.level(unit_px)
        if level not in self._faces:
            self._faces[level] = _Face(self.portrait, level)
        shown = self._faces[level].shown(
            float(self.closed[index]), float(self._open[index]), float(self._smile[index])
        )
        gain = np.ones(4, np.float32)
        gain[:3] = self._gain
        scalar: Any = tuple(gain.tolist())
        layers = cv2.multiply(sample(shown, placed, unit_px), scalar)
        return placed, smear(np.asarray(layers, np.float32), *self._stand.speed(index))

    def draw(self, frame: Canvas, index: int) -> Points:
        """Draw the person into one frame, float32 (H, W, 3); returns their points (5, 2) in px."""
        seen = self.layers(index)
        if seen is not None:
            lay(frame, *seen)
        return self.points(index)

    def points(self, index: int) -> Points:
        """The five points in one frame, float64 (5, 2) px."""
        return self.forward(self.portrait.points, index)

    def forward(self, units: Floats, index: int) -> Floats:
        """From the photograph to one frame."""
        stand = self._stand
        where = {
            "x": float(stand.x[index] + self.right[index] * stand.unit_px[index]),
            "y": float(stand.y[index] + self.down[index] * stand.unit_px[index]),
            "unit_px": float(stand.unit_px[index]),
            "distance": float(stand.distance[index]),
        }
        head = Pose(
            **where,
            yaw=float(self.yaw[index]),
            pitch=float(self.pitch[index]),
            roll=float(self.roll[index]),
            pivot=_PIVOT,
        )
        body = Pose(
            **where,
            yaw=float(self._body_yaw[index]),
            roll=float(self._lean[index]),
            pivot=(0.0, 6.0, -0.5),
        )
        if self.shifts.any():
            units = units + self._moved(units)
        x, y = units[..., 0], units[..., 1]
        points = np.stack([x, y, self._relief(x, y)], -1)
        held = _head_part(x, y)[..., None]
        trunk = body.turned(points)
        trunk[..., 1] += self._breath[index]
        # The neck carries the head along when the trunk leans.
        along = body.turned(np.array(_PIVOT)) - _PIVOT
        return head.seen(held * (head.turned(points) + along) + (1 - held) * trunk)

    def _moved(self, units: Floats) -> Floats:
        apart = units[..., None, :] - self.portrait.points
        near = np.exp(-(apart**2).sum(-1) / (2 * 0.45**2))
        weight = near / (near.sum(-1, keepdims=True) + 0.3)
        return np.asarray(weight @ self.shifts)

    def _relief(self, x: Floats, y: Floats) -> Floats:
        """How far each point of the photograph is in front of the ears, in units."""
        # Nowhere steep enough to hide something when the head is turned as far as it goes.
        out = (x / 1.3) ** 2 + ((y + 0.35) / 1.95) ** 2
        if self._shape == "cosine":
            ball = self._depth * np.cos(np.pi / 2 * np.sqrt(np.minimum(out, 1)))
        else:
            ball = self._depth * np.exp(-1.2 * out)
        nose_x, nose_y = self.portrait.points[2]
        # The bridge rises slowly from between the eyes, the tip falls away fast.
        above = np.where(y < nose_y, 0.36, 0.2)
        nose = np.exp(-(((x - nose_x) / 0.3) ** 2) - ((y - nose_y) / above) ** 2)
        eyes = sum(
            np.exp(-(((x - eye_x) / 0.25) ** 2) - ((y - eye_y) / 0.16) ** 2)
            for eye_x, eye_y in self.portrait.points[:2]
        )
        return np.asarray(ball + self._nose * nose - 0.1 * eyes - 0.4)


def _head_part(x: Floats, y: Floats) -> Floats:
    """1 where the photograph shows the head, 0 for the trunk, in between along the neck."""
    low = np.clip((y - 1.1) / 1.1, 0, 1)
    wide = np.clip((np.abs(x) - 1.6) / 0.8, 0, 1) * np.clip((y - 0.2) / 0.8, 0, 1)
    down = low * low * (3 - 2 * low)
    return np.asarray((1 - down) * (1 - wide))


class _Face:
    """The eyes and mouth of a portrait at one of its sizes, which a small warp closes and opens."""

    def __init__(self, portrait: Portrait, level: int) -> None:
        whole = portrait.person_only
        self._texture = Texture.__new__(Texture)
        self._texture.origin, self._texture.unit_px = whole.origin, whole.unit_px
        self._texture.levels = list(whole.levels)
        self._texture.levels[level] = whole.levels[level].copy()
        self._level = level
        points = portrait.points
        low, high = points.min(0) - [0.6, 0.45], points.max(0) - [-0.6, -0.85]
        corners = whole.to_px(np.array([low, high]), level)
        height, width = whole.levels[level].shape[:2]
        left, top = np.clip(np.floor(corners[0]).astype(int), 0, [width - 2, height - 2])
        right, bottom = np.clip(
            np.ceil(corners[1]).astype(int), [left + 2, top + 2], [width, height]
        )
        self._window = slice(int(top), int(bottom)), slice(int(left), int(right))
        self._before = whole.levels[level][self._window].copy()
        rows, columns = self._before.shape[:2]
        self._x, self._y = np.meshgrid(
            np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)
        )
        per_px = float(whole.to_px(np.array([[1.0, 0.0]]), level)[0, 0]) - float(
            whole.to_px(np.array([[0.0, 0.0]]), level)[0, 0]
        )
        zero = whole.to_px(np.array([0.0, 0.0]), level) - [left, top]
        x = (self._x - zero[0]) / per_px
        y = (self._y - zero[1]) / per_px
        lids = np.zeros_like(x)
        for eye_x, eye_y in points[:2]:
            over = y - eye_y
            rise = np.clip((over + 0.24) / 0.30, 0, 1) * np.clip((0.12 - over) / 0.06, 0, 1)
            lids += rise * np.exp(-(((x - eye_x) / 0.3) ** 4))
        mouth = points[3:].mean(0)
        below = y - mouth[1]
        jaw = np.clip(below / 0.08, 0, 1) * np.clip((0.75 - below) / 0.5, 0, 1)
        jaw *= np.exp(-(((x - mouth[0]) / 0.75) ** 4))
        corners_x, corners_y = np.zeros_like(x), np.zeros_like(x)
        for side, (corner_x, corner_y) in zip((-1.0, 1.0), points[3:], strict=True):
            near = np.exp(-(((x - corner_x) / 0.22) ** 2) - ((y - corner_y) / 0.2) ** 2)
            corners_x += side * near
            corners_y -= near
        self._lids = (_LID * per_px * lids).astype(np.float32)
        self._jaw = (0.09 * per_px * jaw).astype(np.float32)
        self._corners_x = (0.07 * per_px * corners_x).astype(np.float32)
        self._corners_y = (0.05 * per_px * corners_y).astype(np.float32)

    def shown(self, closed: float, opened: float, smile: float) -> Texture:
        """The portrait's picture with eyes `closed` (0..1), the mouth `opened`, and a `smile`."""
        map_x = self._x - np.float32(smile) * self._corners_x
        map_y = (
            self._y
            - np.float32(closed) * self._lids
            - np.float32(opened) * self._jaw
            - np.float32(smile) * self._corners_y
        )
        patch = self._texture.levels[self._level][self._window]
        patch[:] = cv2.remap(
            self._before, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return self._texture
