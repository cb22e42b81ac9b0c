"""What several pictures of one person are worth: the best of them, their mean, one fused row.

python benchmarks/fusion.py --faces lfw.npz [--folds 7,8] [--model DIR] [--draws N] [--seed N]

`--faces` is a file made by known_faces.py. Of everybody with more than k pictures, k drawn at
random are enrolled; the others, at most 10 a person, are genuine probes, and every picture of
somebody else is an impostor's. TAR is at the threshold at which the method itself lets through that
share of the impostor comparisons (one for each person enrolled). `fmr_ratio` is how many strangers
match for each one who matches against a single picture, at the manifest's threshold. Intervals: 95
%, a bootstrap over the people enrolled, the thresholds held. One JSON object on stdout, a table on
stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from known_faces import KnownFaces, load_known
from numpy.typing import NDArray

from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.fusing import fuse
from oneglance.faces.model.face_model import FaceModel, load_model

ENROLLED = (2, 3, 5)
FARS = (1e-3, 1e-4, 1e-5, 1e-6)
RATES = ("1e-3", "1e-4", "1e-5")
LEAST_FALSE_MATCHES = 5
MOST_PROBES = 10
_BOOTSTRAPS = 1000

Scores = NDArray[np.float32]
Rows = NDArray[np.float32]


def _unit(templates: Rows) -> Rows:
    mean = templates.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def _by_agreement(templates: Rows) -> Rows:
    """Each picture counts by how much it agrees with the others."""
    weights = np.clip((templates @ templates.T).sum(axis=1) - 1, 0.1, None)
    mean = (weights[:, np.newaxis] * templates).sum(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


FUSED: dict[str, Callable[[Rows], Rows]] = {
    "mean, of length 1": _unit,
    "mean weighted by agreement, of length 1": _by_agreement,
    "fused (in use)": fuse,
}


def scores_of(head: L1Head, probes: Rows, rows: Rows) -> Scores:
    """Scores (p, n) by an L1 head."""
    weighted, against = probes * head.weights, np.ascontiguousarray(rows * head.weights)
    found = np.empty((len(probes), len(rows)), np.float32)
    for number, probe in enumerate(weighted):
        found[number] = head.bias - np.abs(against - probe).sum(axis=1)
    return found


def draw(faces: KnownFaces, head: L1Head, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """The scores of each method for one draw of enrolled pictures, and which are whose."""
    of = {person: np.flatnonzero(faces.people == person) for person in np.unique(faces.people)}
    chosen = {p: rng.permutation(rows) for p, rows in of.items() if len(rows) > count}
    enrolled = [faces.templates[rows[:count]] for rows in chosen.values()]
    genuine = np.zeros((len(faces.people), len(chosen)), bool)
    impostor = np.ones_like(genuine)
    for column, (person, rows) in enumerate(chosen.items()):
        genuine[rows[count : count + MOST_PROBES], column] = True
        impostor[of[person], column] = False
    single = [
        scores_of(head, faces.templates, np.stack([rows[k] for rows in enrolled]))
        for k in range(count)
    ]
    ways = {
        "one picture": single[0],
        "the best of them": np.maximum.reduce(single),
        "the mean of their scores": np.mean(single, axis=0),
    }
    for name, one in FUSED.items():
        rows = np.stack([one(rows) for rows in enrolled])
        ways[name] = scores_of(head, faces.templates, rows)
    return {"ways": ways, "genuine": genuine, "impostor": impostor}


def figures(drawn: list[dict[str, Any]], model: FaceModel, rng: np.random.Generator) -> Any:
    """Each method's TAR at FAR, and how its FMR compares with that of single pictures."""
    names = list(drawn[0]["ways"])
    people = drawn[0]["genuine"].shape[1]
    weights = rng.multinomial(people, np.full(people, 1 / people), _BOOTSTRAPS)
    impostors = sum(int(one["impostor"].sum()) for one in drawn)
    genuines = np.sum([one["genuine"].sum(axis=0) for one in drawn], axis=0)

    def counted(name: str, kind: str, threshold: float) -> NDArray[np.int64]:
        """How many scores of this kind reach the threshold, by the person enrolled."""
        each = [((d["ways"][name] >= threshold) & d[kind]).sum(axis=0) for d in drawn]
        return np.asarray(np.sum(each, axis=0), np.int64)

    def interval(over: NDArray[np.int64], under: NDArray[np.int64]) -> list[float]:
        share = (weights @ over) / np.maximum(weights @ under, 1)
        return [float(value) for value in np.percentile(share, [2.5, 97.5])]

    singly = {rate: counted("one picture", "impostor", model.threshold(rate)) for rate in RATES}
    accepted: dict[tuple[str, float], NDArray[np.int64]] = {}
    found: dict[str, Any] = {}
    for name in names:
        strangers = np.concatenate([d["ways"][name][d["impostor"]] for d in drawn])
        tar, ratio = {}, {}
        for far in FARS:
            let_through = int(impostors * far)
            if let_through < LEAST_FALSE_MATCHES * len(drawn):
                continue
            threshold = -float(np.partition(-strangers, let_through)[let_through])
            accepted[name, far] = counted(name, "genuine", np.nextafter(threshold, np.inf))
            tar[f"{far:.0e}"] = {
                "tar": float(accepted[name, far].sum() / genuines.sum()),
                "tar_95": interval(accepted[name, far], genuines),
                "gain_over_best_95": interval(
                    accepted[name, far] - accepted.get(("the best of them", far), genuines),
                    genuines,
                ),
            }
        for rate in RATES:
            these = counted(name, "impostor", model.threshold(rate))
            ratio[rate] = {
                "ratio": float(these.sum() / max(1, singly[rate].sum())),
                "ratio_95": interval(these, singly[rate]),
                "false_matches": int(these.sum()),
            }
        found[name] = {"tar_at_far": tar, "fmr_ratio": ratio}
    return {
        "people": people,
        "genuine": int(genuines.sum() / len(drawn)),
        "impostor": impostors // len(drawn),
        "draws": len(drawn),
        "ways": found,
    }


def table(measured: dict[int, Any]) -> str:
    """The same in Markdown."""
    fars = [f"{far:.0e}" for far in FARS]
    head = [
        "pictures",
        "way",
        *(f"TAR at FAR {f}" for f in fars),
        *(f"FMR ratio {r}" for r in RATES),
    ]
    lines = [head, ["---"] * len(head)]
    for count, one in measured.items():
        for name, way in one["ways"].items():
            tars = [way["tar_at_far"].get(far) for far in fars]
            shown = ["-" if t is None else _percent(t["tar"], t["tar_95"]) for t in tars]
            ratios = [way["fmr_ratio"][rate] for rate in RATES]
            told = [f"{r['ratio']:.2f} ({_span(r['ratio_95'], 2)})" for r in ratios]
            lines.append([str(count), name, *shown, *told])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(value: float, bounds: list[float]) -> str:
    return f"{100 * value:.2f} % ({_span([100 * bound for bound in bounds], 1)})"


def _span(bounds: list[float], digits: int) -> str:
    return " to ".join(f"{bound:.{digits}f}" for bound in bounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="what known_faces.py left")
    parser.add_argument("--folds", default="", help="e.g. 7,8; all unless given")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--draws", type=int, default=3)
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
    measured = {}
    for count in ENROLLED:
        rng = np.random.default_rng([args.seed, count])
        drawn = [draw(faces, head, count, rng) for _ in range(args.draws)]
        measured[count] = figures(drawn, model, rng)
        print(f"{count} pictures measured", file=sys.stderr, flush=True)
    print(table(measured), file=sys.stderr)
    on = {"faces": args.faces.name, "folds": folds, "pictures": len(faces.people)}
    json.dump({"model": model.model_id, "on": on, "enrolled": measured}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
