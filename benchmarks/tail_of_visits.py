"""How often strangers match with the looks of a visit fused, compared with a single look.

python benchmarks/tail_of_visits.py --faces lfw.npz --faces celeba.npz \
    --same benchmarks/same_people.csv [--model DIR --anew [--kept FOLDER]] [--bursts 200] \
    [--seed N]

The files are those of known_faces.py; with --anew the chips are encoded by the model of --model,
and what was encoded is kept in FOLDER. Everything is settled, and compared with rows of three
pictures each of everybody else in the set who has as many, as at a door. A visit has 12 looks, with
figures after 3, 6 and 12, the moments at which a door compares them, and for any of the three:

different: at photographs of other days, each for two looks in a row, of everybody who has several;
burst: at one photograph of each of `--bursts` people of a set, cut out each time a little otherwise
    (moved, turned, enlarged), and blurred, lit and noised a little, as frames of a second differ;
restless: the same with everything twice as much.

Beside each stand the single looks of the same people, the ratio to those by a bootstrap over
people, and how alike the looks of a burst are (their cosines). `leads` tells, for strangers whose
12 looks score at a rate's threshold or above but below the next one's, by how much their best
moment scores higher than these (D), and E[exp(slope D)] for the steepest fall of the log rate
between neighbouring thresholds: by so much any moment matches more often than the last, if D is no
larger where scores are higher (docs/decision.md). One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from known_faces import KnownFaces, encoded_by, load_known
from numpy.typing import NDArray
from tail_at_door import RATES, Compared, against, enrolled, told_of
from tqdm import tqdm
from visits import LOOKS, LOOKS_A_PICTURE, Scores, in_turn, summed

from oneglance.faces.calibration.door import Door
from oneglance.faces.calibration.setup import any_door
from oneglance.faces.evaluation.strangers import SamePeople
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.models import default_model_dir

PICTURES = 3
AFTER = (3, 6, LOOKS)
# How much stronger than in the frames of a second the looks at one photograph are changed.
BURSTS = {"burst": 1.0, "restless": 2.0}
_ROWS = 64

Templates = NDArray[np.float32]
Image = NDArray[np.uint8]


def main() -> None:
    """Fuse, compare, print."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model or default_model_dir())
    door = any_door(model)
    if door is None:
        raise SystemExit("the model's manifest has no common directions")
    same = SamePeople.read(args.same)
    limits = [model.threshold(rate) for rate in RATES]
    rng = np.random.default_rng(args.seed)
    told: dict[str, Any] = {"model": model.model_id, "sets": {}}
    pooled: dict[str, list[Compared]] = {}
    alike: dict[str, list[NDArray[np.float32]]] = {}
    led: dict[str, list[Scores]] = {}
    for file in args.faces:
        faces = load_known(file)
        if args.anew:
            faces = encoded_by(model, faces, args.kept and args.kept / f"{file.stem}.npy")
        gallery, owners = enrolled(faces, model, PICTURES, left=0)
        rows = door.settled(gallery)
        visits = _different(faces, door, rng)
        for kind, strength in BURSTS.items() if args.bursts else ():
            looks, people = _bursts(faces, model, door, args.bursts, strength, rng)
            visits |= {kind: (looks, people)}
            alike.setdefault(kind, []).extend(_cosines(one) for one in looks)
        found = {}
        for kind, (looks, people) in visits.items():
            apart = looks[:, ::LOOKS_A_PICTURE]
            singles = apart.reshape(-1, apart.shape[-1])
            ways = {"single": (singles, np.repeat(people, apart.shape[1]))}
            sums = np.stack([summed(one)[np.subtract(AFTER, 1)] for one in looks])
            for at, after in enumerate(AFTER):
                ways[f"after {after}"] = (sums[:, at], people)
            ways["any"] = (sums, people)
            for name, (probes, whose) in ways.items():
                compare = partial(_any, model.compare) if name == "any" else model.compare
                one = against(rows, owners, probes, whose, compare, limits[0], same)
                found[f"{kind}, {name}"] = [one]
                pooled.setdefault(f"{kind}, {name}", []).append(one)
            led.setdefault(kind, []).append(
                _led(rows, owners, sums, people, model.compare, limits[0], same)
            )
        told["sets"][file.stem] = told_of(found, limits, _single)
    told["pooled"] = told_of(pooled, limits, _single)
    slope = max(math.log(10) / (high - low) for low, high in pairwise(limits))
    told["slope"] = slope
    told["leads"] = {kind: _leads(np.concatenate(of), limits, slope) for kind, of in led.items()}
    told["cosines_in_bursts"] = {
        kind: _spread(np.concatenate(cosines)) for kind, cosines in alike.items()
    }
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _single(name: str) -> str:
    return f"{name.partition(',')[0]}, single"


def _any(compare: Callable[[Templates, Templates], Scores], rows: Templates, sums: Any) -> Scores:
    """The best score (r, n) of rows (r, d) with the moments of visits (n, moments, d)."""
    return np.max([compare(rows, sums[:, at]) for at in range(sums.shape[1])], axis=0)


def _led(
    rows: Templates,
    owners: NDArray[np.str_],
    sums: Templates,
    people: NDArray[np.str_],
    compare: Callable[[Templates, Templates], Scores],
    floor: float,
    same: SamePeople,
) -> Scores:
    """Score of the last moment and lead of the best (k, 2), where strangers' last is `floor`."""
    found = []
    for start in range(0, len(rows), _ROWS):
        some, whose = rows[start : start + _ROWS], owners[start : start + _ROWS]
        last = compare(some, sums[:, -1])
        row, column = np.nonzero((last >= floor) & (whose[:, np.newaxis] != people))
        apart = [not same(str(whose[a]), str(people[b])) for a, b in zip(row, column, strict=True)]
        row, column = row[apart], column[apart]
        best = _any(compare, some, sums)
        found.append(np.stack([last[row, column], (best - last)[row, column]], axis=1))
    return np.concatenate(found)


def _leads(led: Scores, limits: list[float], slope: float) -> dict[str, Any]:
    told = {}
    for rate, low, high in zip(RATES, limits, [*limits[1:], math.inf], strict=True):
        lead = led[(led[:, 0] >= low) & (led[:, 0] < high), 1]
        if len(lead):
            told[rate] = {
                "pairs": len(lead),
                "mean": float(lead.mean()),
                "p95": float(np.percentile(lead, 95)),
                "times": float(np.exp(slope * lead).mean()),
            }
    return told


def _different(
    faces: KnownFaces, door: Door, rng: np.random.Generator
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.str_]]]:
    settled = door.settled(faces.templates)
    kinds, counts = np.unique(faces.people, return_counts=True)
    people = kinds[counts >= 2]
    looks = [
        settled[in_turn(rng.permutation(np.flatnonzero(faces.people == person)))]
        for person in people
    ]
    return {"different": (np.stack(looks), people)}


def _bursts(
    faces: KnownFaces,
    model: FaceModel,
    door: Door,
    count: int,
    strength: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Looks (people, LOOKS, d) of bursts, and whose they are."""
    _, first = np.unique(faces.people, return_index=True)
    chosen = np.sort(rng.choice(first, min(count, len(first)), replace=False))
    encoded = []
    for at in tqdm(chosen, unit="visit", disable=None):
        chip = np.asarray(faces.chips[at])
        encoded.append(model.encode(np.stack([_varied(chip, strength, rng) for _ in range(LOOKS)])))
    looks = door.settled(np.concatenate(encoded))
    return looks.reshape(len(chosen), LOOKS, -1), faces.people[chosen]


def _varied(chip: Image, strength: float, rng: np.random.Generator) -> Image:
    """The chip as another frame of the same second would show it, at `strength` 1."""
    side = chip.shape[0]
    turn, zoom = rng.normal(0, 2 * strength), rng.normal(1, 0.02 * strength)
    change = cv2.getRotationMatrix2D((side / 2, side / 2), turn, zoom)
    change[:, 2] += rng.normal(0, 1.5 * strength, 2)
    moved = cv2.warpAffine(chip, change, (side, side), borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.2, 0.2 + 0.7 * strength))
    lit = blurred * rng.normal(1, 0.05 * strength) + rng.normal(0, 3 * strength, chip.shape)
    return np.asarray(np.clip(np.rint(lit), 0, 255), np.uint8)


def _cosines(looks: Templates) -> NDArray[np.float32]:
    """The cosines of every two of the looks (n, d)."""
    unit = looks / np.linalg.norm(looks, axis=1, keepdims=True)
    return np.asarray((unit @ unit.T)[np.triu_indices(len(looks), 1)], np.float32)


def _spread(cosines: NDArray[np.float32]) -> dict[str, float]:
    low, middle, high = np.percentile(cosines, [5, 50, 95])
    return {"pairs": len(cosines), "p05": float(low), "p50": float(middle), "p95": float(high)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--same", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anew", action="store_true", help="encode the chips by this model")
    parser.add_argument("--kept", type=Path, help="a folder for what --anew has encoded")
    parser.add_argument("--bursts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
