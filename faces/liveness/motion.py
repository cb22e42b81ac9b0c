"""What the motion of a face, over the glances at it, says about its being alive. Pure.

Each cue is a number in its own unit, NaN where it cannot be measured: too little moved, or too
little is seen. None is an answer; `fusion` weighs them.

- `ring_near`, `ring_far`: does what lies beside the head move with it (a sheet or a screen that
  is held) or stay where it is (a wall behind a visitor)? The log of how much better "it moved
  with the face" explains the pictures than "it stayed"; positive speaks for a picture.
- `bump`: how far the nose moves against the face around it, after all that a plane and even a
  bent sheet can do was taken out, against the noise of tracking (plane and parallax: Irani and
  Anandan, ECCV 1996); log10.
- `soft`: how much of the face's motion no plane explains, px of the upright face; log10.
- `stir`: how far the face moved about in the picture, in its own sides; log10.
- `blink`: how much more both eyes changed together at some moment than the rest of the face
  did; log10.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import MEAN_POINTS, apply, fit_similarity
from oneglance.faces.liveness.trace import FACE_PX, SURROUND_PX, SURROUND_SIDES, Glance

CUES = ("ring_near", "ring_far", "bump", "soft", "stir", "blink")

# Glances closer in time than this differ by less than what tracking can tell.
LEAST_APART_S = 0.12
# Pictures of one face at more different sizes than this are hard to compare.
MOST_GROWTH = 1.7
# Where "moved" and "stayed" are less than this apart, in samples, nothing is told.
LEAST_MOVE = 1.0
MOST_FACES = 40

_NOTHING = float("nan")
_CELL = 8
_CELLS = SURROUND_PX // _CELL
# The face's side in samples of its surroundings.
_SIDE = SURROUND_PX / SURROUND_SIDES
# Squared grey levels that camera noise leaves between two sharpened samples.
_NOISE = 8.0
_TRACKING = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.02)
_STAYED = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def measure(glances: Sequence[Glance]) -> dict[str, float]:
    """The cues, by name, of glances in the order of time."""
    cues = dict.fromkeys(CUES, _NOTHING)
    if len(glances) < 2:
        return cues
    points = np.stack([glance.points for glance in glances])
    cues["stir"] = _stir(points)
    new = glances[-1]
    moved, turned = _most_moved(glances, points)
    if moved is not None and turned is not None:
        cues["ring_near"], cues["ring_far"] = _ring(glances[moved], new)
        found = [_relief(glances[old], new) for old in {moved, turned}]
        cues["bump"], cues["soft"] = np.fmax.reduce(found)
    cues["blink"] = _blink(glances[-MOST_FACES:])
    return cues


def _sides(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """About the size of each face (..., 5, 2), whichever way it is turned; px."""
    return np.asarray(np.linalg.norm(points - points.mean(-2, keepdims=True), axis=-1).mean(-1) * 3)


def _stir(points: NDArray[np.float64]) -> float:
    sides = _sides(points)
    middles = points.mean(1) / np.median(sides)
    return float(np.log10(np.ptp(middles, 0).max() + np.ptp(np.log(sides)) + 1e-3))


def _most_moved(
    glances: Sequence[Glance], points: NDArray[np.float64]
) -> tuple[int | None, int | None]:
    """The older glances against which the newest moved most, and against which it turned most."""
    at_s = np.array([glance.at_s for glance in glances])
    sides = _sides(points)
    growth = np.abs(np.log(sides / sides[-1]))
    fit = (at_s <= at_s[-1] - LEAST_APART_S) & (growth <= np.log(MOST_GROWTH))
    if not fit.any():
        return None, None
    middles = points.mean(1, keepdims=True)
    moved = np.abs((middles - middles[-1])[:, 0] / sides[-1]).max(1) + growth
    shapes = (points - middles) / sides[:, None, None]
    turned = np.abs(shapes - shapes[-1]).max((1, 2))
    return int(np.argmax(np.where(fit, moved, -1))), int(np.argmax(np.where(fit, turned, -1)))


# --- what lies beside the head


def _ring_cells(least: float, most: float) -> NDArray[np.bool_]:
    at = (np.arange(_CELLS) + 0.5) * _CELL / _SIDE - SURROUND_SIDES / 2
    x, y = np.meshgrid(at, at)
    beside = (np.abs(x) >= least) & (np.abs(x) < most) & (y > -1.0) & (y < 0.35)
    above = (np.abs(x) < least) & (y <= -least - 0.3) & (y > -most - 0.1)
    return np.asarray(beside | above)


def _square_grid(low: float, high: float, count: int) -> NDArray[np.float64]:
    steps = np.linspace(low, high, count)
    x, y = np.meshgrid(steps, steps)
    return np.stack([x.ravel(), y.ravel()], 1)


_NEAR, _FAR = _ring_cells(0.6, 0.95), _ring_cells(0.95, 1.6)
# The corners of the cells, in samples; and points on the face to track.
_CORNERS = _square_grid(-0.5, SURROUND_PX - 0.5, _CELLS + 1)
_ON_FACE = _square_grid(-0.42 * _SIDE, 0.42 * _SIDE, 6) + (SURROUND_PX - 1) / 2
_ON_FACE_32 = _ON_FACE.astype(np.float32)


def _ring(old: Glance, new: Glance) -> tuple[float, float]:
    """How much better "moved with the face" explains the ring than "stayed": near, and far."""
    moved = _refined(new, old, _between(new, old, fit_similarity(new.points, old.points)))
    stayed = _between(new, old, _STAYED)
    by_move, by_stay = apply(moved, _CORNERS), apply(stayed, _CORNERS)
    seen = _inside(_CORNERS, new) & _inside(by_move, old) & _inside(by_stay, old)
    told = seen & (np.abs(by_move - by_stay).max(1) >= LEAST_MOVE)
    # A cell counts if its first and its last corner do.
    told = told.reshape(_CELLS + 1, _CELLS + 1)
    cells = told[:-1, :-1] & told[1:, 1:]
    near, far = cells & _NEAR, cells & _FAR
    if near.sum() < 4 and far.sum() < 6:
        return _NOTHING, _NOTHING
    one, other = _sharpened(new.surround), _sharpened(old.surround)
    unlike_moved, unlike_stayed = _unlike(one, other, moved), _unlike(one, other, stayed)
    ratio = np.log((unlike_stayed + _NOISE) / (unlike_moved + _NOISE))
    return (
        float(ratio[near].mean()) if near.sum() >= 4 else _NOTHING,
        float(ratio[far].mean()) if far.sum() >= 6 else _NOTHING,
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
    ok &= error <= max(0.3, 1.5 * float(np.median(error[ok])))
    return fit_similarity(_ON_FACE[ok], found[ok]) if ok.sum() >= 8 else guess


def _sharpened(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Without slow shades, and so without a change of light."""
    fine = cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)
    return np.asarray(fine - cv2.blur(fine, (15, 15)), np.float32)


def _unlike(
    one: NDArray[np.float32], other: NDArray[np.float32], to_other: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Mean squared difference in each cell if `to_other` maps the samples."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(other, to_other, (SURROUND_PX, SURROUND_PX), flags=flags)
    difference = cv2.subtract(one, warped)
    squared = cv2.multiply(difference, difference)
    cells = cv2.resize(squared, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
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
        scale = max(0.05, 1.48 * float(np.median(rest[ok])))
        weights = ok / np.maximum(1.0, rest / (1.5 * scale))
        bump = float(np.sqrt((solved[-1] ** 2).sum()) / (scale * np.sqrt(inverse[-1, -1])))
    both = np.concatenate([weights, weights])
    target = flow.T.ravel()
    weighted = _PLANE * both[:, None]
    plane = np.linalg.solve(weighted.T @ _PLANE + 1e-9 * np.eye(8), weighted.T @ target)
    rest = (_PLANE @ plane - target) ** 2 * both
    soft = float(np.sqrt(2 * rest.sum() / both.sum()))
    return float(np.log10(bump + 0.1)), float(np.log10(soft + 0.01))


def _patch(centre: NDArray[np.floating], across: int, down: int) -> NDArray[np.intp]:
    """Where a patch of the upright face picture is in it, flat."""
    x, y = np.rint(centre * FACE_PX).astype(int)
    rows, columns = np.mgrid[y - down : y + down + 1, x - across : x + across + 1]
    return np.asarray((rows * FACE_PX + columns).ravel(), np.intp)


_EYES = [_patch(MEAN_POINTS[k], 5, 3) for k in (0, 1)]
_BRIDGE = (MEAN_POINTS[0] + MEAN_POINTS[1]) / 2 + [0.0, 0.06]
_CHEEKS = [(MEAN_POINTS[2] + MEAN_POINTS[k]) / 2 for k in (3, 4)]
_REST = [_patch(_BRIDGE, 3, 5), *(_patch(cheek, 5, 3) for cheek in _CHEEKS)]
_PATCHES = np.stack([*_EYES, *_REST])


def _blink(glances: Sequence[Glance]) -> float:
    """By how much both eyes differ at most from what they mostly are, against the rest."""
    if len(glances) < 5:
        return _NOTHING
    seen = np.stack([glance.face.ravel()[_PATCHES] for glance in glances]).astype(np.float32)
    seen -= seen.mean((1, 2), keepdims=True)
    usual = seen.mean(0)
    changes = ((seen - usual) ** 2).mean(2) / (usual.var(1) + 25.0)
    both = changes[:, :2].min(1)
    rest = changes[:, 2:].max(1)
    return float(np.log10((both + 0.02) / (rest + 0.05)).max())
