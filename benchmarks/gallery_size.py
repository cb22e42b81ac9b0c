"""Does a visit's bound hold in a large gallery, and do enrolled people still get in?

python benchmarks/gallery_size.py --faces lfw.npz --faces celeba.npz \
    --same benchmarks/same_people.csv [--model DIR --anew [--kept FOLDER]] [--people N] [--each N] \
    [--kept-back N] [--galleries N] [--bar-for ROWS ...]

The files are those of known_faces.py; with --anew the chips are encoded by the model of --model,
and what was encoded is kept in FOLDER. From each set `--people` people (as many as it has) with
`--each` pictures or more are enrolled, settled and fused into one row a person as the daemon does;
the threshold is the one for their number, or for `--bar-for` rows. Everybody else of that set pays
a visit twice: with one picture in all looks (equal), and, if there are several, with each of them
for two looks in a row (different). Pairs of names that belong to one person are left out. Enrolled
people come with their remaining pictures, if any; with --kept-back they have that many or more and
come with those after them, so that fewer pictures enrolled are compared on the same visits. Visits
are played by the door's own rule, and those of the honest a second time as if no template were
made longer (the manifest's `common_stretch`), which tells who is lost by that. At strict targets
hardly any stranger is accepted in so few visits: the lax ones show how far below its bound the rule
stays. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from known_faces import KnownFaces, encoded_by, load_known
from numpy.typing import NDArray
from visits import FRAMES, PATIENCE_S, Scores, Shown, Templates, in_turn, play, shown

from oneglance.daemon.visit.decide import Bar, Rule, UnsupportedTargetError
from oneglance.faces.calibration.setup import any_door
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.evaluation.strangers import SamePeople
from oneglance.faces.gallery.fusing import fuse
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.tail import Tail, tail_of

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
_BOOTSTRAPS = 1000


@dataclass(slots=True)
class Row:
    """Visits to galleries of one size at one target.

    By kind of visit: how many strangers came, how many of them were let in, the upper end of a 95 %
    interval (a bootstrap over people from ten on, else Wilson's over people who came), and what
    share of the bound that is, in a gallery of the size that the bar is for. Of the honest, the
    interval is a bootstrap over people; `lost` says how many visits are, and of how many people, by
    the stretch and anyhow; `by_pictures` tells visits by how many pictures they show.
    """

    faces: str
    far: float
    rows: int
    bar_for: int
    threshold: float
    strangers: dict[str, dict[str, float]] = field(default_factory=dict)
    honest: dict[str, float | tuple[float, float]] = field(default_factory=dict)
    lost: dict[str, dict[str, int]] = field(default_factory=dict)
    by_pictures: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Honest:
    """A visit of somebody enrolled that shows `pictures`, and whether it ended with their name.

    `unstretched`: whether it would have, were no template made longer.
    """

    who: str
    pictures: int
    right: bool
    unstretched: bool


def main() -> None:
    """Enrol, play the visits, print the results."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model)
    tail = tail_of(model.manifest.raw["thresholds"])
    same = SamePeople.read(args.same)
    rng = np.random.default_rng(args.seed)
    told = []
    for file in args.faces:
        faces = load_known(file)
        if args.anew:
            faces = encoded_by(model, faces, args.kept and args.kept / f"{file.stem}.npy")
        for row in _measured(file.stem, faces, model, tail, same, args, rng):
            told.append(asdict(row))
            print(_text(row), file=sys.stderr, flush=True)
    figures = {"model": model.model_id, "each": args.each, "seed": args.seed, "rows": told}
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _measured(
    name: str,
    faces: KnownFaces,
    model: FaceModel,
    tail: Tail,
    same: SamePeople,
    args: argparse.Namespace,
    rng: np.random.Generator,
) -> list[Row]:
    of = {str(who): np.flatnonzero(faces.people == who) for who in np.unique(faces.people)}
    kept_back = max(args.each, args.kept_back)
    enough = [who for who, pictures in of.items() if len(pictures) >= kept_back]
    size = min(args.people, len(enough))
    counts = []
    for rows_told in args.bar_for or [size]:
        for far in FARS:
            try:
                counts.append(_Counted(Rule(far, FRAMES, PATIENCE_S, tail), size, rows_told))
            except UnsupportedTargetError as error:
                print(f"{name}: {error.what}", file=sys.stderr)
    nearest = min(min(count.bar.near, count.bar.threshold) for count in counts)
    door = any_door(model)
    settle = np.asarray if door is None else door.settled
    plainly = np.asarray if door is None else replace(door, stretch=None).settled
    settled, plain = settle(faces.templates), plainly(faces.templates)
    for _ in range(args.galleries):
        enrolled = [str(who) for who in rng.choice(enough, size, replace=False)]
        left = {who: rng.permutation(of[who]) for who in enrolled}
        fused = np.stack([fuse(faces.templates[left[who][: args.each]]) for who in enrolled])
        compare = partial(_against, model, settle(fused))
        compare_plain = partial(_against, model, plainly(fused))
        column = {who: at for at, who in enumerate(enrolled)}
        for who, pictures in of.items():
            if who in column:
                rest = left[who][kept_back:]
                if len(rest):
                    visit = shown(settled[in_turn(rest)], compare)
                    unstretched = shown(plain[in_turn(rest)], compare_plain)
                    for count in counts:
                        count.honest(who, len(rest), visit, unstretched, column[who])
                continue
            kinds = {"equal": pictures[:1]}
            if len(pictures) > 1:
                kinds["different"] = rng.permutation(pictures)
            for kind, some in kinds.items():
                # Somebody near nobody is not accepted by this rule.
                visit = None
                if compare(settled[some]).max() >= nearest:
                    visit = shown(settled[in_turn(some)], compare)
                    alike = np.flatnonzero((visit.sums >= nearest).any(axis=0))
                    known = [at for at in alike if same(who, enrolled[at])]
                    visit.looks[:, known] = visit.sums[:, known] = -np.inf
                for count in counts:
                    count.stranger(kind, who, visit)
    return [count.row(name, rng) for count in counts]


def _against(model: FaceModel, rows: Templates, looks: Templates) -> Scores:
    return model.compare(looks, rows)


class _Counted:
    """The results of the visits by one rule."""

    def __init__(self, rule: Rule, size: int, rows_told: int) -> None:
        self.bar: Bar = rule.bar(rows_told)
        self._rule = rule
        self._size = size
        self._rows_told = rows_told
        self._came: dict[str, dict[str, int]] = {"equal": {}, "different": {}}
        self._let_in: dict[str, dict[str, int]] = {"equal": {}, "different": {}}
        self._honest: list[Honest] = []
        self._looks: list[int] = []
        self._wrong = 0

    def stranger(self, kind: str, who: str, visit: Shown | None) -> None:
        """A visit of somebody who is not enrolled; None if they are near nobody."""
        self._came[kind][who] = self._came[kind].get(who, 0) + 1
        let_in = visit is not None and play(visit, self._rule, self.bar)[0] is not None
        self._let_in[kind][who] = self._let_in[kind].get(who, 0) + let_in

    def honest(self, who: str, pictures: int, visit: Shown, unstretched: Shown, own: int) -> None:
        """A visit of the person in column `own`, also as it would be with no template longer."""
        found, had = play(visit, self._rule, self.bar)
        without = play(unstretched, self._rule, self.bar)[0]
        self._honest.append(Honest(who, pictures, found == own, without == own))
        self._wrong += found not in (None, own)
        if found == own:
            self._looks.append(had)

    def row(self, name: str, rng: np.random.Generator) -> Row:
        """The figures of everything counted."""
        strangers = {}
        for kind, came in self._came.items():
            visits = np.array(list(came.values()))
            let_in = np.array(list(self._let_in[kind].values()))
            share = let_in.sum() / visits.sum()
            strangers[kind] = {
                "visits": int(visits.sum()),
                "people": len(visits),
                "let_in": int(let_in.sum()),
                "rate": float(share),
                "rate_95": _upper(visits, let_in, rng),
                "of_bound": float(share / (self._rule.far * self._size / self._rows_told)),
            }
        person = np.unique([one.who for one in self._honest], return_inverse=True)[1]
        visits = np.bincount(person)
        right = np.bincount(person, [one.right for one in self._honest])
        drawn = rng.integers(0, len(visits), (_BOOTSTRAPS, len(visits)))
        shares = right[drawn].sum(axis=1) / visits[drawn].sum(axis=1)
        return Row(
            name,
            self._rule.far,
            self._size,
            self._rows_told,
            self.bar.threshold,
            strangers,
            {
                "visits": int(visits.sum()),
                "people": len(visits),
                "accepted": float(right.sum() / visits.sum()),
                "accepted_95": (
                    float(np.percentile(shares, 2.5)),
                    float(np.percentile(shares, 97.5)),
                ),
                "as_somebody_else": self._wrong,
                "after_three_looks": float(np.mean(np.array(self._looks) == FRAMES)),
                "looks_95": float(np.percentile(self._looks, 95)),
                "accepted_unstretched": float(np.mean([one.unstretched for one in self._honest])),
            },
            {
                name: _counted(
                    [one for one in self._honest if not one.right and one.unstretched is by]
                )
                for name, by in (("by_stretch", True), ("anyhow", False))
            },
            _by_pictures(self._honest),
        )


def _counted(visits: list[Honest]) -> dict[str, int]:
    return {"visits": len(visits), "people": len({one.who for one in visits})}


def _by_pictures(honest: list[Honest]) -> dict[str, dict[str, float]]:
    """What becomes of visits that show 1, 2, 3, and 4 or more pictures."""
    told = {}
    for count in range(1, 5):
        visits = [one for one in honest if min(one.pictures, 4) == count]
        if visits:
            told[str(count)] = {
                **_counted(visits),
                "accepted": float(np.mean([one.right for one in visits])),
                "accepted_unstretched": float(np.mean([one.unstretched for one in visits])),
            }
    return told


def _upper(visits: NDArray[np.int64], let_in: NDArray[np.int64], rng: np.random.Generator) -> float:
    if let_in.sum() < 10:
        return wilson(int(let_in.sum()), int(visits.sum()))[1]
    drawn = rng.integers(0, len(visits), (_BOOTSTRAPS, len(visits)))
    return float(np.percentile(let_in[drawn].sum(axis=1) / visits[drawn].sum(axis=1), 97.5))


def _text(row: Row) -> str:
    strangers = "; ".join(
        f"{kind} {one['let_in']:.0f} of {one['visits']:.0f} = {one['rate']:.1e}"
        f" (up to {one['rate_95']:.1e}), {one['of_bound']:.2f} of the bound"
        for kind, one in row.strangers.items()
    )
    return (
        f"{row.faces}, {row.rows} people, bar for {row.bar_for}, far {row.far:.0e}:"
        f" threshold {row.threshold:.2f}; {strangers}; enrolled"
        f" {row.honest['accepted']:.2%} of {row.honest['visits']} {row.honest['accepted_95']}"
        f" ({row.honest['as_somebody_else']} as somebody else)"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--same", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anew", action="store_true", help="encode the chips by this model")
    parser.add_argument("--kept", type=Path, help="a folder for what --anew has encoded")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--kept-back", type=int, default=0, help="pictures that nobody comes with")
    parser.add_argument("--galleries", type=int, default=5)
    parser.add_argument(
        "--bar-for",
        type=int,
        action="append",
        metavar="ROWS",
        help="rows, if not those of the gallery; again for another bar",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
