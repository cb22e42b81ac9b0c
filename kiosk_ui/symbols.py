"""The symbols, one per screen: each can be told from the others by its outline alone.

Pure functions of the state and of how long it has been shown. Every animation ends in, or swings
around, a picture that says the same, so nothing is lost with animations off.
"""

from __future__ import annotations

import math

from oneglance.contract.messages import Hint, Step
from oneglance.kiosk_ui.geometry import (
    Disc,
    Fill,
    Point,
    Shape,
    Stroke,
    arc,
    beginning,
    ring,
    rounded_box,
    turned,
)
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.kiosk_ui.screen import Kind, ScreenState

WIDTH = 0.10
_MIDDLE: Point = (0.0, 0.0)
_RADIUS = 0.90
_FADE_S = 0.18
_FADE_FROM = 0.35
_DRAW_S = 0.25
# By then every entrance is over.
SETTLED_S = 0.5
_ALWAYS_MOVE = {Kind.STARTING, Kind.LOOK_HERE, Kind.CHALLENGE}
# Half the gap in the ring of a challenge.
_GAP_DEG = 26
_BLINK_EVERY_S = 9.0
_BLINK_S = 0.24
_BLINK_MARGIN_S = 0.1
# The face in the frame is small for somebody who is too far away, large for one too near.
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
        case Kind.CHALLENGE:
            return _challenge(state, age_s)
        case Kind.WELCOME:
            return _welcome(age_s)
        case Kind.NOT_RECOGNISED:
            return _not_recognised(age_s)
        case Kind.NOT_SURE:
            return _not_sure(age_s)
        case Kind.NOT_NOW:
            return _not_now(age_s)
        case Kind.WAIT:
            return _wait(age_s)
        case Kind.CLAIM:
            return _badge()
        case Kind.PIN_PAD:
            return _entered(state.digits)
        case Kind.DOOR_OPEN:
            return _door_open()
        case Kind.DOOR_FAULT:
            return _door_fault()
        case Kind.CAMERA_LOST:
            return _camera_lost()
        case Kind.MAINTENANCE:
            return _wrench()
        case Kind.OFFLINE:
            return _bell()


def moment(state: ScreenState, age_s: float) -> float:
    """The age at which to draw a screen that is `age_s` old: the same while nothing moves.

    So a still picture is not drawn again, which would keep a core busy.
    """
    if age_s < SETTLED_S or state.kind in _ALWAYS_MOVE:
        return age_s
    if state.kind is Kind.IDLE and blinks(age_s):
        return age_s
    if state.kind is Kind.WAIT:
        return max(SETTLED_S, math.floor(age_s))
    return SETTLED_S


def moves(state: ScreenState, age_s: float) -> bool:
    """Whether a screen of `age_s` seconds looks different in the next moment."""
    return moment(state, age_s) == age_s


def fade(age_s: float) -> float:
    """How visible a screen is `age_s` seconds after it came up: readable at once, then 1."""
    return _FADE_FROM + (1 - _FADE_FROM) * _eased(age_s / _FADE_S)


def _eased(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return 1 - (1 - share) ** 3


def _wave(age_s: float, period_s: float) -> float:
    """Swings between 0 and 1, starting at 1."""
    return 0.5 + 0.5 * math.cos(2 * math.pi * age_s / period_s)


def _starting(age_s: float) -> tuple[Shape, ...]:
    return tuple(
        Disc((0.55 * (i - 1), 0.0), 0.16, 0.16, 0.4 + 0.6 * _wave(age_s - 0.25 * i, 1.5))
        for i in range(3)
    )


def blinks(age_s: float) -> bool:
    """Whether the idle eye moves at this age, so that it must be drawn again."""
    return (age_s + _BLINK_EVERY_S / 2) % _BLINK_EVERY_S < _BLINK_S + _BLINK_MARGIN_S


def _eye(age_s: float) -> tuple[Shape, ...]:
    # It does not breathe: each frame of that would cost as much as searching for a face.
    since_blink_s = (age_s + _BLINK_EVERY_S / 2) % _BLINK_EVERY_S
    closing = math.sin(math.pi * since_blink_s / _BLINK_S) if since_blink_s < _BLINK_S else 0.0
    open_ = 1 - 0.94 * closing
    corner, rise = 0.95, 0.58 * open_
    radius = (corner**2 + rise**2) / (2 * rise)
    half_deg = math.degrees(math.asin(corner / radius))
    upper = arc((0.0, rise - radius), radius, radius, 90 - half_deg, 90 + half_deg)
    lower = arc((0.0, radius - rise), radius, radius, 270 - half_deg, 270 + half_deg)
    iris = 0.3
    return (
        Stroke(upper[:-1] + lower[:-1], WIDTH, closed=True),
        Stroke(ring(_MIDDLE, iris, iris * open_), WIDTH, closed=True),
        Disc(_MIDDLE, 0.1, 0.1 * open_),
    )


def _face(
    size: float, strength: float = 1.0, at: Point = _MIDDLE, looks: Point = _MIDDLE
) -> tuple[Shape, ...]:
    """A face at `at`; `looks` is how far its eyes and mouth have moved."""
    width = WIDTH * 0.8
    x, y = at[0] + looks[0] * size, at[1] + looks[1] * size
    return (
        Stroke(ring(at, 0.40 * size, 0.51 * size), width, closed=True, strength=strength),
        Disc((x - 0.15 * size, y + 0.10 * size), 0.05 * size, 0.065 * size, strength),
        Disc((x + 0.15 * size, y + 0.10 * size), 0.05 * size, 0.065 * size, strength),
        Stroke(
            arc((x, y - 0.02 * size), 0.23 * size, 0.25 * size, 228, 312),
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
    # A little of the ring is always there, to show that something has begun.
    share = 0.04 + 0.96 * progress
    return (
        Stroke(ring(_MIDDLE, _RADIUS, _RADIUS), WIDTH, closed=True, strength=0.2),
        Stroke(arc(_MIDDLE, _RADIUS, _RADIUS, 90, 90 - 360 * share), WIDTH * 1.3),
        *_face(0.95 * _FACE_SIZE.get(hint, 1.0), 0.85),
    )


def _challenge(state: ScreenState, age_s: float) -> tuple[Shape, ...]:
    # The ring is the time that is left; in its gap there is a dot for each step.
    whole = 360 - 2 * _GAP_DEG
    begin = 270 - _GAP_DEG
    left = 0.01 + 0.99 * state.progress
    dots = tuple(_dot(i, state) for i in range(state.steps))
    return (
        Stroke(arc(_MIDDLE, _RADIUS, _RADIUS, begin, begin - whole), WIDTH * 0.8, strength=0.2),
        Stroke(arc(_MIDDLE, _RADIUS, _RADIUS, begin, begin - whole * left), WIDTH * 0.8),
        *dots,
        *_asked(state.step, 0.06 * (1 - _wave(age_s, 1.2))),
    )


def _dot(index: int, state: ScreenState) -> Disc:
    now, radius = index + 1 == state.number, 0.055
    radius *= 1.4 if now else 1.0
    middle = (0.22 * (index - (state.steps - 1) / 2), -_RADIUS)
    return Disc(middle, radius, radius, 1.0 if index < state.number else 0.3)


def _asked(step: Step, beckon: float) -> tuple[Shape, ...]:
    """A face that does the step; the arrow moves along by `beckon`.

    A visitor's left is the screen's left, as in a mirror.
    """
    match step:
        case Step.LOOK_STRAIGHT:
            return _face(1.0)
        case Step.TURN_LEFT:
            return _towards((-1.0, 0.0), beckon)
        case Step.TURN_RIGHT:
            return _towards((1.0, 0.0), beckon)
        case Step.LOOK_UP:
            return _towards((0.0, 1.0), beckon)
        case Step.COME_CLOSER:
            corners = tuple(
                shape
                for degrees in (45, 135, 225, 315)
                for shape in _arrow(degrees, 0.36 + beckon, 0.70 + beckon, 0.17)
            )
            return (*_face(0.5), *corners)


def _towards(way: Point, beckon: float) -> tuple[Shape, ...]:
    degrees = math.degrees(math.atan2(way[1], way[0]))
    face = _face(0.85, at=(-0.24 * way[0], -0.26 * way[1]), looks=(0.13 * way[0], 0.13 * way[1]))
    return (*face, *_arrow(degrees, 0.26 + beckon, 0.64 + beckon, 0.2))


def _arrow(degrees: float, begin: float, end: float, head: float) -> tuple[Shape, ...]:
    """An arrow from the middle outwards, counter-clockwise from the right."""
    shaft = ((begin, 0.0), (end, 0.0))
    tip = ((end - head, head), (end, 0.0), (end - head, -head))
    return (
        Stroke(turned(shaft, degrees), WIDTH * 1.3),
        Stroke(turned(tip, degrees), WIDTH * 1.3),
    )


def _welcome(age_s: float) -> tuple[Shape, ...]:
    around = arc(_MIDDLE, _RADIUS, _RADIUS, 90, -270)
    tick: tuple[Point, ...] = ((-0.42, -0.01), (-0.11, -0.32), (0.44, 0.33))
    return (
        Disc(_MIDDLE, _RADIUS, _RADIUS),
        Stroke(around, WIDTH),
        Stroke(beginning(tick, _eased((age_s - 0.05) / _DRAW_S)), WIDTH * 2, strength=0.0),
    )


def _not_recognised(age_s: float) -> tuple[Shape, ...]:
    # A box and not a ring: the outline alone tells it from the welcome.
    share = _eased(age_s / _DRAW_S)
    arm = 0.34
    return (
        *_plate(rounded_box(-0.82, -0.82, 0.82, 0.82, 0.34)),
        Stroke(beginning(((-arm, arm), (arm, -arm)), share), WIDTH * 2, strength=0.0),
        Stroke(beginning(((arm, arm), (-arm, -arm)), share), WIDTH * 2, strength=0.0),
    )


def _plate(edge: tuple[Point, ...]) -> tuple[Shape, ...]:
    """A filled sign with its symbol cut out."""
    return (Fill(edge), Stroke(edge, WIDTH, closed=True))


def _not_sure(age_s: float) -> tuple[Shape, ...]:
    hook = (*arc((0.0, 0.25), 0.25, 0.25, 175, -50), (0.02, -0.06), (0.0, -0.16))
    return (
        *_plate(turned(rounded_box(-0.66, -0.66, 0.66, 0.66, 0.24), 45)),
        Stroke(beginning(hook, _eased(age_s / _DRAW_S)), WIDTH * 1.8, strength=0.0),
        Disc((0.0, -0.46), 0.11, 0.11, 0.0),
    )


def _not_now(age_s: float) -> tuple[Shape, ...]:
    # Eight corners, as a sign that says stop.
    edge = tuple(turned(((0.88, 0.0),), 22.5 + 45 * i)[0] for i in range(8))
    bar = ((-0.42, 0.0), (0.42, 0.0))
    return (
        *_plate(edge),
        Stroke(beginning(bar, _eased(age_s / _DRAW_S)), WIDTH * 2.2, strength=0.0),
    )


def _wait(age_s: float) -> tuple[Shape, ...]:
    # A clock; its long hand moves on once a second, and goes round in a minute.
    hand = turned(((0.0, 0.0), (0.0, 0.58)), -6.0 * math.floor(age_s % 60))
    return (
        Stroke(ring(_MIDDLE, _RADIUS, _RADIUS), WIDTH, closed=True),
        Stroke(((0.0, 0.0), (0.34, -0.2)), WIDTH * 1.2, strength=0.7),
        Stroke(hand, WIDTH * 1.2),
        Disc(_MIDDLE, 0.09, 0.09),
    )


def _badge() -> tuple[Shape, ...]:
    """A card with somebody's picture and lines, hung by its slot."""
    width = WIDTH * 0.9
    shoulders = arc((0.0, -0.36), 0.35, 0.31, 0, 180)
    return (
        Stroke(rounded_box(-0.62, -0.92, 0.62, 0.92, 0.2), WIDTH, closed=True),
        Stroke(((-0.16, 0.68), (0.16, 0.68)), WIDTH),
        Disc((0.0, 0.25), 0.17, 0.19),
        *(Fill(shoulders), Stroke(shoulders, WIDTH * 0.4, closed=True)),
        Stroke(((-0.3, -0.62), (0.3, -0.62)), width, strength=0.6),
    )


def _entered(digits: int) -> tuple[Shape, ...]:
    """As many dots as digits, in two rows; the places of the first row show how many are needed."""
    shapes: list[Shape] = []
    for i in range(max(6, digits)):
        row, column = divmod(i, 6)
        middle = (0.33 * (column - 2.5), 0.14 - 0.32 * row)
        if i < digits:
            shapes.append(Disc(middle, 0.105, 0.105))
        else:
            shapes.append(Stroke(ring(middle, 0.08, 0.08), 0.035, closed=True, strength=0.45))
    return tuple(shapes)


def key_sign(key: Key) -> tuple[Shape, ...]:
    """The symbol on a key of the PIN pad that is not a digit."""
    match key:
        case Key.OPEN:
            places = [(x, y) for y in (1, 0, -1) for x in (-1, 0, 1)]
            return tuple(Disc((0.5 * x, 0.5 * y), 0.14, 0.14) for x, y in places)
        case Key.CLOSE:
            return _cross(_MIDDLE, 0.5, 0.2)
        case Key.DELETE:
            edge = (
                *((-0.98, 0.0), (-0.42, 0.6), (0.95, 0.6), (0.95, -0.6), (-0.42, -0.6)),
                (-0.98, 0.0),
            )
            return (Stroke(edge, 0.15), *_cross((0.28, 0.0), 0.25, 0.15))
        case Key.SEND:
            return (Stroke(((-0.75, -0.02), (-0.2, -0.55), (0.78, 0.6)), 0.26),)


def letter_sign(key: str) -> tuple[Shape, ...]:
    """The symbols on the keys beside the letters: Shift and the space bar."""
    if key == "shift":
        edge = ((0.0, 0.8), (0.75, 0.0), (0.3, 0.0), (0.3, -0.7), (-0.3, -0.7), (-0.3, 0.0))
        return (Stroke((*edge, (-0.75, 0.0), (0.0, 0.8)), 0.15),)
    return (Stroke(((-0.9, 0.2), (-0.9, -0.3), (0.9, -0.3), (0.9, 0.2)), 0.15),)


def tick_sign(*, chosen: bool) -> tuple[Shape, ...]:
    """The mark before each of several choices: a ring, with a tick if it is chosen."""
    edge = Stroke(ring((0.0, 0.0), 0.9, 0.9), 0.12, closed=True)
    if not chosen:
        return (edge,)
    return (edge, Stroke(((-0.42, -0.02), (-0.1, -0.34), (0.46, 0.36)), 0.2))


def _cross(middle: Point, arm: float, width: float) -> tuple[Shape, ...]:
    x, y = middle
    return (
        Stroke(((x - arm, y + arm), (x + arm, y - arm)), width),
        Stroke(((x + arm, y + arm), (x - arm, y - arm)), width),
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


def _door_open() -> tuple[Shape, ...]:
    frame = ((-0.55, -0.88), (-0.55, 0.88), (0.5, 0.88), (0.5, -0.88))
    leaf = ((-0.55, 0.88), (0.08, 0.62), (0.08, -0.98), (-0.55, -0.88))
    return (
        Stroke(((-0.92, -0.88), (0.92, -0.88)), WIDTH, strength=0.45),
        Stroke(frame, WIDTH),
        Stroke(leaf, WIDTH),
        Disc((-0.1, -0.14), 0.07, 0.07),
    )


def _door_fault() -> tuple[Shape, ...]:
    return (
        Stroke(((-0.92, -0.88), (0.92, -0.88)), WIDTH, strength=0.45),
        Stroke(((-0.5, -0.88), (-0.5, 0.88), (0.5, 0.88), (0.5, -0.88)), WIDTH),
        Stroke(((0.0, 0.5), (0.0, -0.02)), WIDTH * 1.6),
        Disc((0.0, -0.34), 0.1, 0.1),
    )


def _wrench() -> tuple[Shape, ...]:
    jaw = arc((0.0, 0.5), 0.36, 0.36, 125, 415)
    handle = ((0.0, 0.13), (0.0, -0.78))
    return (
        Stroke(turned(jaw, -45), WIDTH * 1.5),
        Stroke(turned(handle, -45), WIDTH * 2.6),
        Stroke(turned(arc((0.0, 0.62), 0.12, 0.12, 180, 360), -45), WIDTH * 1.2),
    )


def _bell() -> tuple[Shape, ...]:
    side = ((-0.78, -0.5), (-0.56, -0.22), (-0.52, 0.16))
    dome = arc((0.0, 0.16), 0.52, 0.52, 180, 0)
    body = (*side, *dome, *((-x, y) for x, y in reversed(side)), side[0])
    return (
        Stroke(body, WIDTH),
        Disc((0.0, 0.8), 0.1, 0.1),
        Stroke(arc((0.0, -0.56), 0.26, 0.26, 200, 340), WIDTH * 1.2),
    )
