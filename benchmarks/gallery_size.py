"""Does the bound of a visit hold in a large gallery, and who that is enrolled still gets in?

python benchmarks/gallery_size.py --faces lfw.npz --faces celeba.npz \
    --same benchmarks/same_people.csv [--model DIR] [--people N] [--each N] [--galleries N] \
    [--bar-for ROWS]

The files are those of known_faces.py. From each set `--people` people (as many as it has) with
`--each` pictures or more are enrolled, fused into one row a person as the daemon does; the bar is
that of their number, or of `--bar-for` rows. Everybody else of that set pays a visit twice: with
one picture in all looks (equal), and, if there are several, with each of them for two looks in a
row (different). Pairs of names that are one person's are left out. Enrolled people come with the
pictures that were left, if any. Visits are played by the door's own rule. At strict targets no
stranger is accepted in so few visits: what the lax ones show is how far below its bound the rule
stays. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from known_faces import KnownFaces, load_known
from numpy.typing import NDArray

from oneglance.daemon.visit.decide import Bar, Rule, UnsupportedTargetError, judge
from oneglance.daemon.visit.evidence import LOOKS_PER_FRAME_NEEDED, Look, Visit
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.evaluation.strangers import SamePeople
from oneglance.faces.gallery.fusing import fuse
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.tail import Tail, tail_of

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
FRAMES, PATIENCE_S, LIFETIME_S, FRAMES_PER_S = 3, 3.0, 5.0, 15
LOOKS = LOOKS_PER_FRAME_NEEDED * FRAMES
_BOOTSTRAPS = 1000

Scores = NDArray[np.float32]


@dataclass(slots=True)
class Row:
    """Visits to galleries of one size at one target.

    By kind of visit: how many strangers came, how many of them were let in, the upper end of a 95 %
    interval (a bootstrap over people from ten on, else Wilson's over people who came), and how many
    times as often as a single look matches one row somebody was let in for each row.
    """

    faces: str
    far: float
    rows: int
    threshold: float
    measured_fmr: float
    strangers: dict[str, dict[str, float]] = field(default_factory=dict)
    honest: dict[str, float | tuple[float, float]] = field(default_factory=dict)


def main() -> None:
    """Enrol, play the visits, print what came of them."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model)
    tail = tail_of(model.manifest.raw["thresholds"])
    same = SamePeople.read(args.same)
    rng = np.random.default_rng(args.seed)
    told = []
    for file in args.faces:
        faces = load_known(file)
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
    enough = [who for who, pictures in of.items() if len(pictures) >= args.each]
    size = min(args.people, len(enough))
    rows_told = args.bar_for or size
    rules = []
    for far in FARS:
        rule = Rule(far, FRAMES, PATIENCE_S, tail)
        try:
            rule.bar(rows_told)
        except UnsupportedTargetError as error:
            print(f"{name}: {error.what}", file=sys.stderr)
            continue
        rules.append(rule)
    counts = [_Counted(rule, size, rule.bar(rows_told)) for rule in rules]
    lowest = min(rule.bar(rows_told).threshold for rule in rules)
    for _ in range(args.galleries):
        enrolled = [str(who) for who in rng.choice(enough, size, replace=False)]
        shown = {who: rng.permutation(of[who]) for who in enrolled}
        rows = np.stack([fuse(faces.templates[shown[who][: args.each]]) for who in enrolled])
        scores = model.compare(faces.templates, rows)
        column = {who: at for at, who in enumerate(enrolled)}
        for who, pictures in of.items():
            if who in column:
                left = shown[who][args.each :]
                for count in counts if len(left) else ():
                    count.honest(scores, column[who], left)
                continue
            own = scores[rng.permutation(pictures)]
            alike = np.flatnonzero((own >= lowest).any(axis=0))
            own[:, [at for at in alike if same(who, enrolled[at])]] = -np.inf
            for count in counts:
                count.stranger(who, own)
    return [count.row(name, rng) for count in counts]


class _Counted:
    """What came of the visits by one rule."""

    def __init__(self, rule: Rule, size: int, bar: Bar) -> None:
        self._rule = rule
        self._size = size
        self._bar = bar
        self._came: dict[str, dict[str, int]] = {"equal": {}, "different": {}}
        self._let_in: dict[str, dict[str, int]] = {"equal": {}, "different": {}}
        self._compared = self._matched = 0
        self._honest = self._right = self._wrong = 0

    def stranger(self, who: str, own: Scores) -> None:
        """Two visits of somebody whose pictures score `own` (pictures, rows)."""
        self._compared += own.size
        high = own >= self._bar.threshold
        self._matched += int(high.sum())
        kinds = {"equal": own[:1]} | ({"different": own} if len(own) > 1 else {})
        for kind, pictures in kinds.items():
            self._came[kind][who] = self._came[kind].get(who, 0) + 1
            # Who is like nobody is not accepted by this rule.
            let_in = bool(high[: len(pictures)].any()) and self._visit(pictures) is not None
            self._let_in[kind][who] = self._let_in[kind].get(who, 0) + let_in

    def honest(self, scores: Scores, own: int, left: NDArray[np.intp]) -> None:
        """A visit of the person of row `own` with the pictures that were `left`."""
        found = self._visit(scores[left])
        self._honest += 1
        self._right += found == own
        self._wrong += found not in (None, own)

    def _visit(self, pictures: Scores) -> int | None:
        """Who is accepted that shows these pictures (pictures, rows), each for two looks."""
        visit = Visit(FRAMES, LIFETIME_S, PATIENCE_S, make_id=lambda: "visit")
        looks = iter(np.resize(np.repeat(np.arange(len(pictures)), 2), LOOKS))
        for frame in range(int(2 * PATIENCE_S * FRAMES_PER_S) + 2):
            at_s = frame / FRAMES_PER_S
            visit.near(at_s)
            if visit.due(at_s):
                row = pictures[next(looks)]
                best = np.argpartition(row, -2)[-2:]
                scores = {str(at): float(row[at]) for at in best}
                visit.add(Look(at_s, np.zeros(1, np.float32), scores), same_face=True)
            verdict = judge(visit, at_s, self._rule, self._bar)
            if verdict is not None:
                return None if verdict.person_id is None else int(verdict.person_id)
        raise AssertionError("a visit without an end")

    def row(self, name: str, rng: np.random.Generator) -> Row:
        """The figures of all that was counted."""
        fmr = self._matched / self._compared
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
                "times_a_look": float(share / (self._size * fmr)) if fmr else float("nan"),
            }
        return Row(
            name,
            self._rule.far,
            self._size,
            self._bar.threshold,
            fmr,
            strangers,
            {
                "visits": self._honest,
                "accepted": self._right / self._honest,
                "accepted_95": wilson(self._right, self._honest),
                "as_somebody_else": self._wrong,
            },
        )


def _upper(visits: NDArray[np.int64], let_in: NDArray[np.int64], rng: np.random.Generator) -> float:
    if let_in.sum() < 10:
        return wilson(int(let_in.sum()), int(visits.sum()))[1]
    drawn = rng.integers(0, len(visits), (_BOOTSTRAPS, len(visits)))
    return float(np.percentile(let_in[drawn].sum(axis=1) / visits[drawn].sum(axis=1), 97.5))


def _text(row: Row) -> str:
    strangers = "; ".join(
        f"{kind} {one['let_in']:.0f} of {one['visits']:.0f} = {one['rate']:.1e}"
        f" (up to {one['rate_95']:.1e}), {one['times_a_look']:.2f} times a look"
        for kind, one in row.strangers.items()
    )
    return (
        f"{row.faces}, {row.rows} people, far {row.far:.0e}: threshold {row.threshold:.2f}, FMR"
        f" {row.measured_fmr:.1e}; {strangers}; enrolled"
        f" {row.honest['accepted']:.2%} of {row.honest['visits']}"
        f" ({row.honest['as_somebody_else']} as somebody else)"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--same", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--galleries", type=int, default=5)
    parser.add_argument("--bar-for", type=int, help="rows, if not those of the gallery")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
