"""Error rates by group: by the skin tone that a chip shows, and by the sex that a first name tells.

python benchmarks/groups.py --faces lfw.npz [--folds 7,8] [--model DIR --anew] [--pictures N]

`--faces` is a file made by known_faces.py; with --anew its chips are encoded by the model of
--model. Up to N pictures a person count. Skin tone is the
individual typology angle ITA = atan((L* - 50) / b*) in degrees (Chardon et al., 1991) of the
cheeks, the median over a person's pictures, in the usual six classes. It is a reading of a
photograph, not of a person: light, make-up and white balance move it by a class or more. First
names are looked up in a short list (first_names.csv); other names, and data without names, tell
nothing. FMR is that of pairs *within* a group. Both rates at the manifest's thresholds. Intervals:
95 %, a bootstrap over people; where nothing was counted Wilson's, which takes pairs as independent.
One JSON object on stdout, a table on stderr.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fusion import scores_of
from known_faces import KnownFaces, encoded_by, load_known
from numpy.typing import NDArray

from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.model.face_model import FaceModel, load_model

RATES = ("1e-3", "1e-4")
# Lower ends in degrees, lightest first.
TONES = (
    ("very light, over 55", 55.0),
    ("light, 41 to 55", 41.0),
    ("intermediate, 28 to 41", 28.0),
    ("tan, 10 to 28", 10.0),
    ("brown, -30 to 10", -30.0),
    ("dark, under -30", -90.0),
)
# Under the eyes, beside the nose, in the chip: rows, columns.
_CHEEKS = ((slice(66, 82), slice(26, 42)), (slice(66, 82), slice(70, 86)))
_LEAST_PEOPLE = 5
_BOOTSTRAPS = 1000

FIRST_NAMES = Path(__file__).with_name("first_names.csv")


def ita_degrees(chip: NDArray[np.uint8]) -> float:
    """The typology angle of the cheeks of an RGB chip uint8 (112, 112, 3), -90 to 90."""
    lab = cv2.cvtColor(chip.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    cheeks = np.concatenate([lab[place].reshape(-1, 3) for place in _CHEEKS])
    light, _, yellow = np.median(cheeks, axis=0)
    return float(np.degrees(np.arctan2(light - 50, max(float(yellow), 1e-3))))


def tone_of(ita: float) -> str:
    """The class of an angle."""
    return next(name for name, lowest in TONES if ita >= lowest)


def sexes_of(people: Sequence[str]) -> list[str | None]:
    """The sex that the first name of each "First_Last" tells; None where it tells nothing."""
    with FIRST_NAMES.open(newline="", encoding="utf-8") as file:
        told = {row["name"]: row["sex"] for row in csv.DictReader(file)}
    return [told.get(person.split("_")[0].lower()) for person in people]


def groups_of(faces: KnownFaces) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """By kind of group and group: which of the people (sorted, unique) belong to it."""
    people, owner = np.unique(faces.people, return_inverse=True)
    angles = np.array([ita_degrees(chip) for chip in faces.chips])
    tones = [tone_of(float(np.median(angles[owner == i]))) for i in range(len(people))]
    sexes = sexes_of(list(people))
    return {
        "everybody": {"all": np.ones(len(people), bool)},
        "skin tone": {name: np.array([tone == name for tone in tones]) for name, _ in TONES},
        "first name": {name: np.array([s == name for s in sexes]) for name in ("female", "male")},
    }


def matches(
    faces: KnownFaces, head: L1Head, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many pictures of person i match one of j at the threshold, and how many pairs there are.

    Both (people, people), symmetric but for the diagonal, on which each genuine pair counts once.
    """
    owner = np.unique(faces.people, return_inverse=True)[1]
    count = np.bincount(owner).astype(np.float64)
    made = np.zeros((len(count), len(count)))
    for number in range(1, len(owner)):
        scores = scores_of(head, faces.templates[:number], faces.templates[number : number + 1])
        for other in owner[:number][scores[:, 0] >= threshold]:
            made[owner[number], other] += 1
    made += np.triu(made.T, 1) + np.tril(made.T, -1)
    pairs = np.outer(count, count)
    np.fill_diagonal(pairs, count * (count - 1) / 2)
    return made, pairs


def rates_of(
    made: NDArray[np.float64],
    pairs: NDArray[np.float64],
    group: NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """FNMR and FMR within one group, and their intervals."""
    made, pairs = made[np.ix_(group, group)], pairs[np.ix_(group, group)]
    size = int(group.sum())
    own, own_pairs = np.diag(made), np.diag(pairs)
    others, other_pairs = made - np.diag(own), pairs - np.diag(own_pairs)
    missed, false = own_pairs - own, others.sum() / 2
    weights = rng.multinomial(size, np.full(size, 1 / size), _BOOTSTRAPS).astype(np.float64)
    fnmr = (weights @ missed) / np.maximum(weights @ own_pairs, 1)
    over = ((weights @ others) * weights).sum(axis=1)
    fmr = over / np.maximum(((weights @ other_pairs) * weights).sum(axis=1), 1)

    def told(count: float, total: float, drawn: NDArray[np.float64]) -> dict[str, Any]:
        bounds = [float(v) for v in np.percentile(drawn, [2.5, 97.5])]
        if count == 0:
            bounds = list(wilson(0, int(total)))
        return {"errors": int(count), "pairs": int(total), "rate": count / total, "rate_95": bounds}

    return {
        "people": size,
        "fnmr": told(missed.sum(), own_pairs.sum(), fnmr) if own_pairs.sum() else None,
        "fmr": told(false, other_pairs.sum() / 2, fmr),
    }


def measure(faces: KnownFaces, model: FaceModel, head: L1Head, seed: int) -> dict[str, Any]:
    """Every group's rates at every threshold."""
    found: dict[str, Any] = {}
    groups = groups_of(faces)
    for rate in RATES:
        made, pairs = matches(faces, head, model.threshold(rate))
        for kind, members in groups.items():
            for name, group in members.items():
                if group.sum() >= _LEAST_PEOPLE:
                    row = rates_of(made, pairs, group, np.random.default_rng(seed))
                    found.setdefault(kind, {}).setdefault(name, {})[rate] = row
    return found


def table(found: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    head = ["group", "people", *(f"{what} at {r}" for r in RATES for what in ("FMR", "FNMR"))]
    lines = [head, ["---"] * len(head)]
    for kind, members in found.items():
        for name, rates in members.items():
            cells = []
            for rate in RATES:
                for what in ("fmr", "fnmr"):
                    one = rates[rate][what]
                    if one is None:
                        cells.append("-")
                        continue
                    low, high = one["rate_95"]
                    shown = (
                        f"{one['rate']:.1e} ({low:.1e} to {high:.1e}; {one['errors']:,} of"
                        if what == "fmr"
                        else f"{one['rate']:.2%} ({low:.2%} to {high:.2%}; {one['errors']:,} of"
                    )
                    cells.append(f"{shown} {one['pairs']:,})")
            lines.append([f"{kind}: {name}", f"{rates[RATES[0]]['people']:,}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="what known_faces.py left")
    parser.add_argument("--folds", default="", help="e.g. 7,8; all unless given")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anew", action="store_true", help="encode the chips by this model")
    parser.add_argument("--pictures", type=int, default=5, help="at most so many a person")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = load_model(args.model)
    head = L1Head.behind(model.compare, model.template_size)
    if head is None:
        parser.error("this model has no L1 head")
    faces = load_known(args.faces)
    folds = tuple(int(fold) for fold in args.folds.split(",") if fold)
    if folds:
        faces = faces.in_folds(folds)
    seen: dict[str, int] = {}
    few = np.array([_nth(seen, person) <= args.pictures for person in faces.people])
    faces = faces.rows(few)
    if args.anew:
        faces = encoded_by(model, faces)
    found = measure(faces, model, head, args.seed)
    print(table(found), file=sys.stderr)
    on = {"faces": args.faces.name, "folds": folds, "pictures": len(faces.people)}
    json.dump({"model": model.model_id, "on": on, "groups": found}, sys.stdout, indent=2)
    print()


def _nth(seen: dict[str, int], person: str) -> int:
    seen[person] = seen.get(person, 0) + 1
    return seen[person]


if __name__ == "__main__":
    main()
