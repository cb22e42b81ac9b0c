"""Oneglance and its peers at equal false match rates: same pictures, each with its own detector.

python benchmarks/equal_fmr.py --peers .venv-peers/bin/python --data DATA [--folds 7,8] \
    [--every N] [--kept FOLDER]

DATA holds lfw_folds1-8.zip, lfw_people_folds1-8.csv and MobileFaceNet.tflite; the peers' Python is
made by peers-environment.sh. Every pair of the pictures of these folds is scored as the contender
scores: oneglance by its head (with the standard model, and with mobileface-large), face_recognition
by distance, BlazeFace with MobileFaceNet and YuNet with SFace by cosine. The threshold for a rate
is taken from the contender's own impostor pairs, the best that it could have been given. A genuine
pair with a face that was not found counts as not matched. 95 %: a bootstrap over people. Every Nth
of these people is taken. Templates are kept in FOLDER, so that a run can go on. One JSON object on
stdout.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure import Child
from numpy.typing import NDArray

from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.models import model_dir

RATES = ("1e-2", "1e-3", "1e-4", "1e-5")
# A rate supported by fewer impostor pairs than this is not reported.
_LEAST_MATCHES = 5
# Ours, with the model of this name.
MODELS = {"ours": "mobileface-3", "large": "mobileface-large"}
CONTENDERS = (*MODELS, "blazeface", "sface", "face_recognition")
_DRAWS = 1000
_AT_ONCE = 100
_ROWS = 128

Rows = NDArray[np.float32]


def main() -> None:
    """Encode, compare, print."""
    args = _arguments()
    folds = {int(fold) for fold in args.folds.split(",")}
    with (args.data / "lfw_people_folds1-8.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    names = [
        f"{row['person']}/{row['person']}_{number:04d}.jpg"
        for row in [row for row in listed if int(row["fold"]) in folds][:: args.every]
        for number in range(1, int(row["images"]) + 1)
    ]
    people = np.array([name.partition("/")[0] for name in names])
    told: dict[str, Any] = {
        "folds": args.folds,
        "every": args.every,
        "pictures": len(names),
        "contenders": {},
    }
    args.kept.mkdir(parents=True, exist_ok=True)
    for contender in CONTENDERS:
        rows, cpu_s = _templates(contender, names, args)
        told["contenders"][contender] = _figures(contender, rows, people) | {
            "cpu_ms_per_picture": round(1e3 * cpu_s / len(names), 1)
        }
        print(contender, told["contenders"][contender], file=sys.stderr, flush=True)
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _templates(contender: str, names: list[str], args: argparse.Namespace) -> tuple[Rows, float]:
    """Templates (pictures, d), NaN where no face was found, and the processor's time for all."""
    kept = args.kept / f"{contender}-{args.folds}-{args.every}.json"
    found: list[list[float] | None] = []
    cpu_s = 0.0
    if kept.exists():
        found, cpu_s = json.loads(kept.read_text())
    if len(found) < len(names):
        python = Path(sys.executable) if contender in MODELS else args.peers
        child = Child(contender, python, args.data, None, args.kept / f"{contender}.log")
        while len(found) < len(names):
            answer = child.ask(
                "templates",
                images=str(args.data / "lfw_folds1-8.zip"),
                names=names[len(found) : len(found) + _AT_ONCE],
            )
            found += answer["templates"]
            cpu_s += answer["cpu_s"]
            kept.write_text(json.dumps([found, cpu_s]))
            print(f"{contender}: {len(found)} of {len(names)}", file=sys.stderr, flush=True)
        child.stop()
    size = max(len(row) for row in found if row is not None)
    return np.array([[np.nan] * size if row is None else row for row in found], np.float32), cpu_s


def _figures(contender: str, rows: Rows, people: NDArray[np.str_]) -> dict[str, Any]:
    there = ~np.isnan(rows).any(axis=1)
    kinds, person = np.unique(people, return_inverse=True)
    genuine, whose, impostor = [], [], []
    for start in range(0, len(rows), _ROWS):
        own = slice(start, start + _ROWS)
        scores = _scores(contender, rows[own], rows[start:])
        later = np.arange(scores.shape[1]) > np.arange(len(scores))[:, np.newaxis]
        same = person[own, np.newaxis] == person[start:]
        both = there[own, np.newaxis] & there[start:]
        one, _ = np.nonzero(later & same)
        genuine.append(np.where(both, scores, -np.inf)[later & same])
        whose.append(person[start + one])
        impostor.append(scores[later & ~same & both])
    scored, owner = np.concatenate(genuine), np.concatenate(whose)
    strangers = np.sort(np.concatenate(impostor))[::-1]
    told: dict[str, Any] = {
        "not_acquired": int((~there).sum()),
        "genuine": len(scored),
        "people": len(set(owner)),
        "impostor": len(strangers),
    }
    count = len(kinds)
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _DRAWS)
    all_of = weights @ np.bincount(owner, minlength=count)
    for rate in RATES:
        if float(rate) * len(strangers) < _LEAST_MATCHES:
            continue
        # Just above the first impostor who would be one too many.
        matched = scored > strangers[int(float(rate) * len(strangers))]
        shares = weights @ np.bincount(owner, matched, minlength=count) / all_of
        told[rate] = {
            "tar": float(matched.mean()),
            "tar_95_people": np.percentile(shares, [2.5, 97.5]).tolist(),
        }
    return told


def _scores(contender: str, one: Rows, other: Rows) -> Rows:
    if contender in MODELS:
        return _model(MODELS[contender]).compare(np.nan_to_num(one), np.nan_to_num(other))
    if contender in ("blazeface", "sface"):
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other)]
        return np.asarray(unit[0] @ unit[1].T, np.float32)
    squares = (one**2).sum(axis=1)[:, np.newaxis] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.asarray(-np.sqrt(np.maximum(squares, 0)), np.float32)


@cache
def _model(name: str) -> FaceModel:
    return load_model(model_dir(name))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", default="7,8")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=Path("build/equal_fmr"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
