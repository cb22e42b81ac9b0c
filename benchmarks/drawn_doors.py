"""How often strangers match, without a calibration, at doors drawn by chance.

python benchmarks/drawn_doors.py --faces lfw.npz [--folds 7,8] [--doors 16] [--model DIR] [--seed N]

The doors are drawn from the ranges of common_stretch.py, which fits with another seed and other
people. At each are the faces of domains.py, with its bootstrap over people. "Directions" is a door
at which the manifest's `common` directions alone are taken out; "in general" is a door without a
calibration as the daemon runs it. One JSON object on stdout, progress and a summary on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common_stretch import drawn
from domains import PICTURES_A_PERSON, RATES, encoded, folds_of, rates_at, read

from oneglance.faces.calibration.setup import any_door
from oneglance.faces.model.face_model import load_model

WAYS = ("directions", "in general")


def main() -> None:
    """Measure every door."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    model = load_model(arguments.model)
    door = any_door(model)
    if door is None:
        raise SystemExit("the model's manifest has no common directions")
    ways = dict(zip(WAYS, (replace(door, stretch=None), door), strict=True))
    faces = read(arguments, arguments.folds, PICTURES_A_PERSON, None)
    whose = np.unique(faces.people, return_inverse=True)[1]
    doors: dict[str, Any] = {}
    for number in range(arguments.doors):
        name, change = drawn(number, arguments.seed)
        templates = encoded(faces.seen(name, change, arguments.seed), model)
        doors[name] = {way: rates_at(templates, templates, whose, ways[way], model) for way in WAYS}
        for way in WAYS:
            _say(f"{name}, {way}: {_told(doors[name][way])}")
    for way in WAYS:
        _say(f"{way}, times as often as promised: {_summary([row[way] for row in doors.values()])}")
    about = {"model": f"{model.model_id}, {model.variant}", "faces": len(faces.people)}
    json.dump(about | {"seed": arguments.seed, "doors": doors}, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _times(rates: dict[str, Any], rate: str, which: str = "fmr") -> float:
    """How many times as often as promised strangers match; of an interval, its lower end."""
    told = rates[rate][which]
    return float(told if which == "fmr" else told[0]) / float(rate)


def _told(rates: dict[str, Any]) -> str:
    fmr = " / ".join(f"{_times(rates, rate):.2f}" for rate in RATES)
    tar = " / ".join(f"{100 * rates[rate]['tar']:.1f}" for rate in RATES)
    return f"{fmr} times as often as promised, TAR {tar} %"


def _summary(doors: Sequence[dict[str, Any]]) -> str:
    told = []
    for rate in RATES:
        times = np.array([_times(rates, rate) for rates in doors])
        sure = sum(_times(rates, rate, "fmr_95") > 1 for rates in doors)
        told.append(
            f"{rate}: {times.min():.2f} to {times.max():.2f}, mean {times.mean():.2f}, above once"
            f" at {(times > 1).sum()} of {len(times)} ({sure} for certain)"
        )
    return "; ".join(told)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--folds", type=folds_of, default=[7, 8])
    parser.add_argument("--doors", type=int, default=16)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
