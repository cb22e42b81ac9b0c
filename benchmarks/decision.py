"""How often visits end accepted: strangers' and enrolled people's, by the door's own rule.

python benchmarks/decision.py --faces lfw.npz [--folds 7,8] [--every N] [--model DIR] \
    [--galleries N] [--seed N]

`--faces` is a file made by known_faces.py. Templates are compared as the daemon does at a door
without a calibration: the directions that doors have in common, by the manifest, are taken out, and
the pictures of a person are fused into one row where they agree.

A gallery is enrolled from people drawn at random. A visit is a series of looks at one person: their
other pictures in a random order, each for two looks in a row, over and over until the visit has had
all its looks. A single picture makes a visit of equal looks. One JSON object on stdout; progress
and tables on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from known_faces import load_known
from numpy.typing import NDArray
from visits import FRAMES, PATIENCE_S, in_turn, play, shown

from oneglance.daemon.visit.decide import Rule, UnsupportedTargetError
from oneglance.faces.calibration.setup import any_door
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.enrolment import AGREEMENT_FMR
from oneglance.faces.gallery.fusing import fused
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.tail import tail_of

# people enrolled, pictures of each.
GALLERIES = ((1, 1), (3, 2), (10, 1), (10, 3), (50, 2), (250, 1))
TARGETS = (1e-2, 1e-3)
_BOOTSTRAPS = 2000


class Gallery:
    """Some people enrolled, as the daemon compares them."""

    def __init__(
        self, rows: NDArray[np.float32], owners: NDArray[np.str_], model: FaceModel
    ) -> None:
        self.people = sorted(set(owners))
        self.size = len(rows)
        self._rows = rows
        self._columns = [np.flatnonzero(owners == person) for person in self.people]
        self._model = model

    def scores(self, probes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Everybody's best score (n, people) for settled templates (n, d)."""
        found = self._model.compare(probes, self._rows)
        return np.stack([found[:, columns].max(axis=1) for columns in self._columns], axis=1)


class Comparer:
    """All pictures' templates, float32 (n, d), compared with galleries made of some of them."""

    def __init__(self, templates: NDArray[np.float32], model: FaceModel) -> None:
        door = any_door(model)
        self._settle = np.asarray if door is None else door.settled
        self._encoded = templates
        self.probes = self._settle(templates)
        self._model = model
        self._head = L1Head.behind(model.compare, model.template_size)
        self._agreement = model.threshold(AGREEMENT_FMR)

    def enrolled(self, pictures: dict[str, NDArray[np.intp]]) -> Gallery:
        """A gallery of these people, by their pictures' numbers."""
        ids = tuple(person for person, numbers in pictures.items() for _ in numbers)
        templates = self._encoded[np.concatenate(list(pictures.values()))]
        gallery = fused(Snapshot(ids, {}, templates), self._head, self._agreement)
        return Gallery(self._settle(gallery.templates), np.array(gallery.person_ids), self._model)


@dataclass(frozen=True, slots=True)
class Row:
    """Visits to one kind of gallery at one target; `threshold` is for one row a person.

    `false_accepts_95` is the upper end of a bootstrap over people where there are ten false
    accepts or more, else of Wilson's interval; `looks_50` and `looks_95` are of accepted visits.
    """

    far: float
    people: int
    pictures_each: int
    threshold: float
    impostor_visits: int
    false_accepts: int
    false_accept_rate: float
    false_accept_rate_95: float
    genuine_visits: int
    accepted: int
    accept_rate: float
    accept_rate_95: tuple[float, float]
    wrong_person: int
    looks_50: float
    looks_95: float


def main() -> None:
    """Read the templates, play the visits, print the results."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model)
    faces = load_known(args.faces)
    chosen = np.isin(faces.folds, [int(fold) for fold in args.folds.split(",")])
    templates, people = faces.templates[chosen][:: args.every], faces.people[chosen][:: args.every]
    order = np.argsort(people, kind="stable")
    comparer, people = Comparer(templates[order], model), people[order]
    rng = np.random.default_rng(args.seed)
    tail = tail_of(model.manifest.raw["thresholds"])
    rows = []
    counts = np.unique(people, return_counts=True)[1]
    for far in TARGETS:
        for size, each in GALLERIES:
            if (counts > each).sum() < size:
                _say(f"{size} people x {each}: too few people have so many pictures and one more")
                continue
            rule = Rule(far, FRAMES, PATIENCE_S, tail)
            try:
                rule.bar(size)
            except UnsupportedTargetError as error:
                _say(f"far {far:.0e}, {size} people x {each}: refused: {error.what}")
                continue
            rows.append(_play(rule, comparer, people, size, each, args.galleries, rng))
            _say(_told(rows[-1]))
    figures = {
        "model": model.model_id,
        "folds": args.folds,
        "pictures": len(people),
        "people": len(set(people)),
        "seed": args.seed,
        "rows": [asdict(row) for row in rows],
    }
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _play(
    rule: Rule,
    comparer: Comparer,
    people: NDArray[np.str_],
    size: int,
    each: int,
    galleries: int,
    rng: np.random.Generator,
) -> Row:
    """Visits of everybody to `galleries` galleries of `size` people with `each` templates."""
    of = {person: np.flatnonzero(people == person) for person in sorted(set(people))}
    enough = [person for person, rows in of.items() if len(rows) > each]
    tried: dict[str, int] = dict.fromkeys(of, 0)
    fooled: dict[str, int] = dict.fromkeys(of, 0)
    genuine = accepted = wrong = 0
    looks: list[int] = []
    for _ in range(galleries):
        chosen = rng.choice(enough, size, replace=False)
        enrolled = {p: rng.choice(of[p], each, replace=False) for p in chosen}
        gallery = comparer.enrolled(enrolled)
        bar = rule.bar(gallery.size)
        near = gallery.scores(comparer.probes).max(axis=1) >= bar.near
        for person, pictures in of.items():
            known = person in enrolled
            left = np.setdiff1d(pictures, enrolled[person]) if known else pictures
            if not known:
                tried[person] += 1
                # Somebody with no picture near to anybody is never accepted.
                if not near[left].any():
                    continue
            looks_at = comparer.probes[in_turn(rng.permutation(left))]
            column, had = play(shown(looks_at, gallery.scores), rule, bar)
            who = None if column is None else gallery.people[column]
            if not known:
                fooled[person] += who is not None
            else:
                genuine += 1
                if who == person:
                    accepted += 1
                    looks.append(had)
                wrong += who not in (None, person)
    visits, false = sum(tried.values()), sum(fooled.values())
    return Row(
        far=rule.far,
        people=size,
        pictures_each=each,
        threshold=rule.bar(size).threshold,
        impostor_visits=visits,
        false_accepts=false,
        false_accept_rate=false / visits,
        false_accept_rate_95=_upper(list(tried.values()), list(fooled.values()), rng),
        genuine_visits=genuine,
        accepted=accepted,
        accept_rate=accepted / genuine,
        accept_rate_95=wilson(accepted, genuine),
        wrong_person=wrong,
        looks_50=float(np.percentile(looks, 50)),
        looks_95=float(np.percentile(looks, 95)),
    )


def _upper(tried: Sequence[int], fooled: Sequence[int], rng: np.random.Generator) -> float:
    if sum(fooled) < 10:
        return wilson(sum(fooled), sum(tried))[1]
    visits, false = np.asarray(tried), np.asarray(fooled)
    drawn = rng.integers(0, len(visits), (_BOOTSTRAPS, len(visits)))
    return float(np.percentile(false[drawn].sum(axis=1) / visits[drawn].sum(axis=1), 97.5))


def _told(row: Row) -> str:
    return (
        f"far {row.far:.0e}, {row.people} people x {row.pictures_each}: threshold"
        f" {row.threshold:.2f}; strangers {row.false_accepts} of {row.impostor_visits}"
        f" = {row.false_accept_rate:.1e} (up to {row.false_accept_rate_95:.1e}); enrolled"
        f" {row.accept_rate:.1%} of {row.genuine_visits} after {row.looks_50:.0f} looks"
        f" (95 %: {row.looks_95:.0f}), {row.wrong_person} as somebody else"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--folds", default="7,8")
    parser.add_argument("--every", type=int, default=1, help="take each Nth picture")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--galleries", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


_Raw = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    main()
