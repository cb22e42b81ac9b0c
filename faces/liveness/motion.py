"""What the motion of a face, over the glances at it, says about its being alive. Pure.

Each cue is a number in its own unit, NaN where it cannot be measured: too little moved, or too
little is seen. None of them decides by itself; `fusion` weighs them.

- `ring`: does what lies beside the head move with it (a sheet or a screen that is held) or stay
  (a wall behind a visitor)? The log of how much better "it moved with the face" explains the
  pictures than "it stayed", over the parts of the ring that tell; positive speaks for a picture.
- `carried`: the share 0..1 of the ring of which "it moved with the face" is clearly truer.
- `unrest`: the share 0..1 of what lies beside or above the head that moved at all, with the face or
  not, on all but the most restless of those sides: a screen's frame, and the room that it shows, go
  where the hand goes. Somebody who passes behind a visitor is on one side only, or soon gone.
- `still`: the share 0..1 of the area right below the head, where nothing but a trunk can be, that
  shows something which did not move at all, nor before: the frame of a screen that stands there,
  or a ledge.
- `bump`: how far the nose moves against the face around it, once everything that a plane or even
  a bent sheet can do is taken out, relative to the noise of tracking (plane and parallax: Irani
  and Anandan, ECCV 1996); log10.
- `soft`: how much of the face's motion no plane explains, px of the upright face; log10.
- `stir`: how far the face moved about in the picture, as a multiple of its own side; log10.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import MEAN_POINTS, apply, fit_similarity
from oneglance.faces.liveness.trace import (
    FACE_PX,
    SURROUND_PX,
    SURROUND_SIDES,
    Glance,
    halved,
)

CUES = ("ring", "carried", "unrest", "still", "bump", "soft", "stir")

# Glances closer in time than this differ by less than what tracking can tell.
LEAST_APART_S = 0.12
# A head turns, and a hand drifts, by too little in less than this.
FINE_APART_S = 0.3
# Faces whose sizes differ by more than this are hard to compare; for fine motion the limit is
# lower.
MOST_GROWTH, MOST_FINE_GROWTH = 1.7, 1.25
# Where "moved" and "stayed" are less than this apart, in samples, nothing is told.
LEAST_MOVE = 0.5
# Two glances about so far apart show the face's fine motion.
FINE_S = 0.5
# What moved at all is looked for over about so long, and noise from one glance to the next, even
# with a camera that gives no more than four pictures a second.
UNREST_S = (0.4, 1.2)
MOST_NOISE_S = 0.27

_NOTHING = float("nan")
_CELL = 8
_CELLS = SURROUND_PX // _CELL
# The face's side in samples of its surroundings.
_SIDE = SURROUND_PX / SURROUND_SIDES
# Squared grey levels that camera noise leaves between two sharpened samples; a cell in which
# nothing differs by more than `_RICH` shows too little to tell anything.
_NOISE, _RICH = 8.0, 24.0
# The log of a ratio from which on "it moved with the face" is clearly truer.
_CLEARLY = 0.5
_TRACKING = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.02)
_STAYED = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def measure(glances: Sequence[Glance]) -> dict[str, float]:
    """The cues, by name, of glances in the order of time."""
    cues = dict.fromkeys(CUES, _NOTHING)
    if len(glances) < 2:
        return cues
    points = np.stack([glance.points for glance in glances])
    sides = _sides(points)
    cues["stir"] = _stir(points, sides)
    since_s = np.array([glances[-1].at_s - glance.at_s for glance in glances])
    growth = np.abs(np.log(sides / sides[-1]))
    fit = (since_s >= LEAST_APART_S) & (growth <= np.log(MOST_GROWTH))
    if not fit.any():
        return cues
    middles, new = points.mean(1), glances[-1]
    moved = np.abs(middles - middles[-1]).max(1) / sides[-1] + growth
    cues["ring"], cues["carried"] = _ring(_of(glances, moved, fit), new)
    fit &= since_s >= FINE_APART_S
    if not fit.any():
        return cues
    if since_s[-2] > MOST_NOISE_S:
        # Without what moves round a face its nose alone would let a screen in.
        return cues
    ages = [_of(glances, -np.abs(since_s - age_s), fit) for age_s in UNREST_S]
    oldest = glances[int(np.argmax(fit))]
    cues |= _moved(list(dict.fromkeys(ages)), oldest, glances[-2], new)
    fine = fit & (growth <= np.log(MOST_FINE_GROWTH))
    if fine.any():
        shapes = (points - middles[:, None]) / sides[:, None, None]
        turned = np.abs(shapes - shapes[-1]).max((1, 2))
        two = (_of(glances, turned, fine), _of(glances, -np.abs(since_s - FINE_S), fine))
        cues["bump"], cues["soft"] = np.mean([_relief(old, new) for old in two], 0).tolist()
    return cues


def _of(glances: Sequence[Glance], value: NDArray[np.floating], fit: NDArray[np.bool_]) -> Glance:
    """The glance with the highest value of those that fit."""
    return glances[int(np.argmax(np.where(fit, value, -np.inf)))]


def _median(values: NDArray[np.float64]) -> float:
    """As NumPy's, which takes four times as long over so few."""
    return float(statistics.median(values.tolist()))


def _sides(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """About the size of each face (..., 5, 2), whichever way it is turned; px."""
    return np.asarray(np.linalg.norm(points - points.mean(-2, keepdims=True), axis=-1).mean(-1) * 3)


def _stir(points: NDArray[np.float64], sides: NDArray[np.float64]) -> float:
    middles = points.mean(1) / _median(sides)
    return float(np.log10(np.ptp(middles, 0).max() + np.ptp(np.log(sides)) + 1e-3))


# --- what lies beside the head


def _square_grid(low: float, high: float, count: int) -> NDArray[np.float64]:
    steps = np.linspace(low, high, count)
    x, y = np.meshgrid(steps, steps)
    return np.stack([x.ravel(), y.ravel()], 1)


def _in_ring(samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of these lie beside or above a head, and not where its body is."""
    x, y = np.moveaxis((samples + 0.5) / _SIDE - SURROUND_SIDES / 2, -1, 0)
    beside = (np.abs(x) >= 0.6) & (y > -1.0) & (y < 0.35)
    above = (np.abs(x) < 0.95) & (y <= -0.95)
    return np.asarray(beside | above)


# The middles and the corners of the cells, in samples; and points on the face to track.
_MIDDLES = _square_grid((_CELL - 1) / 2, SURROUND_PX - (_CELL + 1) / 2, _CELLS)
_RING = _in_ring(_MIDDLES).reshape(_CELLS, _CELLS)
_CORNERS = _square_grid(-0.5, SURROUND_PX - 0.5, _CELLS + 1)
_ON_FACE = _square_grid(-0.42 * _SIDE, 0.42 * _SIDE, 6) + (SURROUND_PX - 1) / 2
_ON_FACE_32 = _ON_FACE.astype(np.float32)

# --- what moved at all

# About how wide a place beside a head is, in sides of its box.
_PLACE = 0.2
# Mean squared slope, in grey levels a px, of a place at which motion would show; how far one has
# moved that counts, in px of `Glance.wall`; so many places make a side; and where there are fewer
# than a full one has, as of hair before a plain wall, the others are taken to have stayed.
_SLOPED, _MOVED, _LEAST_PLACES, _FULL_PLACES = 6.0, 0.5, 4, 16
# A trunk sways by less than a hand does.
_SWAYED = 0.25
# As a multiple of noise, the slope from which on a place would show its motion clearly.
_CLEAR = 4.0
# Noise, in squared grey levels, as it was between two glances, and some.
_MORE_NOISE, _REST_OF_NOISE = 1.3, 0.5
# Slower shades than this, in px, are light that changes.
_SHADE_PX = 9


def _sides_of_head(places: NDArray[np.float64], spare: float) -> NDArray[np.bool_]:
    """Which places (n, 2) lie left of a head, right of it, and above: (3, n)."""
    x, y = places.T
    beside = (y > -1.1) & (y < 0.35 + spare)
    out = 0.62 - spare
    return np.stack([(x < -out) & beside, (x > out) & beside, y <= -0.95])


def _chest(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places (n, 2) lie where a living head has nothing but its trunk below it: (n,)."""
    x, y = places.T
    return np.asarray((np.abs(x) < 0.9) & (y > 1.0))


def _below_head(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places (n, 2) lie below a head and surely not in it: (n,)."""
    x, y = places.T
    return np.asarray((np.abs(x) < 1.5) & (y > 0.6))


def _around_head() -> NDArray[np.float64]:
    """Places beside, above and below a head, float64 (n, 2) in sides of its box from its middle."""
    places = _square_grid(-1.5, 1.5, 22)
    return places[_sides_of_head(places, 0.0).any(0) | _chest(places)]


_AROUND = _around_head()
_SIDES, _CHEST = _sides_of_head(_AROUND, 0.0), _chest(_AROUND)
# How far a place must have moved to count, squared.
_WAY = np.where(_CHEST, _SWAYED, _MOVED) ** 2


def _moved(olds: Sequence[Glance], oldest: Glance, before: Glance, new: Glance) -> dict[str, float]:
    """`unrest` and `still` of a glance against some of long ago; `before` is the one just before
    it, and `oldest` the first that it can be compared with.
    """
    just = _Pair.of(before, new)
    wall = just.seen & ~_CHEST
    if np.count_nonzero(wall) < _LEAST_PLACES:
        return {}
    noise = _MORE_NOISE * _median(just.changed()[wall]) + _REST_OF_NOISE
    telling, clear, moved, seen = np.zeros((4, len(wall)), np.bool_)
    for old in olds:
        pair = _Pair.of(old, new)
        if pair.seen.any():
            slope = pair.sloped()
            tells = pair.seen & (slope > max(_SLOPED, noise))
            telling |= tells
            clear |= tells & (slope > _CLEAR * noise)
            moved |= tells & pair.went(slope, noise)
            seen |= pair.seen
    still = clear & ~moved & _CHEST
    if still.any() and oldest not in olds:
        pair = _Pair.of(oldest, new)
        still &= ~(pair.seen & pair.went(pair.sloped(), noise))
    told = _SIDES & telling
    shares = [
        float(moved[side].sum()) / max(int(side.sum()), _FULL_PLACES)
        for side in told
        if side.sum() >= _LEAST_PLACES
    ]
    return {
        "unrest": sorted(shares)[-2] if len(shares) > 1 else _NOTHING,
        "still": float(still.sum()) / int(_CHEST.sum()) if (seen & _CHEST).any() else _NOTHING,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """What two glances show of the same part of the frame, and where the places around the new
    head lie in it: `at` (n, 2) px; `seen` (n,) if both see it, and a head in neither.
    """

    one: NDArray[np.uint8]
    other: NDArray[np.uint8]
    at: NDArray[np.int_]
    seen: NDArray[np.bool_]
    side: int

    @classmethod
    def of(cls, old: Glance, new: Glance) -> _Pair:
        """Of two glances."""
        halvings = max(old.halvings, new.halvings)
        size = 2**halvings
        (one, corner), (other, other_corner) = _wall(old, halvings), _wall(new, halvings)
        places = new.box.centre + _AROUND * new.box.width
        side = max(5, int(_PLACE * new.box.width / size) | 1)
        low = np.maximum(corner, other_corner)
        high = np.minimum(corner + one.shape[::-1], other_corner + other.shape[::-1])
        at = np.floor(places / size).astype(int) - low
        seen = ((at >= side // 2) & (at < high - low - side // 2)).all(1)
        were = (places - old.box.centre) / old.box.width
        seen &= np.where(_CHEST, _below_head(were), _sides_of_head(were, 0.05).any(0))
        begin, end = low - corner, high - corner
        one = one[begin[1] : end[1], begin[0] : end[0]]
        begin, end = low - other_corner, high - other_corner
        return cls(one, other[begin[1] : end[1], begin[0] : end[0]], at, seen, side)

    def changed(self) -> NDArray[np.float64]:
        """The mean squared difference at each place, (n,), 0 where it is not seen."""
        change = cv2.GaussianBlur(cv2.subtract(self.other, self.one, dtype=cv2.CV_32F), (3, 3), 0)
        change = cv2.subtract(change, cv2.blur(change, (_SHADE_PX, _SHADE_PX)))
        return self._there(cv2.multiply(change, change))

    def went(self, slope: NDArray[np.float64], noise: float) -> NDArray[np.bool_]:
        """Which places moved by more than `_WAY`: a change of grey levels over their slope is a
        way, to first order.
        """
        return np.asarray(self.changed() - noise > slope * _WAY)

    def sloped(self) -> NDArray[np.float64]:
        """The mean squared slope of what is there, likewise."""
        mean = cv2.GaussianBlur(cv2.addWeighted(self.one, 0.5, self.other, 0.5, 0), (3, 3), 0)
        right = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
        down = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
        return self._there(cv2.add(cv2.multiply(right, right), cv2.multiply(down, down)))

    def _there(self, values: cv2.typing.MatLike) -> NDArray[np.float64]:
        found = np.zeros(len(self.at))
        columns, rows = self.at[self.seen].T
        found[self.seen] = cv2.blur(values, (self.side, self.side))[rows, columns]
        return found


def _wall(glance: Glance, halvings: int) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
    """The `wall` of a glance in squares of 2**halvings px, and its corner in those."""
    picture = glance.wall
    for _ in range(halvings - glance.halvings):
        picture = halved(picture)
    return picture, glance.corner // 2**halvings


# --- with the face, or not


def _ring(old: Glance, new: Glance) -> tuple[float, float]:
    """`ring` and `carried` of two glances."""
    moved = _refined(new, old, _between(new, old, fit_similarity(new.points, old.points)))
    stayed = _between(new, old, _STAYED)
    by_move, by_stay = apply(moved, _CORNERS), apply(stayed, _CORNERS)
    seen = _inside(_CORNERS, new) & _inside(by_move, old) & _inside(by_stay, old)
    told = seen & (np.abs(by_move - by_stay).max(1) >= LEAST_MOVE)
    # A cell counts if its first and its last corner do.
    told = told.reshape(_CELLS + 1, _CELLS + 1)
    cells = told[:-1, :-1] & told[1:, 1:] & _RING
    if cells.sum() < 6:
        return _NOTHING, _NOTHING
    one, other = _sharpened(new.surround), _sharpened(old.surround)
    unlike_moved = _unlike(one, other, moved)[cells]
    unlike_stayed = _unlike(one, other, stayed)[cells]
    ratio = np.log((unlike_stayed + _NOISE) / (unlike_moved + _NOISE))
    rich = np.maximum(unlike_moved, unlike_stayed) > _RICH
    return (
        float(ratio[rich].mean()) if rich.sum() >= 4 else _NOTHING,
        float((ratio > _CLEARLY).mean()),
    )


def _between(new: Glance, old: Glance, to_old: NDArray[np.float64]) -> NDArray[np.float64]:
    """From samples of the new surroundings to those of the old, where frames map by `to_old`."""
    turn = to_old[:, :2] * (new.px / old.px)
    # Sample k covers the frame around origin + (k + 0.5) px.
    start = (apply(to_old, new.origin + 0.5 * new.px) - old.origin) / old.px - 0.5
    return np.column_stack([turn, start])


def _refined(new: Glance, old: Glance, guess: NDArray[np.float64]) -> NDArray[np.float64]:
    """`guess` made exact by tracking what lies on the face."""
    start = apply(guess, _ON_FACE)
    found, good, _ = cv2.calcOpticalFlowPyrLK(
        new.surround,
        old.surround,
        _ON_FACE_32,
        start.astype(np.float32),
        winSize=(9, 9),
        maxLevel=0,
        criteria=_TRACKING,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    ok = (good.ravel() == 1) & (np.abs(found - start).max(1) < 4)
    if ok.sum() < 12:
        return guess
    fit = fit_similarity(_ON_FACE[ok], found[ok])
    error = np.abs(apply(fit, _ON_FACE) - found).max(1)
    ok &= error <= max(0.3, 1.5 * _median(error[ok]))
    return fit_similarity(_ON_FACE[ok], found[ok]) if ok.sum() >= 8 else guess


def _sharpened(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Without slow shades, and so without a change of light."""
    fine = cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)
    return np.asarray(fine - cv2.blur(fine, (15, 15)), np.float32)


def _unlike(
    one: NDArray[np.float32], other: NDArray[np.float32], to_other: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Mean squared difference in each cell if `to_other` maps the samples."""
    difference = cv2.subtract(one, _warped(other, to_other))
    return _by_cell(cv2.multiply(difference, difference))


def _warped(other: NDArray[np.float32], to_other: NDArray[np.float64]) -> NDArray[np.float32]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(other, to_other, (SURROUND_PX, SURROUND_PX), flags=flags)
    return np.asarray(warped, np.float32)


def _by_cell(values: cv2.typing.MatLike) -> NDArray[np.float32]:
    """The mean of (SURROUND_PX, SURROUND_PX) over each cell."""
    cells = cv2.resize(values, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32)


def _inside(samples: NDArray[np.float64], glance: Glance) -> NDArray[np.bool_]:
    """Which samples (n, 2) the frame covers."""
    left, top, right, bottom = glance.inside
    x, y = samples[:, 0], samples[:, 1]
    return (x >= left - 0.6) & (y >= top - 0.6) & (x <= right - 0.4) & (y <= bottom - 0.4)


# --- the face itself


def _face_grid() -> NDArray[np.float64]:
    """Points of the upright face picture that lie on a face, float64 (n, 2) px."""
    grid = _square_grid(0.14 * FACE_PX, 0.86 * FACE_PX, 10)
    off = (grid / FACE_PX - MEAN_POINTS.mean(0)) / [0.40, 0.46]
    return np.asarray(grid[(off**2).sum(1) <= 1], np.float64)


_GRID = _face_grid()
_GRID_32 = _GRID.astype(np.float32)
_X, _Y = ((_GRID - MEAN_POINTS[2] * FACE_PX) / (FACE_PX / 2)).T
_ONE, _ZERO = np.ones_like(_X), np.zeros_like(_X)
# How far each point stands out as a nose does, 0..1: narrow, and longer up than down.
_NOSE = np.exp(-((_X / 0.22) ** 2) - (_Y / np.where(_Y < 0, 0.38, 0.2)) ** 2)
# What a bent sheet can do to second order, and the nose.
_BENT = np.stack([_ONE, _X, _Y, _X * _X, _X * _Y, _Y * _Y, _NOSE], 1)
# What a plane can do to second order, to both directions at once.
_PLANE = np.concatenate(
    [
        np.stack([_ONE, _X, _Y, _ZERO, _ZERO, _ZERO, _X * _X, _X * _Y], 1),
        np.stack([_ZERO, _ZERO, _ZERO, _ONE, _X, _Y, _X * _Y, _Y * _Y], 1),
    ]
)


def _relief(old: Glance, new: Glance) -> tuple[float, float]:
    """`bump` and `soft` of two glances."""
    found, good, _ = cv2.calcOpticalFlowPyrLK(
        old.face,
        new.face,
        _GRID_32,
        _GRID_32.copy(),
        winSize=(9, 9),
        maxLevel=1,
        criteria=_TRACKING,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    flow = (found - _GRID_32).astype(np.float64)
    ok = (good.ravel() == 1) & (np.abs(flow).max(1) < 8)
    if ok.sum() < 0.6 * len(ok):
        return _NOTHING, _NOTHING
    weights = ok.astype(np.float64)
    bump = _NOTHING
    for _ in range(2):
        # Least squares that large errors have less of a say in (Huber).
        weighted = _BENT * weights[:, None]
        inverse = np.linalg.inv(weighted.T @ _BENT + 1e-9 * np.eye(_BENT.shape[1]))
        solved = inverse @ (weighted.T @ flow)
        rest = np.sqrt(((flow - _BENT @ solved) ** 2).sum(1))
        scale = max(0.05, 1.48 * _median(rest[ok]))
        weights = ok / np.maximum(1.0, rest / (1.5 * scale))
        bump = float(np.sqrt((solved[-1] ** 2).sum()) / (scale * np.sqrt(inverse[-1, -1])))
    both = np.concatenate([weights, weights])
    target = flow.T.ravel()
    weighted = _PLANE * both[:, None]
    plane = np.linalg.solve(weighted.T @ _PLANE + 1e-9 * np.eye(8), weighted.T @ target)
    rest = (_PLANE @ plane - target) ** 2 * both
    soft = float(np.sqrt(2 * rest.sum() / both.sum()))
    return float(np.log10(bump + 0.1)), float(np.log10(soft + 0.01))
