"""Fit the fusion of liveness cues on rendered films, and measure it on others.

    python -m oneglance.training.liveness.fit films --data ../shared/data --cases cases.jsonl
    python -m oneglance.training.liveness.fit weights --cases cases.jsonl --told told.jsonl

`films` renders, watches and appends one line a film to the cases (what is there already is not made
again), and keeps in --crops what the texture network sees at each look. `weights` fits tables to
the films of part "fit", prints what each threshold does on those of part "threshold", and writes
all of it into the model's manifest as `fusion`; --told is what
oneglance.training.liveness.fit_texture wrote. No person is in two parts.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from oneglance.faces.evaluation.metrics import exact_95
from oneglance.faces.find.align import MAX_DOUBT, box_around
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness import motion
from oneglance.faces.liveness.fusion import Fusion, Verdict, read_fusion
from oneglance.faces.liveness.judge import Witness, gathered, measured
from oneglance.faces.liveness.manifest import default_folder, parse_liveness
from oneglance.faces.liveness.texture import load_texture
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import MANIFEST_NAME, read_json_manifest
from oneglance.training.liveness.crops import SCALES, SIDE, crop
from oneglance.training.liveness.film import (
    ATTACK_KINDS,
    GENUINE_KINDS,
    PHOTO_SCREEN_KINDS,
    PRINT_KINDS,
    REPLAY_KINDS,
    Film,
    Image,
    Points,
)
from oneglance.training.liveness.people import PARTS, Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import FIT, JUDGE, ROUGH, Style
from oneglance.whole_file import write_whole

_SCREENS = (*(("phone_replay", "tablet_replay") * 3), "phone_photo", "tablet_photo")
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
) -> tuple[list[float], list[dict[str, float]], list[tuple[Image, Points]]]:
    """The looks that a daemon would take at a film's face: when, what each measured, and at what:
    the frames, uint8 (H, W, 3) BGR, and the points (5, 2) in them.
    """
    trace = Trace()
    at: list[float] = []
    looks: list[dict[str, float]] = []
    seen: list[tuple[Image, Points]] = []
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
        seen.append((frame, points))
    return at, looks, seen


def keep_crops(file: Path, film: Film, seen: Sequence[tuple[Image, Points]]) -> None:
    """Write what the texture network sees at each look, for `fit_texture`."""
    crops = np.zeros((len(seen), len(SCALES), SIDE, SIDE, 3), np.uint8)
    inside = np.zeros(crops.shape[:2], bool)
    for number, (frame, points) in enumerate(seen):
        for which, scale in enumerate(SCALES):
            picture = crop(frame, points, scale)
            if picture is not None:
                crops[number, which], inside[number, which] = picture, True
    np.savez(file, crops=crops, inside=inside, live=film.live, person=film.person)


# --- the model: a table for each cue, monotone, fitted together


@dataclass(frozen=True, slots=True)
class Shape:
    """How a cue may speak: `rises` says that more of it never speaks for a picture.

    From one end of its table to the other it adds at most `most`.
    """

    rises: bool
    most: float = 8.0
    points: int = 5


# `ring` says what `carried` and `unrest` say, `soft` was worth nothing beside `bump`, and by
# `still` a face is only held back.
SHAPES = {
    "carried": Shape(rises=False),
    "unrest": Shape(rises=False),
    "bump": Shape(rises=True),
    "stir": Shape(rises=True, most=2.0),
}
# A witness of single pictures: more is more alive. It knows the films' attacks better than it
# knows a door's, so it may not outvote motion.
TEXTURE_SHAPE = Shape(rises=True, most=2.0)
# Nobody passes before motion was seen for long enough to tell a head from a sheet.
NEEDS = ["bump"]
# Nor while something below the head keeps still. Chosen by benchmarks/liveness_still.py.
HOLDS = {"still": 0.1}
# What draws steps and levels of the tables to 0, and how long is searched.
PULL, LEVEL_PULL, STEPS = 0.001, 0.05, 4000
MOST_ODDS = 6.0
LEAST_TO_PASS = 0.5
# What is told of to choose from.
THRESHOLDS = np.arange(0.5, 4.01, 0.25)
_GROUPS = {
    "prints": PRINT_KINDS,
    "photographs on screens": PHOTO_SCREEN_KINDS,
    "replays": REPLAY_KINDS,
}
_MADE = frozenset(f"texture-made-{scale}" for scale in SCALES)


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
    told = (cues for _, cues in stages_of(case) if fusion.enough(cues) and not fusion.held(cues))
    return max((fusion.weigh(cues).log_odds for cues in told), default=-math.inf)


def outcome(fusion: Fusion, case: Case) -> tuple[Verdict, float]:
    """What a film's visit ends with, and when: passed or failed for good, or never decided."""
    passed_s = math.inf
    for passed_s, cues in stages_of(case):
        verdict = fusion.weigh(cues).verdict
        if verdict is not Verdict.UNDECIDED:
            return verdict, passed_s
    return Verdict.UNDECIDED, passed_s


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


def make_films(
    data: Path, file: Path, crops: Path, texture: Witness, wanted: Mapping[str, int]
) -> None:
    """Render, watch and append films until each part has as many as `wanted`."""
    crops.mkdir(parents=True, exist_ok=True)
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
            film = planned_film(part, seed, crews[part])
            at_s, looks, seen = watch(film, crews[part].model, texture)
            keep_crops(crops / f"{part}-{seed:04d}.npz", film, seen)
            case = Case(seed, part, film.style, film.kind, film.live, tuple(at_s), tuple(looks))
            out.write(json.dumps(asdict(case)) + "\n")
            out.flush()


def planned(part: str, seed: int) -> tuple[str, Style]:
    """The kind and the style of a part's film.

    Of 20 films 8 are visits, 8 screens, which are the hardest to tell, and 4 prints.
    """
    place, turn = seed % 20, seed // 20
    if place < 8:
        kind = GENUINE_KINDS[place % 3 // 2]
    elif place < 16:
        kind = _SCREENS[place - 8]
    else:
        kind = PRINT_KINDS[(4 * turn + place - 16) % len(PRINT_KINDS)]
    style = JUDGE if part == "judge" else (FIT, ROUGH)[(place + turn) % 2]
    return kind, style


def planned_film(part: str, seed: int, crew: _Crew) -> Film:
    """The film of a part with this seed."""
    rng = np.random.default_rng([list(PARTS).index(part), seed])
    kind, style = planned(part, seed)
    shown = crew.portraits(rng, 2 if kind == "visit_two_photos" else 1)
    others = [portrait for portrait in crew.others if portrait.person != shown[0].person]
    seconds, fps = (
        float(rng.uniform(2.0, 3.2)),
        float(rng.choice([15, 20, 30], p=[0.6, 0.25, 0.15])),
    )
    return render(kind, shown, others, style, rng, seconds=seconds, fps=fps)


def with_told(cases: Sequence[Case], file: Path) -> list[Case]:
    """Cases whose looks have what the read-outs of `file` make of them, for what they had.

    Raises KeyError if the file says nothing of a film.
    """
    told = {
        (line["part"], line["seed"], line["look"], line["cue"]): line["told"]
        for line in map(json.loads, file.read_text("utf-8").splitlines())
    }
    return [
        replace(
            case,
            looks=tuple(
                {
                    cue: told[case.part, case.seed, number, cue] if cue in _MADE else value
                    for cue, value in look.items()
                }
                for number, look in enumerate(case.looks)
            ),
        )
        for case in cases
    ]


def fit_weights(cases: Sequence[Case], passes: float, fails: float) -> dict[str, Any]:
    """The manifest's `fusion`, fitted to the films of part "fit", with what it was fitted on and
    what its thresholds do on the films of part "threshold".
    """
    parts = {part: [case for case in cases if case.part == part] for part in PARTS}
    names = {name for case in parts["fit"] for look in case.looks for name in look}
    shapes = {
        name: SHAPES.get(name, TEXTURE_SHAPE)
        for name in sorted(names)
        if name in SHAPES or name not in motion.CUES
    }
    bias, tables = fit_tables(samples_of(parts["fit"]), shapes)
    fusion = {"format": "fusion-1", "bias": bias, "cues": tables, "needs": NEEDS, "fitted_on": {}}
    fusion |= {"holds": HOLDS, "passes": max(passes, bias + LEAST_TO_PASS), "fails": fails}
    fusion["fitted_on"] = {
        "data": "made films of people of LFW folds 1-6 (tables) and 7 (thresholds), two styles",
        "thresholds": "chosen by hand from their errors on the films of fold 7",
        **{
            f"{part}_{which}": sum(case.live == live for case in parts[part])
            for part in ("fit", "threshold")
            for which, live in (("visits", True), ("attacks", False))
        },
        "chosen_on": table_of(read_fusion(fusion, "the fit"), parts["threshold"]),
    }
    return fusion


def errors_by_threshold(fusion: Fusion, cases: Sequence[Case]) -> Iterator[str]:
    """A line for each threshold: visits that never reach it, and attacks that ever do, by group."""
    heights = [(highest(fusion, case), case) for case in cases]
    for passes in THRESHOLDS:
        lost = [height < passes for height, case in heights if case.live]
        line = f"passes {passes:5.2f}: visits lost {sum(lost)}/{len(lost)}"
        for group, kinds in _GROUPS.items():
            won = [height >= passes for height, case in heights if case.kind in kinds]
            line += f", {group} passed {sum(won)}/{len(won)}"
        yield line


def main() -> None:
    """Make films, or fit to them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("films", "weights"))
    parser.add_argument("--cases", type=Path, required=True, help="JSON lines, one a film")
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument("--films", default="288,160,0", help="for fit, threshold, judge")
    parser.add_argument(
        "--crops", type=Path, default=Path("crops"), help="a folder, one file a film"
    )
    parser.add_argument("--told", type=Path, help="what fit_texture's read-outs make of each look")
    parser.add_argument("--passes", type=float, default=1.0, help="log odds to pass at")
    parser.add_argument("--fails", type=float, default=-0.7, help="log odds to fail at")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(), help="of the liveness model"
    )
    chosen = parser.parse_args()
    if chosen.step == "films":
        wanted = dict(zip(PARTS, map(int, chosen.films.split(",")), strict=True))
        texture = load_texture(chosen.folder)
        make_films(chosen.data, chosen.cases, chosen.crops, texture, wanted)
        return
    cases = read_cases(chosen.cases)
    if chosen.told is not None:
        cases = with_told(cases, chosen.told)
    fusion = fit_weights(cases, chosen.passes, chosen.fails)
    write_fusion(chosen.folder, fusion)
    on = [case for case in cases if case.part == "threshold"]
    for line in errors_by_threshold(read_fusion(fusion, "the fit"), on):
        sys.stdout.write(line + "\n")


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
