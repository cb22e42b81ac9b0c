"""How much longer a door without a calibration makes a template, fitted on made doors.

python benchmarks/common_stretch.py --faces lfw.npz --out models/mobileface-3 \
    [--folds 1,2,3,4,5,6] [--ridge 0.01] [--good -0.2] [--model DIR] [--seed N]

For the manifest's `common_stretch`: a constant, a linear and a few squared terms of a template,
which together say how much longer it has to be so that strangers match as often as promised at
doors that make such templates. The doors are those of common_directions.py and 64 drawn by chance
from ranges of lamps, crops, walls, lenses and darkness, each with people of its own. What each
needs is found by turns: a ridge regression over all templates, then more for the doors where
strangers' scores still lie too high, and less for the others. Good pictures (photographs, grey,
JPEG, small faces) are to need less than nothing, so that chance does not lengthen them either.
Whether that is enough is what domains.py tells. Progress on stderr.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import common_directions
import cv2
import numpy as np
from common_directions import lit
from domains import (
    Change,
    Faces,
    Points,
    Templates,
    as_it_is,
    by_camera,
    encoded,
    folds_of,
    in_grey,
    read,
)
from made_light import Image, Lamp
from numpy.typing import NDArray

from oneglance.faces.calibration.door import Stretch, settled
from oneglance.faces.calibration.setup import common_of
from oneglance.faces.find.align import CHIP_SIZE
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import MANIFEST_NAME

_DRAWN = 64
# People at a drawn door, at a good one, and at one of common_directions.py.
_AT_DRAWN, _AT_GOOD, _AT_NAMED = 240, 500, 600
_SQUARED = 8
# Squares of a unit vector's parts are small beside the parts; this evens what the ridge costs them.
_SQUARES_COUNT = 3.0
_TURNS = 6
# By how much strangers' scores near a threshold fall, for each whole length that is added.
_SCORE_PER_LENGTH = 25.0
_STEP = 0.7
_RATES = ("1e-2", "1e-3", "1e-4")


@dataclass(frozen=True, slots=True, eq=False)
class MadeDoor:
    """Templates float32 (n, d) of n people at one door; at a `good` one nothing is to change."""

    name: str
    good: bool
    templates: Templates


def main() -> None:
    """Make the doors, fit and write."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    model = load_model(arguments.model or arguments.out)
    doors = [
        MadeDoor(name, good, encoded(faces.seen(name, change, arguments.seed), model))
        for name, good, change, faces in _all_doors(arguments)
    ]
    stretch = fitted(doors, model, common_of(model), arguments.ridge, arguments.good)
    for door in doors:
        longer = stretch.factors(door.templates) - 1
        _say(f"{door.name}: {np.quantile(longer, [0.1, 0.5, 0.9]).round(3)} longer")
    file = arguments.out / MANIFEST_NAME
    manifest = json.loads(file.read_text())
    manifest["common_stretch"] = {
        "base": stretch.base,
        "along": _written(stretch.along[np.newaxis]),
        "by": stretch.by,
        "directions": _written(stretch.directions),
        "squares": [float(one) for one in stretch.squares],
    }
    file.write_text(json.dumps(manifest, indent=2) + "\n")


def drawn(number: int, seed: int) -> tuple[str, Change]:
    """A door by chance: one of five kinds, and its settings."""
    generator = np.random.default_rng([seed, number])
    uniform = generator.uniform
    lamp = Lamp(float(uniform(-75, 75)), float(uniform(-5, 35)), float(uniform(0.03, 0.14)))
    low, high = ((14, 17, 88, 100), (25, 29, 99, 111))
    left, top, right, bottom = (int(at) for at in generator.integers(low, high))
    crop = (left, top, right, bottom)
    grey = bool(generator.random() < 0.55)
    kind = ("lamp", "lamp", "studio", "camera", "camera", "dark", "crop", "lamp, blurred")[
        number % 8
    ]
    change: Change
    if kind == "studio":
        change = partial(lit, lamp=lamp, grey=grey, crop=crop)
    elif kind == "camera":
        blur_px, noise = float(uniform(0.7, 2.3)), float(uniform(2, 12))
        change = partial(by_camera, blur_px=blur_px, noise=noise, seed=1000 + number)
    elif kind == "crop":
        change = partial(cropped_to, crop=crop)
    else:
        gain = float(uniform(0.25, 0.7)) if kind == "dark" else 1.0
        blur_px = 0.0 if kind == "lamp" else float(uniform(0.6, 1.8))
        noise = 0.0 if kind == "lamp" else float(uniform(2, 10))
        change = partial(
            dimmed,
            lamp=None if kind == "dark" else lamp,
            grey=grey,
            gain=gain,
            blur_px=blur_px,
            noise=noise,
        )
    return f"{number} {kind}", change


def dimmed(
    chip: Image,
    points: Points,
    generator: np.random.Generator,
    *,
    lamp: Lamp | None,
    grey: bool,
    gain: float,
    blur_px: float,
    noise: float,
) -> Image:
    """Perhaps lit by one lamp, `gain` times as bright, blurred, with noise in grey levels."""
    picture = chip if lamp is None else lit(chip, points, generator, lamp=lamp, grey=grey)
    if grey:
        picture = in_grey(picture, points, generator)
    seen = gain * picture.astype(np.float32)
    if blur_px:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), blur_px), np.float32)
    channels = 1 if grey else 3
    seen = seen + generator.normal(0, noise, (*seen.shape[:2], channels))
    return np.clip(seen, 0, 255).astype(np.uint8)


def cropped_to(
    chip: Image,
    _points: Points,
    _generator: np.random.Generator,
    *,
    crop: tuple[int, int, int, int],
) -> Image:
    """A crop (left, top, right, bottom) whose border is repeated."""
    left, top, right, bottom = crop
    inner = np.ascontiguousarray(chip[top:bottom, left:right])
    rest = CHIP_SIZE - bottom, left, CHIP_SIZE - right
    return np.asarray(cv2.copyMakeBorder(inner, top, *rest, cv2.BORDER_REPLICATE), np.uint8)


def as_jpeg(
    chip: Image, _points: Points, _generator: np.random.Generator, *, quality: int
) -> Image:
    """Compressed."""
    data = cv2.imencode(".jpg", chip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])


def shrunk(chip: Image, _points: Points, _generator: np.random.Generator, *, side_px: int) -> Image:
    """From a chip of `side_px`, enlarged."""
    less = cv2.resize(chip, (side_px, side_px), interpolation=cv2.INTER_AREA)
    blown_up = cv2.resize(less, (CHIP_SIZE, CHIP_SIZE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(blown_up, np.uint8)


_GOOD_DOORS: dict[str, Change] = {
    "good, photographs": as_it_is,
    "good, grey": in_grey,
    "good, JPEG 28": partial(as_jpeg, quality=28),
    "good, JPEG 55": partial(as_jpeg, quality=55),
    "good, 42 px": partial(shrunk, side_px=42),
    "good, 60 px": partial(shrunk, side_px=60),
}
_GOOD_AMONG_NAMED = ("photographs", "grey", "JPEG 30", "40 px")


def _all_doors(arguments: argparse.Namespace) -> list[tuple[str, bool, Change, Faces]]:
    everybody = read(arguments, arguments.folds, 1, None)
    generator = np.random.default_rng(arguments.seed)

    def some(count: int) -> Faces:
        rows = generator.permutation(len(everybody.people))[:count]
        people = [everybody.people[row] for row in rows]
        return Faces(everybody.chips[rows], everybody.points[rows], people)

    named = some(_AT_NAMED)
    doors = [
        (name, name in _GOOD_AMONG_NAMED, change, named)
        for name, change in common_directions.DOORS.items()
    ]
    doors += [(name, True, change, some(_AT_GOOD)) for name, change in _GOOD_DOORS.items()]
    chances = (drawn(number, arguments.seed) for number in range(_DRAWN))
    return doors + [(name, False, change, some(_AT_DRAWN)) for name, change in chances]


def fitted(
    doors: list[MadeDoor], model: FaceModel, common: Templates, ridge: float, below: float
) -> Stretch:
    """The stretch with which strangers at these doors match as often as promised."""
    means = np.stack([_unit(door.templates).mean(0) for door in doors])
    directions = np.asarray(np.linalg.svd(means, full_matrices=False)[2][:_SQUARED], np.float32)
    told = np.concatenate([_terms(door.templates, directions) for door in doors])
    sizes = np.array([len(door.templates) for door in doors])
    good = np.array([door.good for door in doors])
    # Good pictures count as much as all others together.
    of_door = np.where(good, sizes[~good].sum() / sizes[good].sum(), 1.0)
    solve = _ridge(told, np.repeat(of_door, sizes), ridge)

    def over(door: MadeDoor, longer: Callable[[Templates], Templates]) -> float:
        return _over(settled(door.templates, common) * longer(door.templates), model)

    needs = np.array(
        [
            below if door.good else max(0.0, over(door, np.ones_like) / _SCORE_PER_LENGTH)
            for door in doors
        ]
    )
    stretch = solve(np.repeat(needs, sizes), directions)
    for turn in range(_TURNS):
        left = np.array([0.0 if door.good else over(door, stretch.factors) for door in doors])
        _say(f"turn {turn}: scores at most {left.max():.2f} too high, {left.mean():.2f} on average")
        needs = np.maximum(below, needs + _STEP * left / _SCORE_PER_LENGTH)
        stretch = solve(np.repeat(needs, sizes), directions)
    return stretch


def _unit(templates: Templates) -> Templates:
    return np.asarray(templates / np.linalg.norm(templates, axis=1, keepdims=True), np.float32)


def _terms(templates: Templates, directions: Templates) -> NDArray[np.float64]:
    unit = _unit(templates).astype(np.float64)
    return np.concatenate([unit, _SQUARES_COUNT * (unit @ directions.T) ** 2], axis=1)


def _ridge(
    terms: NDArray[np.float64], weights: NDArray[np.float64], ridge: float
) -> Callable[[NDArray[np.float64], Templates], Stretch]:
    """A function that fits what is wanted (n,) of `terms` (n, d + k) by a ridge regression."""
    shares = weights / weights.sum()
    mean = shares @ terms
    centred = terms - mean
    spread = (centred * shares[:, np.newaxis]).T @ centred
    damped = spread + ridge * np.trace(spread) / len(spread) * np.eye(len(spread))

    def solve(wanted: NDArray[np.float64], directions: Templates) -> Stretch:
        usual = float(shares @ wanted)
        found = np.linalg.solve(damped, (centred * shares[:, np.newaxis]).T @ (wanted - usual))
        slope, squares = np.split(found, [-len(directions)])
        by = float(np.linalg.norm(slope))
        return Stretch(
            base=usual - float(mean @ found),
            along=np.asarray(slope / by, np.float32),
            by=by,
            directions=directions,
            squares=np.asarray(_SQUARES_COUNT * squares, np.float32),
        )

    return solve


def _over(templates: Templates, model: FaceModel) -> float:
    """By how much strangers' scores are too high, at the rate where it is most.

    Below 1e-2 they are told from the mean excess over that quantile, as an exponential tail.
    """
    scores = model.compare(templates, templates)[np.triu_indices(len(templates), 1)]
    top = np.sort(scores)[-max(1, round(float(_RATES[0]) * len(scores))) :].astype(np.float64)
    excess = float((top - top[0]).mean())
    return max(
        float(top[0])
        + excess * float(np.log(float(_RATES[0]) / float(rate)))
        - model.threshold(rate)
        for rate in _RATES
    )


def _written(directions: Templates) -> str:
    return base64.b64encode(directions.astype("<f4").tobytes()).decode()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=folds_of, default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--ridge", type=float, default=0.01)
    parser.add_argument("--good", type=float, default=-0.2)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=99)
    return parser.parse_args()


if __name__ == "__main__":
    main()
