"""Make a film of a visit or of a presentation attack from photographs.

Visits and attacks have the same positions, rooms and cameras; only what is held up to the camera
differs. Pure: all randomness comes from the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.acts import Act, amount
from oneglance.training.liveness.camera import Camera
from oneglance.training.liveness.film import (
    APART_KINDS,
    CUT_OUT_KIND,
    GENUINE_KINDS,
    KINDS,
    REPLAY_KINDS,
    SCREEN_KINDS,
    STANDING_KINDS,
    Film,
    Image,
    Points,
)
from oneglance.training.liveness.head import Head
from oneglance.training.liveness.motion import in_hand, wander
from oneglance.training.liveness.portrait import UNIT_PX, Portrait
from oneglance.training.liveness.rooms import room
from oneglance.training.liveness.sheet import (
    Motion,
    Print,
    Screen,
    Sheet,
    Shown,
    cut_out,
    device,
    paper,
)
from oneglance.training.liveness.stand import Path, Stand, stand, times
from oneglance.training.liveness.styles import Style, draw
from oneglance.training.liveness.warp import Canvas, lay

# Something that draws into a frame and says where the face's points are.
Draw = Callable[[Canvas, int], Points]

_TILT_DEG, _LOOK_UP_DEG = 30.0, 22.0


@dataclass(frozen=True, slots=True)
class _Set:
    """What the parts of one film share."""

    style: Style
    rng: np.random.Generator
    at_s: Path
    acts: tuple[Act, ...]
    others: tuple[Portrait, ...]
    room: Canvas
    stand: Stand

    def someone(self) -> Portrait | None:
        return self.others[int(self.rng.integers(len(self.others)))] if self.others else None


@dataclass(slots=True)
class Scene:
    """A film that has not been taken yet: `take` its frames in order, as many as wanted.

    The same arguments and seed with different acts give a scene that is the same up to the first
    act that differs. With that scene's `draws` in place of its own, a film can continue with what a
    visitor does when asked for it on the way. `head` is the visitor's, if this is a visit.
    """

    at_s: Path
    behind: Canvas
    draws: list[Draw]
    camera: Camera
    head: Head | None

    def take(self, index: int) -> tuple[Image, Points]:
        """The next frame, uint8 (H, W, 3) BGR, and the points (5, 2) in px as they were drawn."""
        frame = self.behind.copy()
        for draw_part in self.draws:
            seen = draw_part(frame, index)
        return self.camera.take(frame, index), seen


class Reel(Sequence[Image]):
    """A scene's frames, each taken when it or a later one is first asked for, then kept."""

    def __init__(self, there: Scene) -> None:
        self._scene = there
        self._taken: list[Image] = []

    def __len__(self) -> int:
        return len(self._scene.at_s)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        while len(self._taken) <= number:
            self._taken.append(self._scene.take(len(self._taken))[0])
        return self._taken[number]


def render(
    kind: str,
    portraits: Sequence[Portrait],
    others: Sequence[Portrait],
    style: Style,
    rng: np.random.Generator,
    *,
    acts: Sequence[Act] = (),
    seconds: float | None = None,
    fps: float | None = None,
    footage: Film | None = None,
) -> Film:
    """A film of the person of `portraits`, of one of KINDS or APART_KINDS: a whole `scene`."""
    there = scene(
        *(kind, portraits, others, style, rng),
        acts=acts,
        seconds=seconds,
        fps=fps,
        footage=footage,
    )
    frames, points = zip(*(there.take(index) for index in range(len(there.at_s))), strict=True)
    return Film(
        kind,
        portraits[0].person,
        kind in GENUINE_KINDS,
        True,
        style.name,
        frames,
        there.at_s,
        np.stack(points),
    )


def scene(
    kind: str,
    portraits: Sequence[Portrait],
    others: Sequence[Portrait],
    style: Style,
    rng: np.random.Generator,
    *,
    acts: Sequence[Act] = (),
    seconds: float | None = None,
    fps: float | None = None,
    footage: Film | None = None,
    plays: Callable[[float], float] | None = None,
) -> Scene:
    """A scene of one of KINDS or APART_KINDS that shows the person of `portraits`; no frame is
    taken yet.

    `others` are portraits of other people: they hold photographs up, and parts of their pictures
    hang in the room; without any, nobody is behind a photograph. A visitor does the `acts`;
    somebody who holds something flat turns and moves it; and a replay shows what was filmed
    earlier. `footage` is what a replay shows, by default a visit made for it; `plays` maps the
    scene's seconds to seconds of it, by default in a loop. Raises ValueError for an unknown kind,
    no portrait, or fewer than two for "visit_two_photos".
    """
    known = (*KINDS, *APART_KINDS)
    if kind not in known:
        raise ValueError(f"unknown kind of film {kind!r}; there are {', '.join(known)}")
    needed = "2 portraits" if kind == "visit_two_photos" else "1 portrait"
    if len(portraits) < int(needed[0]):
        raise ValueError(f"{kind} needs {needed}, not {len(portraits)}")
    at_s = times(rng, seconds, fps)
    still = dict.fromkeys(("print_still", *STANDING_KINDS), 1.0)
    grow = {"print_approaching": float(rng.uniform(1.5, 2.4)), **still}.get(kind)
    place = stand(at_s, rng, grow=grow, acts=acts)
    form = style.rooms[int(rng.integers(len(style.rooms)))]
    behind = room(form, place.size, list(others), rng)
    shared = _Set(style, rng, at_s, tuple(acts), tuple(others), behind, place)
    head = None
    if kind in GENUINE_KINDS:
        head, draws = _visit(kind, portraits, shared)
    elif kind in (*SCREEN_KINDS, *STANDING_KINDS):
        draws = _on_screen(kind, portraits, shared, footage, plays)
    elif kind == CUT_OUT_KIND:
        draws = _cut_out(portraits, shared)
    else:
        draws = _on_paper(kind, portraits, shared)
    return Scene(at_s, behind, draws, Camera(place.size, at_s, style, rng), head)


def filmed(
    portraits: Sequence[Portrait],
    others: Sequence[Portrait],
    style: Style,
    rng: np.random.Generator,
    *,
    acts: Sequence[Act] = (),
    seconds: float | None = None,
    fps: float | None = None,
) -> Film:
    """As `render` makes a "visit", but its frames are made when they are wanted.

    Until the last one, `rng` must not be used for anything else.
    """
    there = scene("visit", portraits, others, style, rng, acts=acts, seconds=seconds, fps=fps)
    assert there.head is not None  # noqa: S101
    points = np.stack([there.head.points(index) for index in range(len(there.at_s))])
    person = portraits[0].person
    return Film("visit", person, True, True, style.name, Reel(there), there.at_s, points)


def _gain(portrait: Portrait, rng: np.random.Generator) -> float:
    """Fits a photograph's light to the room: half-way to a common brightness."""
    level = max(portrait.brightness, 20.0)
    return float(np.clip((120 / level) ** 0.5 * rng.uniform(0.85, 1.15), 0.6, 1.6))


def _visit(kind: str, portraits: Sequence[Portrait], on: _Set) -> tuple[Head, list[Draw]]:
    rng = on.rng
    first = portraits[int(rng.integers(len(portraits)))]
    gain = _gain(first, rng)
    head = Head(first, on.stand, on.style, rng, on.acts, gain=gain)
    if kind == "visit":
        return head, [head.draw]
    rest = [portrait for portrait in portraits if portrait is not first]
    second = rest[int(rng.integers(len(rest)))]
    return head, [_Morph(head, second, gain, on).draw]


class _Morph:
    """One head whose face changes into that of another photograph of the same person, and back.

    Hair, neck and clothes stay those of the first.
    """

    def __init__(self, head: Head, portrait: Portrait, gain: float, on: _Set) -> None:
        self._one = head
        self._other = head.same_motion(portrait, gain * _colour_of(head.portrait, portrait))
        part = 0.5 + 0.8 * wander(on.style, on.at_s, 0.35, on.rng)
        self._part = np.clip(part, 0, 1)

    def draw(self, frame: Canvas, index: int) -> Points:
        part = float(self._part[index])
        apart = self._other.portrait.points - self._one.portrait.points
        self._one.shifts = part * apart
        self._other.shifts = (part - 1) * apart
        points = self._one.draw(frame, index)
        seen = self._other.layers(index)
        if seen is not None and part > 0:
            placed, layers = seen
            x, y = placed.units[..., 0], placed.units[..., 1]
            out = np.sqrt((x / 0.95) ** 2 + ((y - 0.05) / 1.25) ** 2)
            layers[..., 3] *= np.float32(part) * np.clip((1 - out) / 0.3, 0, 1)
            lay(frame, placed, layers)
        return points


def _colour_of(one: Portrait, other: Portrait) -> NDArray[np.float32]:
    """Factors (3,) that give the face of one portrait the colour of the other's."""
    wanted, own = one.colour, np.maximum(other.colour, 8.0)
    return np.asarray(np.clip(wanted / own, 0.5, 2.0), np.float32)


def _shown(portraits: Sequence[Portrait], on: _Set, half: tuple[float, float]) -> Shown:
    """What an attacker holds: the photograph cut to a frame, or the person at another wall.

    `half` is how far it reaches sideways and up or down, in units, if the photograph does.
    """
    rng = on.rng
    portrait = portraits[int(rng.integers(len(portraits)))]
    if rng.random() < 0.4:
        picture, (x, y) = _still(portrait, on)
    else:
        picture, (x, y) = portrait.picture, portrait.origin
    up = float(rng.uniform(0.85, 1.1))
    left, right = max(0, round(x - half[0] * UNIT_PX)), round(x + half[0] * UNIT_PX)
    top, bottom = max(0, round(y - up * half[1] * UNIT_PX)), round(y + half[1] * UNIT_PX)
    cut = np.ascontiguousarray(picture[top:bottom, left:right])
    return Shown(cut, (x - left, y - top), UNIT_PX, portrait.points)


def _still(portrait: Portrait, on: _Set) -> tuple[Image, tuple[float, float]]:
    """The person photographed in front of another wall."""
    rng, side = on.rng, round(7 * UNIT_PX)
    form = on.style.rooms[int(rng.integers(len(on.style.rooms)))]
    frame = room(form, (side, side), list(on.others), rng)
    once = np.zeros(1)
    middle = np.array([side / 2])
    unit = np.array([UNIT_PX])
    there = Stand((side, side), once, middle, 0.95 * middle, unit, np.array([12.0]), 0.0)
    calm = replace(on.style, sway_yaw_deg=(0.0, 1.0))
    head = Head(portrait, there, calm, rng, gain=_gain(portrait, rng))
    head.closed[:] = 0
    seen = head.layers(0)
    if seen is not None:
        lay(frame, *seen)
    x, y = head.forward(np.zeros((1, 2)), 0)[0]
    return np.clip(np.round(frame), 0, 255).astype(np.uint8), (float(x), float(y))


def _motion(kind: str, on: _Set) -> Motion:
    """How an attacker moves what they hold."""
    rng, style, at_s = on.rng, on.style, on.at_s
    hand = in_hand(style, at_s, rng)
    tilt = np.zeros((len(at_s), 2))
    if kind == "print_still":
        # It hangs, so only the wall trembles.
        hand *= 0.01
    elif kind in STANDING_KINDS:
        # However it was put there, there it stays.
        hand[:] = hand[0]
    elif kind in {"print_tilted", CUT_OUT_KIND}:
        widest = draw(style.tilt_deg, rng)
        steady = rng.uniform(-0.4, 0.4, 2) * widest
        tilt = steady + widest * np.stack([wander(style, at_s, 0.5, rng) for _ in range(2)], 1)
        tilt = np.clip(tilt, -38, 38)
    elif kind == "print_shaken":
        hz, far = draw(style.shake_hz, rng), draw(style.shake, rng)
        phases = rng.uniform(0, 2 * np.pi, 4)
        swing = np.sin(2 * np.pi * hz * at_s[:, None] * [1, 1.13, 0.91, 1.07] + phases)
        hand[:, 0] += far * swing[:, 0]
        hand[:, 1] += 0.7 * far * swing[:, 1]
        hand[:, 3:5] += 25 * far * swing[:, 2:]
    turn = amount(on.acts, "turn_left", at_s) - amount(on.acts, "turn_right", at_s)
    up = amount(on.acts, "look_up", at_s)
    return Motion(
        hand[:, 0],
        hand[:, 1],
        np.clip(hand[:, 3] + tilt[:, 0] + _TILT_DEG * turn, -50, 50),
        np.clip(hand[:, 4] + tilt[:, 1] + _LOOK_UP_DEG * up, -45, 45),
        hand[:, 5],
    )


def _on_paper(kind: str, portraits: Sequence[Portrait], on: _Set) -> list[Draw]:
    rng, style = on.rng, on.style
    half = float(rng.uniform(1.7, 3.0))
    tall = float(rng.uniform(1.0, 1.45))
    shown = _shown(portraits, on, (half, min(3.2, half * tall)))
    over_body = kind in {"print_over_body", "print_cut_eyes"}
    held = kind != "print_still"
    hands = held and (over_body or rng.random() < 0.7)
    texture = paper(shown, style, rng, hands=hands, eye_holes=kind == "print_cut_eyes")
    bend, axis, ripple = 0.0, 0.0, None
    if kind == "print_bent" or (held and rng.random() < 0.25):
        bend = float(rng.choice([-1, 1], p=[0.25, 0.75])) * draw(style.bend, rng)
        bend *= (1.0 if kind == "print_bent" else 0.3) / half
        axis = float(rng.uniform(-20, 20)) if rng.random() < 0.8 else float(rng.uniform(70, 110))
        ripple = 0.25 * wander(style, on.at_s, 0.7, rng)
    sheet = Sheet(
        texture, shown.points, on.stand, _motion(kind, on), bend=bend, axis_deg=axis, ripple=ripple
    )
    layer = Print(sheet, style, rng)
    if kind == "print_cut_eyes":
        return [*_eyes_behind(sheet, shown, on), layer.draw]
    if over_body or (held and rng.random() < 0.5):
        return [*_body_behind(sheet, on), layer.draw]
    return [layer.draw]


def _cut_out(portraits: Sequence[Portrait], on: _Set) -> list[Draw]:
    portrait = portraits[int(on.rng.integers(len(portraits)))]
    texture = cut_out(portrait.person_only, on.style, on.rng)
    sheet = Sheet(texture, portrait.points, on.stand, _motion(CUT_OUT_KIND, on))
    behind = _body_behind(sheet, on) if on.rng.random() < 0.5 else []
    return [*behind, Print(sheet, on.style, on.rng).draw]


def _body_behind(sheet: Sheet, on: _Set) -> list[Draw]:
    """The person who holds it: their face is behind it, and their shoulders show below."""
    holder = on.someone()
    if holder is None:
        return []
    there = on.stand
    back = replace(there, unit_px=0.8 * there.unit_px, distance=1.25 * there.distance, shutter=0.0)
    return [Head(holder, back, on.style, on.rng, gain=_gain(holder, on.rng)).draw]


def _eyes_behind(sheet: Sheet, shown: Shown, on: _Set) -> list[Draw]:
    """A live face behind the sheet, with its eyes at the holes, though only roughly."""
    holder = on.someone()
    if holder is None:
        return []
    rng, there = on.rng, on.stand
    holes = np.stack([sheet.points(i)[:2] for i in range(len(on.at_s))])
    eyes = holder.points[:2]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    wide = np.linalg.norm(shown.points[1] - shown.points[0])
    unit_px = there.unit_px * float(wide) / max(apart, 0.3)
    middle = holes.mean(1) - np.outer(unit_px, eyes.mean(0))
    slip = 0.04 * np.stack([wander(on.style, on.at_s, 0.8, rng) for _ in range(2)], 1)
    middle = middle + slip * unit_px[:, None]
    behind = replace(there, x=middle[:, 0], y=middle[:, 1], unit_px=unit_px, shutter=0.0)
    acts = tuple(act for act in on.acts if act.name == "blink")
    calm = replace(on.style, sway_yaw_deg=(0.0, 2.0))
    # It is darker behind a sheet.
    head = Head(holder, behind, calm, rng, acts, gain=0.8 * _gain(holder, rng))
    head.right[:] = head.down[:] = 0
    return [head.draw]


def _on_screen(
    kind: str,
    portraits: Sequence[Portrait],
    on: _Set,
    footage: Film | None,
    plays: Callable[[float], float] | None,
) -> list[Draw]:
    rng, style = on.rng, on.style
    phone = kind.startswith("phone")
    tall = float(rng.uniform(1.7, 2.15)) if phone else float(rng.choice([0.72, 1.33]))
    replayed: Callable[[int], Image] | None = None
    held = kind not in STANDING_KINDS
    if kind in REPLAY_KINDS or not held:
        film = footage or _footage(portraits, on)
        shown, replayed = _window(film, on, tall)
    else:
        half = float(rng.uniform(1.4, 3.0))
        shown = _shown(portraits, on, (half, min(3.2, half * tall)))
    there = device(shown, tall, style, rng, hands=bool(rng.random() < 0.7) and held)
    # A tablet usually stands or is held in both hands, so it moves less.
    sheet = Sheet(there.texture, shown.points, on.stand, _motion(kind, on))
    layer = Screen(sheet, there.inside, on.room, style, rng)
    behind = _body_behind(sheet, on) if rng.random() < 0.5 and held else []
    if replayed is None:
        return [*behind, layer.draw]
    film_s = film.at_s
    points = (film.points - np.asarray(_origin(film))) / _unit(film)

    def replay(frame: Canvas, index: int) -> Points:
        at_s = float(on.at_s[index])
        now_s = at_s % film_s[-1] if plays is None else plays(at_s)
        number = int(np.searchsorted(film_s, now_s, "right")) - 1
        there.show(replayed(number))
        layer.draw(frame, index)
        return sheet.forward(points[number], index)

    return [*behind, replay]


def _footage(portraits: Sequence[Portrait], on: _Set) -> Film:
    """A visit filmed before: by another camera, in another room."""
    return render(
        "visit", portraits, on.others, on.style, on.rng, seconds=float(on.at_s[-1]) + 0.5, fps=15.0
    )


def _unit(film: Film) -> float:
    spread = np.linalg.norm(film.points[:, 1] - film.points[:, 0], axis=1)
    return float(np.median(spread))


def _origin(film: Film) -> tuple[float, float]:
    x, y = np.median(film.points[:, :3].mean(1), 0)
    return float(x), float(y)


def _window(film: Film, on: _Set, tall: float) -> tuple[Shown, Callable[[int], Image]]:
    """The part of a film around its face, as large as the frame allows, enlarged for a screen."""
    unit, (x, y) = _unit(film), _origin(film)
    height, width = film.frames[0].shape[:2]
    half_x = min(float(on.rng.uniform(1.6, 3.2)) * unit, x, width - x)
    half_y = min(half_x * tall, 3.5 * unit)
    left, right = round(x - half_x), round(x + half_x)
    top, bottom = max(0, round(y - half_y)), min(height, round(y + half_y))
    scale = min(2.0, UNIT_PX / unit)
    size = (round((right - left) * scale), round((bottom - top) * scale))

    def picture(number: int) -> Image:
        return np.asarray(cv2.resize(film.frames[number][top:bottom, left:right], size), np.uint8)

    points = (film.points[0] - [x, y]) / unit
    origin = ((x - left) * scale, (y - top) * scale)
    return Shown(picture(0), origin, unit * scale, points), picture
