"""The symbols, one a screen: each can be told from the others by its outline alone.

Pure functions of the state and of how long it has been up. Every animation ends, or swings around,
a picture that says the same: with animations off nothing is lost.
"""

from __future__ import annotations

import math

from oneglance.contract.messages import Hint
from oneglance.kiosk_ui.geometry import (
    Disc,
    Point,
    Shape,
    Stroke,
    arc,
    beginning,
    ring,
    rounded_box,
    turned,
)
from oneglance.kiosk_ui.screen import Kind, ScreenState

WIDTH = 0.10
_MIDDLE: Point = (0.0, 0.0)
_RADIUS = 0.90
_FADE_S = 0.18
_FADE_FROM = 0.35
_DRAW_S = 0.25
_BREATH_S = 4.0
_BLINK_EVERY_S = 6.0
_BLINK_S = 0.22
# A face in the frame is drawn small to somebody who is too far, large to one who is too near.
_FACE_SIZE = {Hint.COME_CLOSER: 0.62, Hint.STEP_BACK: 1.32}


def symbol(state: ScreenState, age_s: float) -> tuple[Shape, ...]:
    """The shapes of the state's symbol, `age_s` seconds after it came up, back to front."""
    match state.kind:
        case Kind.STARTING:
            return _starting(age_s)
        case Kind.IDLE:
            return _eye(age_s)
        case Kind.LOOK_HERE:
            return _look_here(state.hint, age_s)
        case Kind.CHECKING:
            return _checking(state.progress, state.hint)
        case Kind.WELCOME:
            return _welcome(age_s)
        case Kind.NOT_RECOGNISED:
            return _not_recognised(age_s)
        case Kind.CAMERA_LOST:
            return _camera_lost()
        case Kind.OFFLINE:
            return _offline()


def fade(age_s: float) -> float:
    """How visible a screen is, `age_s` seconds after it came up: readable at once, then 1."""
    return _FADE_FROM + (1 - _FADE_FROM) * _eased(age_s / _FADE_S)


def _eased(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return 1 - (1 - share) ** 3


def _wave(age_s: float, period_s: float) -> float:
    """Swings between 0 and 1, beginning at 1."""
    return 0.5 + 0.5 * math.cos(2 * math.pi * age_s / period_s)


def _starting(age_s: float) -> tuple[Shape, ...]:
    return tuple(
        Disc((0.55 * (i - 1), 0.0), 0.16, 0.16, 0.4 + 0.6 * _wave(age_s - 0.25 * i, 1.5))
        for i in range(3)
    )


def _eye(age_s: float) -> tuple[Shape, ...]:
    since_blink_s = (age_s + _BLINK_EVERY_S / 2) % _BLINK_EVERY_S
    closing = math.sin(math.pi * since_blink_s / _BLINK_S) if since_blink_s < _BLINK_S else 0.0
    open_ = 1 - 0.94 * closing
    corner, rise = 0.95, 0.58 * open_
    radius = (corner**2 + rise**2) / (2 * rise)
    half_deg = math.degrees(math.asin(corner / radius))
    upper = arc((0.0, rise - radius), radius, radius, 90 - half_deg, 90 + half_deg)
    lower = arc((0.0, radius - rise), radius, radius, 270 - half_deg, 270 + half_deg)
    breath = _wave(age_s, _BREATH_S)
    iris = 0.29 + 0.015 * breath
    return (
        Stroke(upper[:-1] + lower[:-1], WIDTH, closed=True, strength=0.8 + 0.2 * breath),
        Stroke(ring(_MIDDLE, iris, iris * open_), WIDTH, closed=True),
        Disc(_MIDDLE, 0.1, 0.1 * open_),
    )


def _face(size: float, strength: float = 1.0) -> tuple[Shape, ...]:
    width = WIDTH * 0.8
    return (
        Stroke(ring(_MIDDLE, 0.40 * size, 0.51 * size), width, closed=True, strength=strength),
        Disc((-0.15 * size, 0.10 * size), 0.05 * size, 0.065 * size, strength),
        Disc((0.15 * size, 0.10 * size), 0.05 * size, 0.065 * size, strength),
        Stroke(
            arc((0.0, -0.02 * size), 0.23 * size, 0.25 * size, 228, 312),
            width * 0.85,
            False,
            strength,
        ),
    )


def _look_here(hint: Hint, age_s: float) -> tuple[Shape, ...]:
    edge = 0.93 - 0.04 * (1 - _wave(age_s, 2.0))
    radius, arm = 0.30, 0.18
    bracket = (
        (edge, edge - radius - arm),
        *arc((edge - radius, edge - radius), radius, radius, 0, 90),
        (edge - radius - arm, edge),
    )
    corners = tuple(Stroke(turned(bracket, 90 * i), WIDTH) for i in range(4))
    return (*corners, *_face(_FACE_SIZE.get(hint, 1.0)))


def _checking(progress: float, hint: Hint) -> tuple[Shape, ...]:
    # A first bit of the ring is always there: it says that something has begun.
    share = 0.04 + 0.96 * progress
    return (
        Stroke(ring(_MIDDLE, _RADIUS, _RADIUS), WIDTH, closed=True, strength=0.2),
        Stroke(arc(_MIDDLE, _RADIUS, _RADIUS, 90, 90 - 360 * share), WIDTH * 1.3),
        *_face(0.95 * _FACE_SIZE.get(hint, 1.0), 0.85),
    )


def _welcome(age_s: float) -> tuple[Shape, ...]:
    around = arc(_MIDDLE, _RADIUS, _RADIUS, 90, -270)
    tick: tuple[Point, ...] = ((-0.42, -0.01), (-0.11, -0.32), (0.44, 0.33))
    return (
        Disc(_MIDDLE, _RADIUS, _RADIUS, 0.16),
        Stroke(beginning(around, _eased(age_s / _DRAW_S)), WIDTH),
        Stroke(beginning(tick, _eased((age_s - 0.08) / _DRAW_S)), WIDTH * 1.6),
    )


def _not_recognised(age_s: float) -> tuple[Shape, ...]:
    # A box and not a ring: the outline alone tells it from the welcome.
    share = _eased(age_s / _DRAW_S)
    arm = 0.38
    return (
        Stroke(rounded_box(-0.84, -0.84, 0.84, 0.84, 0.34), WIDTH, closed=True),
        Stroke(beginning(((-arm, arm), (arm, -arm)), share), WIDTH * 1.6),
        Stroke(beginning(((arm, arm), (-arm, -arm)), share), WIDTH * 1.6),
    )


def _camera_lost() -> tuple[Shape, ...]:
    slash = ((-0.80, 0.82), (0.80, -0.86))
    return (
        Stroke(rounded_box(-0.92, -0.60, 0.92, 0.52, 0.22), WIDTH, closed=True),
        Stroke(((-0.34, 0.54), (-0.22, 0.74), (0.22, 0.74), (0.34, 0.54)), WIDTH),
        Stroke(ring((0.0, -0.04), 0.32, 0.32), WIDTH, closed=True),
        Stroke(slash, WIDTH * 3.2, strength=0.0),
        Stroke(slash, WIDTH * 1.2),
    )


def _offline() -> tuple[Shape, ...]:
    half = ((-0.22, 0.27), *arc((-0.62, 0.0), 0.27, 0.27, 90, 270), (-0.22, -0.27))
    sparks = (((0.0, 0.30), (0.0, 0.58)), ((0.0, -0.30), (0.0, -0.58)))
    return (
        Stroke(turned(half, 45), WIDTH),
        Stroke(turned(half, 225), WIDTH),
        *(Stroke(turned(spark, 45), WIDTH * 0.8, strength=0.7) for spark in sparks),
    )
