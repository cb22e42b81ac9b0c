"""How often an attack passes for a visitor, and a visitor does not (ISO/IEC 30107-3).

    python benchmarks/attacks.py --data ../shared/data --films 15 --cases attacks.jsonl

The shipped daemon, as its configuration builds it, watches rendered films of people that nothing
was fitted to (LFW fold 8), in the style that nothing was fitted to, once with `liveness.policy` off
and once passive. Enrolled is one other photograph of the same person. A film counts for APCER or
BPCER only where matching alone accepts: an attack that it does not was stopped by nobody's
liveness, and a visit that it does not was lost by nobody's liveness; both are counted apart.

Each film is one line of --cases, written as soon as it is watched; what is there already is not
made again, so that the run may be stopped at any time. The table and, with --results, a
key of a JSON file are made of all lines. With --unheld-beside a door watches the same films that
holds nobody back for what keeps still below a head, with --doubtful-beside one with
`liveness.asks = "doubtful"`: who is asked to move does nothing.
--recording watches a real film instead.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from oneglance.clocks import Clocks
from oneglance.config import Config, LivenessConfig
from oneglance.contract.messages import PRESENTATION_ATTACK, TOO_FEW_PICTURES, Hint
from oneglance.daemon.build import build_pipeline
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.camera.recordings import Video
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.evaluation.metrics import exact_95
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.liveness.fusion import Fusion, Judgement
from oneglance.faces.liveness.judge import Liveness
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image, read_central_face, read_faces
from oneglance.training.liveness.film import (
    APART_KINDS,
    ATTACK_KINDS,
    GENUINE_KINDS,
    PRINT_KINDS,
    REPLAY_KINDS,
    SCREEN_KINDS,
    STANDING_KINDS,
)
from oneglance.training.liveness.people import Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import Scene, filmed, scene
from oneglance.training.liveness.styles import JUDGE, Style

FIRST_SEED = 20000
# One round of films: each kind of print once, each kind of screen, which is harder to tell, twice,
# and visits.
ROUND = (*SCREEN_KINDS, *PRINT_KINDS, *SCREEN_KINDS, *(GENUINE_KINDS * 2), *GENUINE_KINDS[:1] * 2)
# Time to walk up and for all the patience that a visitor is given; and how long somebody stays who
# has every door's answer, in which one may be let in after all.
LONGEST_S, STAYS_S = 6.0, 1.0
# Whoever is refused this late was never decided about: a little less than decision.patience_s.
UNDECIDED_S = 2.9
CROWD = 12
# Log odds below the shipped model's, by which more would pass.
LOWER = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ASKED = "asked"
# Of the door whose figures are told, and of those that watch beside it.
OFF, PASSIVE = LivenessConfig(policy="off"), LivenessConfig()
DOUBTFUL = LivenessConfig(policy="passive+challenge", asks="doubtful")
TOO_FAR_OR_NEAR = (Hint.COME_CLOSER, Hint.STEP_BACK)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the door would have done before one film.

    `answers` are the decisions in turn up to the first acceptance, "accepted" or the reason, and
    "asked" where a challenge began;
    `after_s` is how long after the first frame with a face of usable size that fell: the film's
    time, and the processor's for the step that decided; `answered_s` likewise of the first decision
    of all. `log_odds` are the highest for a living face that any judgement came to which was enough
    to pass by.
    """

    answers: tuple[str, ...]
    after_s: float | None
    log_odds: float | None = None
    answered_s: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the door would have opened."""
        return "accepted" in self.answers


@dataclass(frozen=True, slots=True)
class Case:
    """One film, watched twice; and, `beside` that, by a door that judges otherwise."""

    seed: int
    kind: str
    fps: float
    off: Outcome
    passive: Outcome
    beside: Outcome | None = None

    @property
    def attack(self) -> bool:
        """Whether no living person was there."""
        return self.kind not in GENUINE_KINDS


class Noting(Liveness):
    """The daemon's judge, which also remembers the highest log odds that could have passed."""

    def __init__(self, judge: Liveness, *, held: bool = True) -> None:
        document = judge.fusion.document
        unheld = Fusion(document.model_copy(update={"holds": {}}))
        super().__init__(judge.texture, judge.fusion if held else unheld)
        self.best: float | None = None

    def judge(self, trace: Trace, at_s: float) -> Judgement:
        """As the daemon's."""
        found = super().judge(trace, at_s)
        could = self.fusion.enough(found.cues) and not self.fusion.held(found.cues)
        if could and (self.best is None or found.log_odds > self.best):
            self.best = round(found.log_odds, 3)
        return found


class Door:
    """A daemon that has just started, and what it makes of one film up to the first acceptance.

    With `held` false nobody is held back.
    """

    def __init__(self, enrolled: Snapshot, liveness: LivenessConfig, *, held: bool = True) -> None:
        self._now_s = 0.0
        self.pipeline = _built(liveness, lambda: self._now_s)
        self._judge: Noting | None = None
        if self.pipeline.liveness is not None:
            self.pipeline.liveness = self._judge = Noting(self.pipeline.liveness, held=held)
        self._enrolled = enrolled
        self._first_s: float | None = None
        self._answers: list[str] = []
        self._after_s: float | None = None
        self._answered_s: float | None = None

    @property
    def outcome(self) -> Outcome:
        """What the door would have done so far."""
        best = None if self._judge is None else self._judge.best
        return Outcome(tuple(self._answers), self._after_s, best, self._answered_s)

    def see(self, pixels: NDArray[np.uint8], at_s: float, index: int) -> None:
        """The next frame, uint8 (H, W, 3) BGR, `at_s` of the film."""
        self._now_s = now_s = 1.0 + at_s
        begun_s = time.thread_time()
        report = self.pipeline.step([Frame(pixels, now_s, now_s, index, "film")], self._enrolled)
        took_s = time.thread_time() - begun_s
        for face in report[0].tracks:
            if self._first_s is None and face.hint not in TOO_FAR_OR_NEAR:
                self._first_s = at_s
            if face.prompt is not None and ASKED not in self._answers:
                self._answers.append(ASKED)
            if face.verdict is None:
                continue
            self._answers.append(_answer(face.verdict))
            after_s = None if self._first_s is None else round(at_s - self._first_s + took_s, 4)
            if self._answered_s is None:
                self._answered_s = after_s
            if face.verdict.accepted and self._after_s is None:
                self._after_s = after_s


def watched(film: Scene, doors: Sequence[Door]) -> list[Outcome]:
    """What each daemon makes of a film until it has accepted, or STAYS_S after its answer.

    Frames are made only as long as they are needed; nothing after that counts.
    """
    until_s = dict.fromkeys(doors, math.inf)
    for index, at_s in enumerate(film.at_s.tolist()):
        there = [d for d in doors if not d.outcome.accepted and at_s <= until_s[d]]
        if not there:
            break
        pixels, _ = film.take(index)
        for door in there:
            door.see(pixels, at_s, index)
            if door.outcome.answers:
                until_s[door] = min(until_s[door], at_s + STAYS_S)
    return [door.outcome for door in doors]


def _built(liveness: LivenessConfig, clock_s: Callable[[], float]) -> Pipeline:
    clocks = Clocks(lambda: datetime.now(UTC), clock_s)
    return build_pipeline(Config(liveness=liveness), clocks, at_door=False)[1]


def _answer(verdict: Verdict) -> str:
    return "accepted" if verdict.accepted else verdict.reason


def gallery_of(template: NDArray[np.float32], name: str = "Shown") -> Snapshot:
    """One person with one template."""
    return Snapshot(("shown",), {"shown": name}, template[np.newaxis].copy())


class Studio:
    """Makes films of people of one part of LFW, in one style; with `fps` all at that rate."""

    def __init__(
        self, data: Path, part: str = "judge", style: Style = JUDGE, fps: float | None = None
    ) -> None:
        self._fps = fps
        self._lfw = Lfw(data / "lfw_folds1-8.zip")
        self._style = style
        self._people = split_people(data / "lfw_people_folds1-8.csv")[part]
        self._detector, self._model = FaceDetector(), load_model()
        crowd = np.random.default_rng(FIRST_SEED).choice(self._people, CROWD, replace=False)
        self._crowd = [p for name in crowd for p in self._portraits(name, [0])]

    def film(self, seed: int, kind: str) -> tuple[Scene, Snapshot]:
        """A film of somebody, and a gallery with another photograph of them."""
        rng = np.random.default_rng(seed)
        shown = 2 if kind == "visit_two_photos" else 1
        names = [name for name in self._people if self._lfw.count(name) > shown]
        while True:
            name = names[int(rng.integers(len(names)))]
            numbers = rng.permutation(self._lfw.count(name))[: shown + 1].tolist()
            image = load_image(self._lfw.photo(name, numbers[-1]))
            enrolled = read_central_face(image, self._detector, self._model)
            portraits = self._portraits(name, numbers[:-1])
            if enrolled is not None and len(portraits) == shown:
                break
        others = [portrait for portrait in self._crowd if portrait.person != name]
        drawn = float(rng.choice([15, 20, 30], p=[0.5, 0.3, 0.2]))
        fps = drawn if self._fps is None else self._fps
        footage = None
        if kind in (*REPLAY_KINDS, *STANDING_KINDS):
            taken = np.random.default_rng([seed, 2])
            footage = filmed(
                portraits, others, self._style, taken, seconds=LONGEST_S + 0.5, fps=15.0
            )
        film = scene(
            kind, portraits, others, self._style, rng, seconds=LONGEST_S, fps=fps, footage=footage
        )
        return film, gallery_of(enrolled.template, name)

    def _portraits(self, name: str, numbers: Sequence[int]) -> list[Portrait]:
        return [
            portrait
            for number in numbers
            for portrait in self._lfw.portraits(
                name, self._detector, self._model, first=number, most=1
            )
        ]


def read_cases(file: Path) -> dict[int, Case]:
    """The lines of a file of cases, by seed."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []

    def outcome(body: dict[str, Any]) -> Outcome:
        return Outcome(**{**body, "answers": tuple(body["answers"])})

    def case(body: dict[str, Any]) -> Case:
        beside = body.get("beside")
        return Case(
            **{
                **body,
                "off": outcome(body["off"]),
                "passive": outcome(body["passive"]),
                "beside": None if beside is None else outcome(beside),
            }
        )

    return {one.seed: one for one in map(case, map(json.loads, lines))}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which films to make: those of these kinds, in a share of `rounds` from a seed on.

    None is begun after `seconds`. The door that `beside` makes watches them, too. `fps` is what the
    camera gives a second, None for what each draws.
    """

    first_seed: int
    rounds: int
    share: slice
    kinds: Sequence[str]
    seconds: float
    beside: Callable[[Snapshot], Door] | None = None
    fps: float | None = None

    def films(self) -> list[tuple[int, str]]:
        """Seed and kind of each film."""
        one = APART_KINDS if set(self.kinds) <= set(APART_KINDS) else ROUND
        numbered = list(enumerate(one * self.rounds, self.first_seed))
        return [(seed, kind) for seed, kind in numbered[self.share] if kind in self.kinds]


def make_cases(data: Path, file: Path, plan: Plan) -> None:
    """Make and watch those films of a plan that are missing, while there is time."""
    there = read_cases(file)
    todo = [(seed, kind) for seed, kind in plan.films() if seed not in there]
    if not todo:
        return
    until_s = time.monotonic() + plan.seconds
    studio = Studio(data, fps=plan.fps)
    with file.open("a", encoding="utf-8") as out:
        for seed, kind in track(todo, "films", auto_refresh=sys.stdout.isatty()):
            if time.monotonic() > until_s:
                break
            film, enrolled = studio.film(seed, kind)
            fps = (len(film.at_s) - 1) / float(film.at_s[-1] - film.at_s[0])
            doors = [Door(enrolled, liveness) for liveness in (OFF, PASSIVE)]
            if plan.beside is not None:
                doors.append(plan.beside(enrolled))
            off, passive, *others = watched(film, doors)
            case = Case(seed, kind, round(fps, 1), off, passive, *others)
            out.write(json.dumps(asdict(case)) + "\n")
            out.flush()


# --- what it comes to


def row(cases: Iterable[Case]) -> dict[str, Any]:
    """The figures of one class of films: how many, how many matched, and the errors among those.

    An error is an attack that is accepted, or a visit that is not.
    """
    films = list(cases)
    matched = [case for case in films if case.off.accepted]
    accepted = sum(case.passive.accepted for case in films)
    errors = sum(case.passive.accepted is case.attack for case in matched)
    return {
        "films": len(films),
        "matched": len(matched),
        "accepted": accepted,
        "errors": errors,
        "rate": round(errors / len(matched), 4) if matched else None,
        "rate_95": [round(bound, 4) for bound in exact_95(errors, len(matched))],
        "openings_95": [round(bound, 4) for bound in exact_95(accepted, len(films))],
        "never_judged": sum(not case.passive.answers for case in matched),
        "undecided": sum(_undecided(case) for case in matched),
    }


def _undecided(case: Case) -> bool:
    """Whether liveness reached no answer in all the time that a visit has for it."""
    answered_s = case.passive.answered_s
    refused = case.passive.answers[:1] in {(PRESENTATION_ATTACK,), (TOO_FEW_PICTURES,)}
    return refused and answered_s is not None and answered_s >= UNDECIDED_S


def times(cases: Iterable[Case], which: Callable[[Case], Outcome]) -> list[float] | None:
    """Median and 95th percentile of the time from first sight to acceptance, in s."""
    known = [after for case in cases if (after := which(case).after_s) is not None]
    return [round(float(q), 3) for q in np.quantile(known, [0.5, 0.95])] if known else None


def errors_at(cases: Iterable[Case]) -> dict[str, list[int]]:
    """Visits lost and attacks passed, had the manifest's `passes` been another, by that value.

    Counted over films that matched. No film is watched beyond its first acceptance, so higher
    values than the shipped one cannot be judged.
    """

    def best(case: Case) -> float:
        told = case.passive.log_odds
        return math.inf if case.passive.accepted else -math.inf if told is None else told

    matched = [(case.attack, best(case)) for case in cases if case.off.accepted]
    return {
        str(passes): [
            sum(not attack and most < passes for attack, most in matched),
            sum(attack and most >= passes for attack, most in matched),
        ]
        for passes in LOWER
    }


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """All figures of a run."""
    attacks = [case for case in cases if case.attack]
    visits = [case for case in cases if not case.attack]
    both = [case for case in visits if case.off.accepted and case.passive.accepted]

    found: dict[str, Any] = {}
    if cases and all(case.beside is not None for case in cases):
        found["beside"] = beside(cases)

    # Attacks of the kinds that nothing is fitted to are films of their own.
    kinds = APART_KINDS if {case.kind for case in cases} & {*APART_KINDS} else ATTACK_KINDS

    def of(kind: str) -> Iterator[Case]:
        return (case for case in cases if case.kind == kind)

    return {
        "style": JUDGE.name,
        "first_seed": min((case.seed for case in cases), default=FIRST_SEED),
        "film_s": LONGEST_S,
        "bpcer": row(visits),
        "apcer": row(attacks),
        "visits": {kind: row(of(kind)) for kind in GENUINE_KINDS},
        "attacks": {kind: row(of(kind)) for kind in kinds},
        "visits_lost_attacks_passed_at": errors_at(cases),
        "first_sight_to_accepted_s": {
            "visits": len(both),
            "off": times(both, lambda case: case.off),
            "passive": times(both, lambda case: case.passive),
        },
        **found,
    }


def beside(cases: Iterable[Case]) -> dict[str, Any]:
    """The other door's figures, and how many films each alone was wrong about."""
    matched = [case for case in cases if case.off.accepted and case.beside is not None]
    others = [replace(case, passive=case.beside, beside=None) for case in matched if case.beside]
    found: dict[str, Any] = {}
    for name, attack in (("bpcer", False), ("apcer", True)):
        pairs = [
            (one.passive.accepted is attack, other.passive.accepted is attack)
            for one, other in zip(matched, others, strict=True)
            if one.attack is attack
        ]
        found[name] = row(case for case in others if case.attack is attack)
        found[name]["wrong_only_here"] = sum(one and not other for one, other in pairs)
        found[name]["wrong_only_beside"] = sum(other and not one for one, other in pairs)
        found[name]["asked"] = sum(
            case.attack is attack and ASKED in case.passive.answers for case in others
        )
    found["errors_by_kind"] = {
        kind: [sum(case.passive.accepted is case.attack for case in of), len(of)]
        for kind in sorted({case.kind for case in others})
        if (of := [case for case in others if case.kind == kind])
    }
    known = [case for case in others if not case.attack and case.passive.accepted]
    found["first_sight_to_accepted_s"] = times(known, lambda case: case.passive)
    return found


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""

    def line(name: str, of: dict[str, Any]) -> str:
        low, high = of["rate_95"]
        rate = "-" if of["rate"] is None else f"{100 * of['rate']:.1f} %"
        bounds = "" if of["rate"] is None else f"{100 * low:.1f} to {100 * high:.1f} %"
        cells = (name, of["films"], of["matched"], of["errors"], rate, bounds, of["accepted"])
        return "| " + " | ".join(map(str, cells)) + " |"

    head = "| kind | films | matched | errors | rate | 95 % | door opened |"
    lines = [head, "|---|---|---|---|---|---|---|", line("**visits (BPCER)**", figures["bpcer"])]
    lines += [line(f"`{kind}`", of) for kind, of in figures["visits"].items()]
    lines.append(line("**attacks (APCER), all**", figures["apcer"]))
    lines += [line(f"`{kind}`", of) for kind, of in figures["attacks"].items()]
    return "\n".join(lines)


def recorded(file: Path) -> dict[str, Any]:
    """What the door makes of the visits in a real film, in which everybody seen is enrolled.

    Faces of every tenth frame are enrolled, one template a person, so that matching never fails.
    `visits` are the decisions: when, how large the face was, and what was decided.
    """
    detector, model = FaceDetector(), load_model()
    camera = Video(file)
    frames: list[NDArray[np.uint8]] = []
    while (pixels := camera.read()) is not None:
        frames.append(pixels)
    gallery = _everybody(frames[::10], detector, model)
    fps = camera.fps or 25.0
    camera.close()
    found: dict[str, Any] = {
        "seconds": round(len(frames) / fps, 1),
        "people": len(gallery.names),
    }
    for liveness in (OFF, PASSIVE):
        found[liveness.policy] = _visits(frames, fps, gallery, liveness)
    return found


def _visits(
    frames: Sequence[NDArray[np.uint8]], fps: float, gallery: Snapshot, liveness: LivenessConfig
) -> dict[str, Any]:
    now_s = 0.0
    pipeline = _built(liveness, lambda: now_s)
    visits = []
    for index, pixels in enumerate(
        track(frames, liveness.policy, auto_refresh=sys.stdout.isatty())
    ):
        now_s = 1.0 + index / fps
        report = pipeline.step([Frame(pixels, now_s, now_s, index, "film")], gallery)
        visits += [
            {
                "at_s": round(index / fps, 2),
                "face_px": round(face.box.width),
                "answer": _answer(face.verdict),
            }
            for face in report[0].tracks
            if face.verdict is not None
        ]
    return {"tracks": pipeline.counts.tracks, "visits": visits}


def _everybody(
    frames: Sequence[NDArray[np.uint8]], detector: FaceDetector, model: FaceModel
) -> Snapshot:
    templates: list[NDArray[np.float32]] = []
    same = model.threshold("1e-3")
    for pixels in frames:
        for sample in read_faces(pixels, detector, model):
            probe = sample.template[np.newaxis]
            known = np.stack(templates) if templates else probe[:0]
            if not (model.compare(probe, known) >= same).any():
                templates.append(sample.template)
    names = [f"face {number}" for number in range(len(templates))]
    return Snapshot(tuple(names), dict(zip(names, names, strict=True)), np.stack(templates))


def main() -> None:
    """Make the films, watch them, print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument(
        "--films", type=int, default=10, help="of each print; twice of each screen; 6 times visits"
    )
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--share", default="0/1", help="K/N: every N-th film, from the K-th on")
    parser.add_argument(
        "--kinds",
        default=",".join((*ATTACK_KINDS, *GENUINE_KINDS)),
        help=f"or, in rounds of their own, {','.join(APART_KINDS)}",
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no film after so long")
    parser.add_argument("--fps", type=float, help="of a camera that gives so many, for all films")
    parser.add_argument("--cases", type=Path, help="JSON lines, one a film; appended to")
    parser.add_argument("--results", type=Path, help="JSON file whose --key is replaced")
    parser.add_argument("--key", default="attacks")
    another = parser.add_mutually_exclusive_group()
    another.add_argument(
        "--unheld-beside", action="store_true", help="a door that holds nobody back watches, too"
    )
    another.add_argument("--doubtful-beside", action="store_true", help="one that asks in doubt")
    parser.add_argument("--recording", type=Path, help="watch this real film, and nothing else")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if chosen.recording is not None:
        print(json.dumps(recorded(chosen.recording), indent=1))
        return
    if chosen.cases is None or chosen.data is None:
        parser.error("--data and --cases are needed")
    first, step = map(int, chosen.share.split("/"))
    share = slice(first, None, step)
    only = chosen.kinds.split(",")
    beside: Callable[[Snapshot], Door] | None = None
    if chosen.unheld_beside:
        beside = partial(Door, liveness=PASSIVE, held=False)
    elif chosen.doubtful_beside:
        beside = partial(Door, liveness=DOUBTFUL)
    plan = Plan(chosen.first_seed, chosen.films, share, only, chosen.seconds, beside, chosen.fps)
    make_cases(chosen.data, chosen.cases, plan)
    figures = summary(list(read_cases(chosen.cases).values()))
    if chosen.results is not None:
        there = json.loads(chosen.results.read_text("utf-8")) if chosen.results.exists() else {}
        chosen.results.write_text(json.dumps({**there, chosen.key: figures}, indent=2) + "\n")
    print(table(figures))
    print(json.dumps(figures["first_sight_to_accepted_s"]))
    print(json.dumps(figures["visits_lost_attacks_passed_at"]))
    if "beside" in figures:
        print(json.dumps(figures["beside"]))


if __name__ == "__main__":
    main()
