"""Fit read-outs of the texture network to rendered films of visits and attacks.

    python -m oneglance.training.liveness.fit_texture fr_liveness.onnx CROPS READOUTS.npz TOLD.jsonl

CROPS is what oneglance.training.liveness.fit wrote with --crops: what was seen at each look, in
both SCALES. The pretrained network is left unchanged: for each scale, one linear layer is fitted to
the 512 numbers before its last two layers, on the films of the fitting part. It learns what
rendered attacks look like; real ones may look different, so it is a cue of its own beside the
network's.

TOLD holds a read-out's output for each look; for people among the fitted ones, that of a read-out
fitted without them. Otherwise the weights of all cues could not be fitted on the same films.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import OneglanceError
from oneglance.training.liveness.crops import SCALES
from oneglance.training.liveness.texture_files import features, rebuild

# How many of each film's looks are fitted to; and into how many parts people are divided, to leave
# out each in turn.
LOOKS, PARTS = 6, 5
FITTED_PART = "fit"
_RIDGE = 300.0
_ROUNDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One film's looks: the network's 512 features of each in each of SCALES, float32 (n, k, 512),
    NaN where the frame did not hold the face.
    """

    part: str
    seed: int
    person: str
    live: bool
    values: NDArray[np.float32]


def fit_readout(
    values: NDArray[np.floating], live: NDArray[np.bool_], ridge: float = _RIDGE
) -> tuple[NDArray[np.float32], float]:
    """Weights (d,) and bias of logistic regression: natural log-odds that `values` (n, d) live.

    Both classes have the same total weight, whatever their sizes; `ridge` is the penalty on the
    squared weights of values scaled to a standard deviation of 1. Newton's method (iteratively
    reweighted least squares).
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


def fitted(films: list[Seen]) -> list[tuple[NDArray[np.float32], float]]:
    """The read-out for each of SCALES, fitted to the first looks of films."""
    readouts = []
    for scale in range(len(SCALES)):
        values = np.concatenate([film.values[:LOOKS, scale] for film in films])
        live = np.repeat([film.live for film in films], [len(f.values[:LOOKS]) for f in films])
        known = np.isfinite(values).all(1)
        readouts.append(fit_readout(values[known], live[known]))
    return readouts


def told(films: list[Seen]) -> list[Mapping[str, object]]:
    """A line for each look and scale: the output of a read-out that never saw the film's people."""
    own = [film for film in films if film.part == FITTED_PART]
    people = sorted({film.person for film in own})
    order = np.random.default_rng(0).permutation(len(people))
    group = {people[at]: number % PARTS for number, at in enumerate(order)}
    whole = fitted(own)
    without = [
        fitted([film for film in own if group[film.person] != left]) for left in range(PARTS)
    ]
    lines: list[Mapping[str, object]] = []
    for film in films:
        readouts = without[group[film.person]] if film.part == FITTED_PART else whole
        for scale, (weights, bias) in zip(range(len(SCALES)), readouts, strict=True):
            for look, value in enumerate((film.values[:, scale] @ weights + bias).tolist()):
                cue = f"texture-made-{SCALES[scale]}"
                lines.append(
                    {"part": film.part, "seed": film.seed, "look": look, "cue": cue, "told": value}
                )
    return lines


def main() -> None:
    """Fit on argv[2] with argv[1]; write argv[3] and argv[4]."""
    if len(sys.argv) != 5 or not sys.argv[3].endswith(".npz"):
        sys.exit(
            "usage: python -m oneglance.training.liveness.fit_texture "
            "fr_liveness.onnx CROPS READOUTS.npz TOLD.jsonl"
        )
    source, crops, out, lines = (Path(argument) for argument in sys.argv[1:])
    try:
        model, _ = rebuild(source)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    network = features(model)
    films = []
    for file in sorted(crops.glob("*.npz")):
        with np.load(file, allow_pickle=False) as film:
            pictures, inside = film["crops"], film["inside"]
            flat = pictures.reshape(-1, *pictures.shape[2:]).astype(np.float32)
            values = np.asarray(network.predict_on_batch(flat)).reshape(*inside.shape, -1)
            values[~inside] = np.nan
            part, seed = file.stem.split("-")
            person, live = str(film["person"]), bool(film["live"])
            films.append(Seen(part, int(seed), person, live, values))
    readouts = fitted([film for film in films if film.part == FITTED_PART])
    np.savez(
        out,
        weights=np.stack([weights for weights, _ in readouts]),
        biases=np.array([bias for _, bias in readouts], np.float32),
    )
    lines.write_text("".join(json.dumps(line) + "\n" for line in told(films)), "utf-8")
    sys.stdout.write(f"{out}: fitted on {len(films)} films\n")


if __name__ == "__main__":
    main()
