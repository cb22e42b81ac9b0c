"""Fit the fusion of liveness cues on made films, and measure it on others.

    python -m oneglance.training.liveness.fit films --data ../shared/data --cases cases.jsonl
    python -m oneglance.training.liveness.fit weights --cases cases.jsonl

`films` renders, watches and appends one line a film to the cases (what is there already is not made
again); `weights` fits tables and thresholds, writes them into the model's manifest as `fusion`, and
prints what they do on the films to judge by. People and styles of the parts never overlap.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from oneglance.faces.evaluation.metrics import exact_95
from oneglance.faces.find.align import MAX_DOUBT, box_around
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness.fusion import Fusion, Verdict, read_fusion
from oneglance.faces.liveness.judge import Witness, gathered, measured
from oneglance.faces.liveness.manifest import default_folder, parse_liveness
from oneglance.faces.liveness.texture import load_texture
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import MANIFEST_NAME, read_json_manifest
from oneglance.training.liveness.film import ATTACK_KINDS, GENUINE_KINDS, Film
from oneglance.training.liveness.people import PARTS, Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import FIT, JUDGE
from oneglance.whole_file import write_whole

# The daemon's looks: faces from this size on, so many at once, the others spread, for so long.
NEAR_PX = 80.0
LOOKS_AT_ONCE, LOOKS, SPACING_S, PATIENCE_S = 3, 12, 0.3, 3.0
LEAST_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured of one film: the cues of each look, and when it was, from the first on."""

    seed: int
    part: str
    style: str
    kind: str
    live: bool
    at_s: tuple[float, ...]
    looks: tuple[Mapping[str, float], ...]


def watch(
    film: Film, model: FaceModel, texture: Witness
) -> tuple[list[float], list[dict[str, float]]]:
    """The looks that a daemon would take at a film's face: when, and what each measured."""
    trace = Trace()
    at: list[float] = []
    looks: list[dict[str, float]] = []
    points: NDArray[np.float64] | None = None
    for frame, true, at_s in zip(film.frames, film.points, film.at_s.tolist(), strict=True):
        located = (
            model.locate(frame, [box_around(true)])
            if points is None
            else model.relocate(frame, [points])
        )
        points = located.points[0] if located.doubts[0] <= MAX_DOUBT else None
        if points is None:
            continue
        trace.see(frame, points, at_s)
        waited = not at or len(looks) < LOOKS_AT_ONCE or at_s - at[-1] >= SPACING_S
        over = len(looks) >= LOOKS or (len(at) > 0 and at_s - at[0] > PATIENCE_S)
        if box_around(points).width < NEAR_PX or not waited or over:
            continue
        cues = measured(texture, trace, frame, points)
        trace.look(cues, at_s)
        at.append(at_s)
        looks.append({name: value for name, value in cues.items() if math.isfinite(value)})
    return at, looks


# --- the model: a table for each cue, monotone, fitted together


@dataclass(frozen=True, slots=True)
class Shape:
    """How a cue may speak: `rises` says that more of it never speaks for a picture.

    From one end of its table to the other it adds at most `most`.
    """

    rises: bool
    most: float = 8.0
    points: int = 5


SHAPES = {
    "ring": Shape(rises=False),
    "carried": Shape(rises=False),
    "sway": Shape(rises=False),
    "bump": Shape(rises=True),
    "soft": Shape(rises=True),
    "stir": Shape(rises=True, most=0.8),
}
# A witness of single pictures: more is more alive. It knows the films' attacks better than it
# knows a door's, so it may not outvote motion.
TEXTURE_SHAPE = Shape(rises=True, most=1.5)
# Nobody passes before motion was seen for long enough to tell a head from a sheet.
NEEDS = ["bump"]
# What draws steps and levels of the tables to 0, and how long is searched.
PULL, LEVEL_PULL, STEPS = 0.004, 0.05, 4000
MOST_ODDS = 6.0
FOLDS = 5
LEAST_TO_PASS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a film had come to after some of its looks; `weight` is what it counts in the fit."""

    live: bool
    cues: Mapping[str, float]
    weight: float


def samples_of(cases: Sequence[Case]) -> list[Sample]:
    """Every stage of every film. Both classes weigh the same, and so does each kind of attack."""
    kinds: dict[str, int] = {}
    for case in cases:
        kinds[_group(case)] = kinds.get(_group(case), 0) + 1
    attacks = len([kind for kind in kinds if kind != "live"])
    samples = []
    for case in cases:
        stages = list(stages_of(case))
        each = 0.5 / kinds[_group(case)] / max(1, len(stages))
        each /= 1 if case.live else attacks
        samples += [Sample(case.live, cues, each) for _, cues in stages]
    return samples


def _group(case: Case) -> str:
    return "live" if case.live else case.kind


def stages_of(case: Case) -> Iterator[tuple[float, dict[str, float]]]:
    """When, after the first look, a film is judged, and the cues gathered by then."""
    for count in range(LEAST_LOOKS, len(case.looks) + 1):
        yield case.at_s[count - 1] - case.at_s[0], gathered(case.looks[:count])


def fit_tables(
    samples: Sequence[Sample], shapes: Mapping[str, Shape]
) -> tuple[float, dict[str, Any]]:
    """The bias and the tables, as the manifest has them, that tell live from attack best.

    A logistic model whose terms are monotone broken lines: coefficients of ramps that may not be
    negative, by accelerated projected gradient; `PULL` draws them to 0.
    """
    live = np.array([sample.live for sample in samples])
    weight = np.array([sample.weight for sample in samples])
    weight /= weight.sum()
    columns, most, knots = [np.ones(len(samples))], [0.0], {}
    for name, shape in shapes.items():
        values = np.array([sample.cues.get(name, math.nan) for sample in samples])
        known = np.isfinite(values)
        if known.sum() < 20:
            continue
        at = np.unique(np.quantile(values[known], np.linspace(0.03, 0.97, shape.points)).round(3))
        if len(at) < 2:
            continue
        knots[name] = at
        columns.append(known.astype(float))
        most.append(0.0)
        for low, high in pairwise(at):
            ramp = np.clip((values - low) / (high - low), 0, 1)
            columns.append(np.where(known, ramp, 0.0) * (1 if shape.rises else -1))
            most.append(shape.most / (len(at) - 1))
    solved = _logistic(np.stack(columns, 1), live, weight, np.array(most))
    tables, place = {}, 1
    for name, at in knots.items():
        steps = solved[place + 1 : place + len(at)] * (1 if shapes[name].rises else -1)
        odds = solved[place] + np.concatenate([[0.0], np.cumsum(steps)])
        odds = np.clip(odds, -MOST_ODDS, MOST_ODDS).round(3)
        tables[name] = {"at": at.tolist(), "odds": odds.tolist()}
        place += len(at)
    return round(float(solved[0]), 3), tables


def _logistic(
    columns: NDArray[np.float64],
    live: NDArray[np.bool_],
    weight: NDArray[np.float64],
    most: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Coefficients, of which those with a `most` above 0 lie between 0 and it."""
    target = np.where(live, 1.0, -1.0)
    steepest = 0.25 * float(np.linalg.norm(columns * np.sqrt(weight)[:, None], 2)) ** 2 + LEVEL_PULL
    now = ahead = np.zeros(columns.shape[1])
    pull = np.where(most > 0, PULL, LEVEL_PULL)
    pull[0] = 1e-4
    for step in range(STEPS):
        margin = np.clip(target * (columns @ ahead), -40, 40)
        slope = -columns.T @ (weight * target / (1 + np.exp(margin))) + pull * ahead
        after = ahead - slope / steepest
        after = np.where(most > 0, np.clip(after, 0, most), after)
        ahead = after + step / (step + 3) * (after - now)
        now = after
    return now


# --- thresholds, and what they do


def highest(fusion: Fusion, case: Case) -> float:
    """The highest log odds that a film comes to at any time: whether it passes hangs on that."""
    enough = (cues for _, cues in stages_of(case) if fusion.enough(cues))
    return max((fusion.weigh(cues).log_odds for cues in enough), default=-math.inf)


def outcome(fusion: Fusion, case: Case) -> tuple[Verdict, float]:
    """What a film's visit ends with, and when: passed or failed for good, or never decided."""
    passed_s = math.inf
    for passed_s, cues in stages_of(case):
        verdict = fusion.weigh(cues).verdict
        if verdict is not Verdict.UNDECIDED:
            return verdict, passed_s
    return Verdict.UNDECIDED, passed_s


def choose_thresholds(
    judged: Sequence[tuple[Fusion, Case]], *, apcer: float, bpcer_at_once: float
) -> tuple[float, float]:
    """`passes` and `fails`, from films each of which is weighed by a fusion not fitted to it.

    At `passes` at most `apcer` of the attacks ever pass, each kind weighing the same; it lies
    halfway to the highest attack that is refused, so that it hangs on no one film. `fails` is the
    highest at which at most `bpcer_at_once` of the visits are ever at it or below before they
    pass.
    """
    attacks = [(fusion, case) for fusion, case in judged if not case.live]
    kinds = [case.kind for _, case in attacks]
    each = {kind: 1 / len(set(kinds)) / kinds.count(kind) for kind in kinds}
    heights = sorted(((highest(f, case), each[case.kind]) for f, case in attacks), reverse=True)
    passing, passes, above = 0.0, LEAST_TO_PASS, math.inf
    for height, share in heights:
        passing += share
        if passing > apcer:
            halfway = (above + height) / 2 if math.isfinite(above) else height + LEAST_TO_PASS
            passes = max(passes, halfway)
            break
        above = height
    depths = []
    for fusion, case in judged:
        if case.live:
            depth = math.inf
            for _, cues in stages_of(case):
                log_odds = fusion.weigh(cues).log_odds
                if log_odds >= passes and fusion.enough(cues):
                    break
                depth = min(depth, log_odds)
            depths.append(depth)
    depths.sort()
    fails = min(depths[int(bpcer_at_once * len(depths))] - 0.05, passes - 1)
    return round(passes, 3), round(fails, 3)


def table_of(fusion: Fusion, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """By kind: films, errors, their rate with exact 95 % bounds, and the median time to pass.

    An error is an attack that passes at any time, or a visit that does not.
    """
    rows = []
    for kind in sorted(
        {case.kind for case in cases}, key=lambda kind: (kind in ATTACK_KINDS, kind)
    ):
        of_kind = [case for case in cases if case.kind == kind]
        ends = [outcome(fusion, case) for case in of_kind]
        passed = [when for verdict, when in ends if verdict is Verdict.PASSED]
        errors = len(passed) if kind in ATTACK_KINDS else len(ends) - len(passed)
        rows.append(
            {
                "kind": kind,
                "films": len(ends),
                "errors": errors,
                "rate": round(errors / len(ends), 4),
                "rate_95": [round(bound, 4) for bound in exact_95(errors, len(ends))],
                "failed_at_once": sum(verdict is Verdict.FAILED for verdict, _ in ends),
                "passed_after_s": [round(float(q), 2) for q in np.quantile(passed, [0.5, 0.95])]
                if passed
                else None,
            }
        )
    return rows


def read_cases(file: Path) -> list[Case]:
    """The cases of a file that `films` wrote."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [
        Case(**{**body, "at_s": tuple(body["at_s"]), "looks": tuple(body["looks"])})
        for body in map(json.loads, lines)
    ]


@dataclass(frozen=True, slots=True)
class _Crew:
    """What every film of one part is made with."""

    lfw: Lfw
    people: tuple[str, ...]
    others: tuple[Portrait, ...]
    detector: FaceDetector
    model: FaceModel

    def portraits(self, rng: np.random.Generator, least: int) -> list[Portrait]:
        """So many portraits of somebody."""
        names = [name for name in self.people if self.lfw.count(name) >= least]
        while True:
            name = names[int(rng.integers(len(names)))]
            found = self.lfw.portraits(name, self.detector, self.model, most=least)
            if len(found) == least:
                return found


def make_films(data: Path, file: Path, texture: Witness, wanted: Mapping[str, int]) -> None:
    """Render, watch and append films until each part has as many as `wanted`."""
    detector, model = FaceDetector(), load_model()
    lfw, people = Lfw(data / "lfw_folds1-8.zip"), split_people(data / "lfw_people_folds1-8.csv")
    there = {(case.part, case.seed) for case in read_cases(file)}
    todo = [(part, n) for part in PARTS for n in range(wanted[part]) if (part, n) not in there]
    crews: dict[str, _Crew] = {}
    with file.open("a", encoding="utf-8") as out:
        for part, seed in track(todo, "films"):
            if part not in crews:
                crowd = np.random.default_rng(7).choice(people[part], 12, replace=False)
                others = [p for name in crowd for p in lfw.portraits(name, detector, model, most=1)]
                crews[part] = _Crew(lfw, people[part], tuple(others), detector, model)
            case = _one_film(part, seed, crews[part], texture)
            out.write(json.dumps(asdict(case)) + "\n")
            out.flush()


def _one_film(part: str, seed: int, crew: _Crew, texture: Witness) -> Case:
    rng = np.random.default_rng([list(PARTS).index(part), seed])
    style = JUDGE if part == "judge" else FIT
    # Of 20 films 9 are visits, and 11 attacks, one of each kind.
    place = seed % 20
    kind = GENUINE_KINDS[place % 3 // 2] if place < 9 else ATTACK_KINDS[place - 9]
    shown = crew.portraits(rng, 2 if kind == "visit_two_photos" else 1)
    others = [portrait for portrait in crew.others if portrait.person != shown[0].person]
    seconds, fps = float(rng.uniform(1.8, 3.0)), float(rng.choice([15, 20, 30], p=[0.5, 0.3, 0.2]))
    film = render(kind, shown, others, style, rng, seconds=seconds, fps=fps)
    at_s, looks = watch(film, crew.model, texture)
    return Case(seed, part, style.name, kind, film.live, tuple(at_s), tuple(looks))


def fit_weights(cases: Sequence[Case], apcer: float, bpcer_at_once: float) -> dict[str, Any]:
    """The manifest's `fusion`, fitted to the films of part "fit", with what it was fitted on.

    Thresholds are chosen on those of part "threshold" and, to have enough, on those of part "fit"
    as weighed by tables that were fitted without them.
    """
    parts = {part: [case for case in cases if case.part == part] for part in PARTS}
    names = {name for case in parts["fit"] for look in case.looks for name in look}
    shapes = {name: SHAPES.get(name, TEXTURE_SHAPE) for name in sorted(names)}

    def fitted(to: Sequence[Case]) -> dict[str, Any]:
        bias, tables = fit_tables(samples_of(to), shapes)
        return {"format": "fusion-1", "bias": bias, "cues": tables, "needs": NEEDS, "fitted_on": {}}

    def opened(fusion: Mapping[str, Any]) -> Fusion:
        return read_fusion({**fusion, "passes": 1e6, "fails": -1e6}, "the fit")

    fusion = fitted(parts["fit"])
    judged = [(opened(fusion), case) for case in parts["threshold"]]
    for fold in range(FOLDS):
        without = opened(fitted([case for case in parts["fit"] if case.seed % FOLDS != fold]))
        judged += [(without, case) for case in parts["fit"] if case.seed % FOLDS == fold]
    passes, fails = choose_thresholds(judged, apcer=apcer, bpcer_at_once=bpcer_at_once)
    fusion |= {"passes": max(passes, fusion["bias"] + LEAST_TO_PASS), "fails": fails}
    fusion["fitted_on"] = {
        "data": "made films of people of LFW folds 1-6 (tables) and 7",
        "thresholds": f"APCER {apcer:g}, {bpcer_at_once:g} of the visits failed at once",
        **{
            f"{part}_{which}": sum(case.live == live for case in parts[part])
            for part in ("fit", "threshold")
            for which, live in (("visits", True), ("attacks", False))
        },
        "judged": table_of(read_fusion(fusion, "the fit"), parts["judge"]),
    }
    return fusion


def main() -> None:
    """Make films, or fit to them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("films", "weights"))
    parser.add_argument("--cases", type=Path, required=True, help="JSON lines, one a film")
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument("--films", default="240,160,240", help="for fit, threshold, judge")
    parser.add_argument("--apcer", type=float, default=0.035, help="of the threshold's films")
    parser.add_argument("--bpcer-at-once", type=float, default=0.01, help="visits failed at once")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(), help="of the liveness model"
    )
    chosen = parser.parse_args()
    if chosen.step == "films":
        wanted = dict(zip(PARTS, map(int, chosen.films.split(",")), strict=True))
        make_films(chosen.data, chosen.cases, load_texture(chosen.folder), wanted)
        return
    fusion = fit_weights(read_cases(chosen.cases), chosen.apcer, chosen.bpcer_at_once)
    write_fusion(chosen.folder, fusion)
    for row in fusion["fitted_on"]["judged"]:
        sys.stdout.write(json.dumps(row) + "\n")


def write_fusion(folder: Path, fusion: Mapping[str, Any]) -> None:
    """Put the fusion into a liveness model's manifest; a signature no longer holds, and goes."""
    path = folder / MANIFEST_NAME
    document = {**read_json_manifest(path), "fusion": fusion}
    document.pop("signature", None)
    parse_liveness(document)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, text.encode(), 0o666, durable=True)


if __name__ == "__main__":
    main()
