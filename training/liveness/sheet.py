"""A photograph on something flat: paper, or a screen with its pixels, light and gloss."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.film import Image, Points
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

# Space for hands around a sheet, in units.
_PAD = 1.3
# Where a head that is cut out ends, below the middle of its face, likewise.
_NECK = 1.9
_SKINS = ((105, 135, 190), (140, 170, 225), (75, 100, 150), (45, 60, 95), (120, 150, 215))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a sheet shows: a picture, uint8 (H, W, 3) BGR, its scale, and the points of the face.

    `origin` is the middle of the face in px, `unit_px` the distance between its eyes in px, and
    `points` (5, 2) are in units from the middle.
    """

    picture: Image
    origin: tuple[float, float]
    unit_px: float
    points: Points


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How a sheet moves, relative to its stand, at each time: (n,) each, in units and degrees."""

    right: Path
    down: Path
    yaw: Path
    pitch: Path
    roll: Path


class Sheet:
    """Something flat, or bent into part of a cylinder, that shows a face; `draw` draws it.

    `bend` is the curvature in 1/units about an axis tilted by `axis_deg` from upright, `ripple` how
    much it changes over time.
    """

    def __init__(
        self,
        texture: Texture,
        points: Points,
        stand: Stand,
        motion: Motion,
        *,
        bend: float = 0.0,
        axis_deg: float = 0.0,
        ripple: Path | None = None,
    ) -> None:
        self.texture = texture
        self.stand = stand
        self._points = points
        self._motion = motion
        self._bend = np.full(len(stand.at_s), bend)
        if ripple is not None:
            self._bend = self._bend * (1 + ripple)
        axis = np.deg2rad(axis_deg)
        self._along = np.array([np.cos(axis), np.sin(axis)])

    def pose(self, index: int) -> Pose:
        """Where it is in one frame."""
        stand, motion = self.stand, self._motion
        unit_px = float(stand.unit_px[index])
        return Pose(
            float(stand.x[index] + motion.right[index] * unit_px),
            float(stand.y[index] + motion.down[index] * unit_px),
            unit_px,
            float(motion.yaw[index]),
            float(motion.pitch[index]),
            float(motion.roll[index]),
            float(stand.distance[index]),
        )

    def forward(self, units: Floats, index: int) -> Floats:
        """From the sheet (..., 2) in units to px of one frame."""
        bend = float(self._bend[index])
        if abs(bend) < 1e-3:
            flat = np.concatenate([units, np.zeros_like(units[..., :1])], -1)
            return self.pose(index).project(flat)
        # Rolled about an axis through the middle of the face, which keeps lengths on the sheet.
        along = units @ self._along
        angle = np.clip(bend * along, -1.4, 1.4)
        across = np.sin(angle) / bend
        moved = units + ((across - along)[..., None]) * self._along
        depth = (np.cos(angle) - 1) / bend
        return self.pose(index).project(np.concatenate([moved, depth[..., None]], -1))

    def shade(self, units: NDArray[np.float32], index: int) -> NDArray[np.float32] | None:
        """How much light each place gets because of its slope, (h, w); None if all get the same."""
        bend = float(self._bend[index])
        if abs(bend) < 1e-3:
            return None
        slope = np.clip(bend * (units @ self._along.astype(np.float32)), -1.4, 1.4)
        return np.asarray(0.8 * np.cos(slope) + 0.2 + 0.25 * np.sin(slope), np.float32)

    def place(self, index: int) -> Placed | None:
        """Where each of its px is in one frame."""
        return place(self.texture, lambda units: self.forward(units, index), self.stand.size)

    def points(self, index: int) -> Points:
        """The five points of the face on it in one frame, float64 (5, 2) px."""
        return self.forward(self._points, index)

    def turn(self, index: int) -> tuple[float, float]:
        """Yaw and pitch in one frame, in degrees."""
        return float(self._motion.yaw[index]), float(self._motion.pitch[index])


class Print:
    """How a printed sheet looks: `paper` makes its texture, and the rest depends on the frame."""

    def __init__(self, sheet: Sheet, style: Style, rng: np.random.Generator) -> None:
        self._sheet = sheet
        self._dots = draw(style.ink_strength, rng) if style.ink == "dots" else 0.0
        median_px = float(np.median(sheet.stand.unit_px))
        self._rate = draw(style.ink_pitch_px, rng) * median_px
        self._gloss = _Gloss(draw(style.gloss, rng) * float(rng.random() < 0.5), rng)
        light = rng.uniform(-0.06, 0.06, 2)
        self._light = light.astype(np.float32)

    def draw(self, frame: Canvas, index: int) -> Points:
        """Draw the print into one frame; returns the points (5, 2) of the face on it, in px."""
        sheet = self._sheet
        placed = sheet.place(index)
        if placed is not None:
            unit_px = float(sheet.stand.unit_px[index])
            layers = sample(sheet.texture, placed, unit_px)
            units = placed.units
            light = 1 + np.clip(units, -4, 4) @ self._light
            shade = sheet.shade(units, index)
            if shade is not None:
                light = light * shade
            colours = layers[..., :3]
            if self._dots:
                turned = (units[..., 0] + units[..., 1]) * np.float32(np.sqrt(0.5))
                other = (units[..., 0] - units[..., 1]) * np.float32(np.sqrt(0.5))
                turn = np.float32(2 * np.pi * self._rate)
                dots = np.cos(turn * turned) + np.cos(turn * other)
                # Dots show most in the mid-tones: there are none on bare paper, and they merge in
                # the shadows.
                tone = colours[..., 1] * np.float32(1 / 255)
                colours += (np.float32(2 * self._dots) * dots * tone * (1 - tone))[..., None]
            colours *= light[..., None]
            shine = self._gloss.light(units, sheet.turn(index))
            if shine is not None:
                colours += shine[..., None]
            lay(frame, placed, smear(layers, *sheet.stand.speed(index)))
        return sheet.points(index)


class Screen:
    """How a lit screen looks: moire with the camera's pixels, bars of light, gloss, reflections.

    `inside` is the lit part (left, top, right, bottom) in units; `room` is what is reflected.
    """

    def __init__(
        self,
        sheet: Sheet,
        inside: tuple[float, float, float, float],
        room: Canvas,
        style: Style,
        rng: np.random.Generator,
    ) -> None:
        self._sheet = sheet
        self._inside = inside
        self._moire = draw(style.moire, rng)
        median_px = float(np.median(sheet.stand.unit_px))
        self._rate = draw(style.pixel_pitch_px, rng) * median_px
        self._bars, self._bars_px = draw(style.banding, rng), draw(style.banding_rows, rng)
        self._roll_hz = float(rng.choice([-1, 1]) * rng.uniform(0.2, 5))
        self._bright = draw(style.screen_bright, rng)
        self._gloss = _Gloss(draw(style.gloss, rng), rng)
        mirrored = cv2.GaussianBlur(room[:, ::-1], (0, 0), 6)
        self._reflected = (mirrored * draw(style.reflection, rng)).astype(np.float32)

    def draw(self, frame: Canvas, index: int) -> Points:
        """Draw the screen into one frame; returns the points (5, 2) of the face on it, in px."""
        sheet = self._sheet
        placed = sheet.place(index)
        if placed is not None:
            # In planes, since steps of one pixel within a plane are faster than across them.
            layers = sample(sheet.texture, placed, float(sheet.stand.unit_px[index]))
            *colours, cover = (np.asarray(plane, np.float32) for plane in cv2.split(layers))
            units = placed.units
            x, y = cv2.split(units)
            left, top, right, bottom = self._inside
            lit = ((x > left) & (x < right) & (y > top) & (y < bottom)).astype(np.float32)
            turn = np.float32(2 * np.pi * self._rate)
            columns, lines = turn * x, np.cos(turn * y)
            rows = np.arange(placed.top, placed.top + units.shape[0])
            bars = 2 * np.pi * (rows / self._bars_px + self._roll_hz * sheet.stand.at_s[index])
            level = self._bright * (1 + self._bars * np.cos(bars)).astype(np.float32)
            gain = 1 + lit * (level[:, None] - 1)
            for channel in range(3):
                # Each pixel of a screen has blue, green and red side by side.
                stripes = np.cos(columns + np.float32(2 * np.pi / 3 * channel))
                grid = (stripes + 0.6 * lines) * np.float32(self._moire / 255)
                colours[channel] *= gain * (1 + lit * grid)
            shine = self._gloss.light(units, sheet.turn(index))
            seen = 0.3 + 0.7 * lit
            for colour, mirrored in zip(
                colours, cv2.split(self._reflected[placed.window]), strict=True
            ):
                colour += mirrored * seen
                if shine is not None:
                    np.add(colour, shine, out=colour)
            layers = np.asarray(cv2.merge([*colours, cover]), np.float32)
            lay(frame, placed, smear(layers, *sheet.stand.speed(index)))
        return sheet.points(index)


class _Gloss:
    """A lamp's reflection in something shiny, which wanders as the thing is turned."""

    def __init__(self, strength: float, rng: np.random.Generator) -> None:
        self._strength = 150 * strength
        self._at = rng.uniform(-2.5, 2.5, 2)
        self._width = float(rng.uniform(0.3, 1.0))
        self._tall = float(rng.uniform(1.0, 2.5))

    def light(self, units: NDArray[np.float32], turn: tuple[float, float]) -> Canvas | None:
        """What it adds to each place, (h, w) in grey levels; None if the thing is dull."""
        if self._strength <= 0:
            return None
        # Turning a flat mirror by one degree moves a lamp's image by two.
        x = np.float32(self._at[0] - 0.22 * turn[0])
        y = np.float32(self._at[1] + 0.22 * turn[1])
        off = ((units[..., 0] - x) / np.float32(self._width)) ** 2
        off += ((units[..., 1] - y) / np.float32(self._width * self._tall)) ** 2
        return np.asarray(np.float32(self._strength) * np.exp(-off), np.float32)


def printed(picture: Image, style: Style, rng: np.random.Generator) -> Image:
    """A picture as it looks in print: weaker blacks, other tones, fewer colours, spreading ink."""
    tone = (np.arange(256) / 255) ** draw(style.paper_gamma, rng)
    black, white = draw(style.paper_black, rng), float(rng.uniform(200, 235))
    levels = black + (white - black) * tone
    out = levels.astype(np.float32)[picture]
    grey = out.mean(2, keepdims=True)
    out = grey + (out - grey) * float(rng.uniform(0.65, 0.95))
    out *= _tint(draw(style.paper_warmth, rng))
    out = cv2.GaussianBlur(out, (0, 0), draw(style.paper_blur, rng))
    # A print head leaves faint lines.
    out += float(rng.uniform(0, 1.5)) * rng.standard_normal((out.shape[0], 1, 1), np.float32)
    if style.ink == "grain":
        grain = rng.standard_normal(out.shape[:2], np.float32)
        out += (4 * draw(style.ink_strength, rng) * cv2.GaussianBlur(grain, (0, 0), 0.7))[..., None]
    return np.asarray(np.clip(np.round(out), 0, 255), np.uint8)


def paper(
    shown: Shown,
    style: Style,
    rng: np.random.Generator,
    *,
    hands: bool,
    eye_holes: bool = False,
) -> Texture:
    """The sheet with its white margin, the hands that hold it, and holes for the eyes."""
    margin = round(draw(style.paper_margin, rng) * shown.unit_px)
    ink = printed(shown.picture, style, rng)
    paper_white = float(rng.uniform(200, 240)) * _tint(draw(style.paper_warmth, rng))
    sheet = _framed(ink, (margin,) * 4, paper_white.tolist())
    pad = round(_PAD * shown.unit_px)
    origin = shown.origin[0] + margin + pad, shown.origin[1] + margin + pad
    layers = _padded(sheet, pad)
    if eye_holes:
        for x, y in shown.points[:2]:
            at = (round(origin[0] + x * shown.unit_px), round(origin[1] + y * shown.unit_px))
            half = (round(0.27 * shown.unit_px), round(0.13 * shown.unit_px))
            hole = np.full(layers.shape[:2], 255, np.uint8)
            cv2.ellipse(hole, at, half, float(rng.uniform(-5, 5)), 0, 360, 0, -1, cv2.LINE_AA)
            layers[..., 3] = np.minimum(layers[..., 3], hole)
    if hands:
        _hands(layers, pad, shown.unit_px, rng)
    return Texture(layers, origin, shown.unit_px)


def cut_out(person: Texture, style: Style, rng: np.random.Generator) -> Texture:
    """The print of a person cut out of their picture, cut off below the chin: without a margin."""
    whole = person.levels[0]
    below = min(len(whole), round(person.origin[1] + _NECK * person.unit_px))
    layers = whole[:below].copy()
    layers[..., :3] = printed(np.ascontiguousarray(layers[..., :3]), style, rng)
    return Texture(layers, person.origin, person.unit_px)


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """A phone or tablet: its texture, the lit part in units, how to show other pictures on it."""

    texture: Texture
    inside: tuple[float, float, float, float]
    window: tuple[slice, slice]
    tones: NDArray[np.uint8]

    def show(self, picture: Image) -> None:
        """Show another picture (H, W, 3), of the same shape as the first, on the screen."""
        rows, columns = self.window
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if picture.shape[1::-1] != size:
            picture = np.asarray(cv2.resize(picture, size), np.uint8)
        levels = self.texture.levels
        levels[0][rows, columns, :3] = cv2.LUT(picture, self.tones)
        for i in range(1, len(levels)):
            above = levels[i - 1]
            height, width = levels[i].shape[:2]
            levels[i][:] = cv2.resize(above, (width, height), interpolation=cv2.INTER_AREA)


def device(
    shown: Shown, tall: float, style: Style, rng: np.random.Generator, *, hands: bool
) -> Device:
    """A phone or tablet that shows a picture across the full width of its screen.

    The screen is `tall` times as high as it is wide, or as high as the picture if that is higher.
    """
    unit = shown.unit_px
    picture = shown.picture
    height, width = picture.shape[:2]
    wanted = round(tall * width)
    bare = float(rng.choice([0, 12, 30, 235, 250]))
    above = max(0, round((wanted - height) * float(rng.uniform(0.25, 0.75))))
    below = max(0, wanted - height - above)
    bezel = round(draw(style.bezel, rng) * unit)
    grey = draw(style.bezel_grey, rng)
    blue = draw(style.screen_blue, rng)
    gamma = float(rng.uniform(0.9, 1.12))
    curve = 255 * (np.arange(256) / 255) ** gamma
    tones = np.clip(np.round(curve[:, None] * _tint(-blue)[None]), 0, 255).astype(np.uint8)[None]
    body = _framed(picture, (above, below, 0, 0), [bare] * 3)
    body = _framed(np.asarray(cv2.LUT(body, tones), np.uint8), (bezel,) * 4, [grey] * 3)
    pad = round(_PAD * unit)
    layers = _padded(body, pad)
    _round_corners(layers, pad, round(float(rng.uniform(0.1, 0.4)) * unit))
    if hands:
        _hands(layers, pad, unit, rng)
    left, top = pad + bezel, pad + bezel + above
    origin = (shown.origin[0] + left, shown.origin[1] + top)
    texture = Texture(layers, origin, unit)
    x, y = origin
    inside = (
        (left - x) / unit,
        (pad + bezel - y) / unit,
        (left + width - x) / unit,
        (top + height + below - y) / unit,
    )
    window = slice(top, top + height), slice(left, left + width)
    return Device(texture, inside, window, tones)


def _tint(warm: float) -> NDArray[np.float32]:
    """Factors for BGR: positive is warmer, negative bluer."""
    return np.array([1 - warm, 1.0, 1 + warm], np.float32)


def _padded(sheet: Image, pad: int) -> Image:
    cover = np.full((*sheet.shape[:2], 1), 255, np.uint8)
    whole = np.concatenate([sheet, cover], 2)
    return _framed(whole, (pad,) * 4, [0.0] * 4)


def _framed(picture: Image, widths: tuple[int, ...], colour: list[float]) -> Image:
    """With a border in one colour: top, bottom, left, right in px."""
    above, below, left, right = widths
    return np.asarray(
        cv2.copyMakeBorder(picture, above, below, left, right, cv2.BORDER_CONSTANT, value=colour),
        np.uint8,
    )


def _round_corners(layers: Image, pad: int, radius: int) -> None:
    height, width = layers.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    left, top, right, bottom = pad, pad, width - pad - 1, height - pad - 1
    cv2.rectangle(cover, (left + radius, top), (right - radius, bottom), 255, -1)
    cv2.rectangle(cover, (left, top + radius), (right, bottom - radius), 255, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(cover, (x, y), radius, 255, -1, cv2.LINE_AA)
    layers[..., 3] = cover


def _hands(layers: Image, pad: int, unit: float, rng: np.random.Generator) -> None:
    """A thumb at one or both sides or below, and the hand that it belongs to behind the sheet."""
    height, width = layers.shape[:2]
    skin = np.array(_SKINS[int(rng.integers(len(_SKINS)))], np.float64) * rng.uniform(0.85, 1.1)
    thick = float(rng.uniform(0.35, 0.6)) * unit
    sides = [("left", "right"), ("left",), ("right",), ("below",)][int(rng.integers(4))]
    for side in sides:
        along = float(rng.uniform(0.5, 0.85))
        reach = float(rng.uniform(0.2, 0.55)) * unit
        lean = float(rng.uniform(-0.5, 0.5)) * unit
        if side == "below":
            edge = np.array([float(rng.uniform(0.3, 0.7)) * width, height - pad])
            inward, other = np.array([0.0, -1.0]), np.array([1.0, 0.0])
        else:
            x, inward_x = (pad, 1.0) if side == "left" else (width - pad, -1.0)
            edge = np.array([x, pad + along * (height - 2 * pad)])
            inward, other = np.array([inward_x, 0.0]), np.array([0.0, 1.0])
        tip = edge + inward * reach
        root = edge - inward * pad + other * lean
        palm = np.zeros((height, width), np.float32)
        _capsule(palm, root, edge - inward * 0.45 * thick, 2.4 * thick)
        outside = (layers[..., 3] == 0).astype(np.float32)
        _blend(layers, palm * outside, skin * 0.8)
        thumb = np.zeros((height, width), np.float32)
        _capsule(thumb, root, tip, thick)
        shadow = np.roll(cv2.GaussianBlur(thumb, (0, 0), 0.1 * unit), 4, 0)
        _blend(layers, 0.35 * shadow, skin * 0.1)
        # Rounder where the light comes from.
        relief = cv2.GaussianBlur(thumb, (0, 0), 0.3 * thick)
        _blend(layers, thumb, skin, 0.55 + 0.5 * relief)
        nail = np.zeros((height, width), np.float32)
        at = tip - inward * 0.05 * thick
        _capsule(nail, at, at - inward * 0.2 * thick, 0.5 * thick)
        bright = np.minimum(skin * 1.25, 245)
        _blend(layers, 0.35 * nail, bright)
    # Sampling mixes in the colours of what is bare.
    layers[layers[..., 3] == 0, :3] = np.round(bright.astype(np.float32)).astype(np.uint8)


def _capsule(mask: NDArray[np.float32], a: Floats, b: Floats, thick: float) -> None:
    one, other = (tuple(round(float(v)) for v in point) for point in (a, b))
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.line(drawn, one, other, 255, max(1, round(thick)), cv2.LINE_AA)
    np.maximum(mask, cv2.GaussianBlur(drawn, (0, 0), 1.0).astype(np.float32) / 255, out=mask)


def _blend(
    layers: Image,
    cover: NDArray[np.float32],
    colour: Floats,
    light: NDArray[np.float32] | None = None,
) -> None:
    left, top, width, height = cv2.boundingRect((cover > 0).astype(np.uint8))
    window = slice(top, top + height), slice(left, left + width)
    part, cover = layers[window], cover[window]
    shade = np.ones(cover.shape, np.float32) if light is None else light[window]
    painted = shade[..., None] * colour.astype(np.float32)
    under = part.astype(np.float32)
    own = under[..., 3] / 255
    colours = under[..., :3] + (painted - under[..., :3]) * cover[..., None]
    # Where nothing was before, only the new colour counts.
    colours = np.where((own == 0)[..., None], painted, colours)
    alpha = 255 * (own + (1 - own) * cover)
    part[:] = np.clip(np.round(np.dstack([colours, alpha])), 0, 255).astype(np.uint8)
