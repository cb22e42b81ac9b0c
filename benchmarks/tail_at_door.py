"""Whether the manifest's thresholds hold on what the daemon compares: settled and fused templates.

python benchmarks/tail_at_door.py --faces lfw.npz --faces celeba.npz \
    --same benchmarks/same_people.csv [--model DIR --anew [--kept FOLDER]] [--pictures 3]

The files are those of known_faces.py, and the thresholds those of tail.py's model; with --anew the
chips are encoded by the model of --model, and what was encoded is kept in FOLDER. "As encoded"
compares every two pictures; "settled" does so once the manifest's `common` directions are taken
out, as at every door without a calibration; "fused" compares every picture with a row made of
`--pictures` pictures of somebody else, as encoded and settled. False match rates have Wilson's
interval and one by a bootstrap over people; the ratio to "as encoded" has one too, over the draws
in which anything matches there. TAR is on the genuine pairs of folds 7 and 8; for fused rows, on
the pictures that are not in them. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from known_faces import KnownFaces, encoded_by, load_known
from numpy.typing import NDArray

from oneglance.faces.calibration.setup import any_door
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.evaluation.strangers import SamePeople, collect
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.enrolment import AGREEMENT_FMR
from oneglance.faces.gallery.fusing import fused
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.models import default_model_dir

FIT_FOLDS = (7, 8)
RATES = ("1e-3", "1e-4", "1e-5", "1e-6", "1e-7")
_DRAWS = 1000
_ROWS = 64

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """The impostor scores (k,) to be counted, out of `pairs`, and the two people (k,) of each.

    `rows` and `faces` (people,): how many gallery rows and how many probes everybody has. `each`:
    how often a pair of people counts for each pair of a row and a probe of theirs.
    """

    scores: Rows
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    rows: NDArray[np.intp]
    faces: NDArray[np.intp]
    pairs: int
    each: float

    def drawn(self, limits: list[float]) -> NDArray[np.float64]:
        """Matches and pairs (draws, limits + 1) with people drawn anew."""
        generator = np.random.default_rng(0)
        people = len(self.faces)
        found = np.empty((_DRAWS, len(limits) + 1))
        for draw in range(_DRAWS):
            times = np.bincount(generator.integers(0, people, people), minlength=people)
            rows, faces = (times * self.rows).astype(float), (times * self.faces).astype(float)
            found[draw, -1] = self.each * (rows.sum() * faces.sum() - rows @ faces)
            weight = (times[self.first] * times[self.second]).astype(float)
            for at, limit in enumerate(limits):
                found[draw, at] = weight[self.scores >= limit].sum()
        return found


def main() -> None:
    """Compare and print."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model or default_model_dir())
    door = any_door(model)
    if door is None:
        raise SystemExit("the model's manifest has no common directions")
    same = SamePeople.read(args.same)
    limits = [model.threshold(rate) for rate in RATES]
    told: dict[str, Any] = {"model": model.model_id, "pictures": args.pictures, "sets": {}}
    pooled: dict[str, list[Compared]] = {}
    for file in args.faces:
        faces = load_known(file)
        if args.anew:
            faces = encoded_by(model, faces, args.kept and args.kept / f"{file.stem}.npy")
        settled = door.settled(faces.templates)
        found = {
            "as encoded": _singly(faces, faces.templates, model, limits[0], same),
            "settled": _singly(faces, settled, model, limits[0], same),
        }
        gallery, owners = enrolled(faces, model, args.pictures)
        for name, rows, probes in (
            ("fused, as encoded", gallery, faces.templates),
            ("fused, settled", door.settled(gallery), settled),
        ):
            compare = model.compare
            found[name] = against(rows, owners, probes, faces.people, compare, limits[0], same)
        told["sets"][file.stem] = told_of({k: [v] for k, v in found.items()}, limits, _encoded)
        for name, one in found.items():
            pooled.setdefault(name, []).append(one)
        chosen = np.isin(faces.folds, FIT_FOLDS)
        if chosen.any():
            told["tar"] = _genuine(faces.rows(chosen), model, door.settled, args.pictures)
    told["pooled"] = told_of(pooled, limits, _encoded)
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _encoded(name: str) -> str:
    return name.replace("settled", "as encoded")


def _singly(
    faces: KnownFaces, templates: Rows, model: FaceModel, floor: float, same: SamePeople
) -> Compared:
    found = collect(templates, list(faces.people), model.compare, floor, same)
    return Compared(
        found.scores,
        found.first,
        found.second,
        rows=found.pictures,
        faces=found.pictures,
        pairs=found.pairs,
        each=0.5,
    )


def enrolled(
    faces: KnownFaces, model: FaceModel, count: int, *, left: int = 1
) -> tuple[Rows, NDArray[np.str_]]:
    """The daemon's rows for the first `count` pictures of everybody with `left` pictures more.

    Rows as encoded, and whose they are.
    """
    enrolled = np.concatenate(
        [
            rows[:count]
            for person in np.unique(faces.people)
            if len(rows := np.flatnonzero(faces.people == person)) >= count + left
        ]
    )
    ids = tuple(str(person) for person in faces.people[enrolled])
    templates = faces.templates[enrolled]
    head = L1Head.behind(model.compare, model.template_size)
    snapshot = fused(Snapshot(ids, {}, templates), head, model.threshold(AGREEMENT_FMR))
    return snapshot.templates, np.array(snapshot.person_ids)


def against(
    rows: Rows,
    owners: NDArray[np.str_],
    probes: Rows,
    people: NDArray[np.str_],
    compare: Callable[[Rows, Rows], Rows],
    floor: float,
    same: SamePeople,
) -> Compared:
    """Every probe of these `people`, against everybody else's rows.

    `compare` gives scores (r, n) of rows (r, d) and probes (n, ...).
    """
    kinds, person = np.unique(np.concatenate([owners, people]), return_inverse=True)
    owner, person = np.split(person, [len(owners)])
    scores, first, second = [], [], []
    pairs = 0
    for start in range(0, len(rows), _ROWS):
        found = compare(rows[start : start + _ROWS], probes)
        strange = owner[start : start + _ROWS, np.newaxis] != person
        pairs += int(strange.sum())
        row, column = np.nonzero(strange & (found >= floor))
        scores.append(found[row, column])
        first.append(owner[start + row])
        second.append(person[column])
    one, other, high = np.concatenate(first), np.concatenate(second), np.concatenate(scores)
    told = np.array(
        [not same(str(kinds[a]), str(kinds[b])) for a, b in zip(one, other, strict=True)], bool
    )
    return Compared(
        high[told],
        one[told],
        other[told],
        rows=np.bincount(owner, minlength=len(kinds)),
        faces=np.bincount(person, minlength=len(kinds)),
        pairs=pairs - int((~told).sum()),
        each=1.0,
    )


def told_of(
    ways: dict[str, list[Compared]], limits: list[float], plain_of: Callable[[str], str]
) -> dict[str, Any]:
    """The rates of each of the `ways`, and their ratios to the way that `plain_of` names."""
    told: dict[str, Any] = {}
    draws = {}
    for name, sets in ways.items():
        drawn = np.sum([one.drawn(limits) for one in sets], axis=0)
        draws[name] = rates = drawn[:, :-1] / drawn[:, -1:]
        plain = draws[plain_of(name)]
        pairs = sum(one.pairs for one in sets)
        told[name] = {"pairs": pairs, "rows": int(sum(one.rows.sum() for one in sets))}
        for at, (rate, limit) in enumerate(zip(RATES, limits, strict=True)):
            matches = sum(int((one.scores >= limit).sum()) for one in sets)
            some = plain[:, at] > 0
            ratio = rates[some, at] / plain[some, at]
            told[name][rate] = {
                "threshold": limit,
                "matches": matches,
                "fmr": matches / pairs,
                "fmr_95": wilson(matches, pairs),
                "fmr_95_people": np.percentile(rates[:, at], [2.5, 97.5]).tolist(),
                "ratio_95": np.percentile(ratio, [2.5, 97.5]).tolist() if some.any() else None,
            }
        highest = np.sort(np.concatenate([one.scores for one in sets]))[::-1][:10]
        told[name]["highest"] = [round(float(score), 2) for score in highest]
    return told


def _genuine(faces: KnownFaces, model: FaceModel, settle: Any, count: int) -> dict[str, Any]:
    """TAR at the thresholds, with a bootstrap over people."""
    gallery, owners = enrolled(faces, model, count)
    probes = np.zeros(len(faces.people), bool)
    for person in np.unique(owners):
        probes[np.flatnonzero(faces.people == person)[count:]] = True
    people, left = faces.people, faces.people[probes]
    told = {}
    for name, change in (("as encoded", np.asarray), ("settled", settle)):
        rows = change(faces.templates)
        scores = model.compare(rows, rows)
        once = np.triu(people[:, np.newaxis] == people, 1)
        told[name] = _shares(scores[once], people[np.nonzero(once)[0]], model)
        scores = model.compare(change(gallery), rows[probes])
        own = owners[:, np.newaxis] == left
        # Of several rows of one person the best counts, as in a search.
        best = np.where(own, scores, -np.inf).max(axis=0)
        told[f"fused, {name}"] = _shares(best, left, model)
    return told


def _shares(scores: Rows, whose: NDArray[np.str_], model: FaceModel) -> dict[str, Any]:
    kinds, person = np.unique(whose, return_inverse=True)
    people = len(kinds)
    weights = np.random.default_rng(0).multinomial(people, np.full(people, 1 / people), _DRAWS)
    all_of = weights @ np.bincount(person, minlength=people)
    told: dict[str, Any] = {"genuine": len(scores), "people": people}
    for rate in RATES:
        matched = scores >= model.threshold(rate)
        shares = weights @ np.bincount(person, matched, minlength=people) / all_of
        told[rate] = {
            "tar": float(matched.mean()),
            "tar_95_people": np.percentile(shares, [2.5, 97.5]).tolist(),
        }
    return told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--same", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anew", action="store_true", help="encode the chips by this model")
    parser.add_argument("--kept", type=Path, help="a folder for what --anew has encoded")
    parser.add_argument("--pictures", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
