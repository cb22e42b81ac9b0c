"""Fit a second read-out of the texture network to made films of visits and attacks.

    python -m oneglance.training.liveness.fit_texture fr_liveness.onnx DATA OUT.npz

The pretrained network stays as it is: one linear layer is fitted to the 512 numbers before its
last two, on films rendered from LFW folds 1-6 in the style FIT. What it learns is what made
attacks look like, which are not real ones: it is a cue of its own, beside the network's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import OneglanceError
from oneglance.faces.find.align import cut
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness.texture import crop_square
from oneglance.faces.model.face_model import load_model
from oneglance.training.liveness.film import ATTACK_KINDS, Film
from oneglance.training.liveness.people import Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import FIT, Style
from oneglance.training.liveness.texture_files import SIDE, features, rebuild

PEOPLE = 24
CROP_SCALE = 2.7
_SEED = 3
_OTHERS = 8
_FRAMES = 4
# Of 3, 30, 300, 3000 none was worse than the best by more than 0.03 of AUC on other people.
_RIDGE = 300.0
_ROUNDS = 30


def made_crops(
    lfw: Lfw, names: list[str], style: Style, rng: np.random.Generator, *, people: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """BGR crops (n, 128, 128, 3) of films of `people` of the named, which show them living, and
    the kind of film that each is of.

    Each person is filmed in two visits and two attacks; four frames of each film are taken.
    """
    detector, model = FaceDetector(), load_model()
    crops, live, shown = [], [], []
    others: list[Portrait] = []
    filmed = 0
    for name in rng.permutation(np.array(names)):
        portraits = lfw.portraits(str(name), detector, model, most=2)
        if len(others) >= _OTHERS // 2 and portraits:
            kinds = [str(kind) for kind in rng.choice(ATTACK_KINDS, 2, replace=False)]
            kinds += ["visit", "visit_two_photos" if len(portraits) > 1 else "visit"]
            for kind in kinds:
                film = render(kind, portraits, others, style, rng, seconds=1.6, fps=5.0)
                found = _crops(film, rng)
                crops += found
                live += [film.live] * len(found)
                shown += [kind] * len(found)
            filmed += 1
            if filmed == people:
                break
        others = (others + portraits)[-_OTHERS:]
    return np.stack(crops), np.array(live), shown


def _crops(film: Film, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    chosen = rng.choice(len(film.frames), min(_FRAMES, len(film.frames)), replace=False)
    found = []
    for at in chosen:
        frame = film.frames[at]
        square = crop_square(frame.shape[0], frame.shape[1], film.points[at], CROP_SCALE)
        if square is not None:
            left, top, side = square
            found.append(cut(frame, np.array([[side, 0.0, left], [0.0, side, top]]), SIDE))
    return found


def fit_readout(
    values: NDArray[np.floating], live: NDArray[np.bool_], ridge: float = _RIDGE
) -> tuple[NDArray[np.float32], float]:
    """Weights (d,) and bias of logistic regression: natural log-odds that `values` (n, d) live.

    Both classes weigh the same whatever their numbers; `ridge` is the penalty on the squared
    weights of values scaled to deviation 1. Newton's method (iteratively reweighted least
    squares).
    """
    mean, spread = values.mean(0), values.std(0)
    spread = spread + 1e-3 * values.std()
    inputs = np.column_stack([(values - mean) / spread, np.ones(len(values))]).astype(np.float64)
    weigh = np.where(live, 0.5 / live.mean(), 0.5 / (~live).mean())
    penalty = np.full(inputs.shape[1], ridge)
    penalty[-1] = 1e-6
    found = np.zeros(inputs.shape[1])
    for _ in range(_ROUNDS):
        odds = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (weigh * (odds - live)) + penalty * found
        curve = (inputs * (weigh * odds * (1 - odds))[:, None]).T @ inputs + np.diag(penalty)
        found = found - np.linalg.solve(curve, slope)
    weights = found[:-1] / spread
    return weights.astype(np.float32), float(found[-1] - weights @ mean)


def main() -> None:
    """Fit on argv[2] with argv[1], write argv[3]."""
    if len(sys.argv) != 4 or not sys.argv[3].endswith(".npz"):
        sys.exit(
            "usage: python -m oneglance.training.liveness.fit_texture fr_liveness.onnx DATA OUT.npz"
        )
    source, data, out = (Path(argument) for argument in sys.argv[1:])
    try:
        model, _ = rebuild(source)
        lfw = Lfw(data / "lfw_folds1-8.zip")
        names = list(split_people(data / "lfw_people_folds1-8.csv")["fit"])
        crops, live, _ = made_crops(lfw, names, FIT, np.random.default_rng(_SEED), people=PEOPLE)
        weights, bias = fit_readout(np.asarray(features(model).predict(crops)), live)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    np.savez(out, weights=weights, bias=np.float32(bias))
    sys.stdout.write(f"{out}: fitted on {live.sum()} crops of visits, {(~live).sum()} of attacks\n")


if __name__ == "__main__":
    main()
