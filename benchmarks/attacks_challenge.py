"""How often an attack passes `passive+challenge`, and a visitor does not (ISO/IEC 30107-3).

    python benchmarks/attacks_challenge.py --data ../shared/data --films 10 --cases asked.jsonl

The shipped daemon watches rendered films (LFW fold 8, the style that nothing was fitted to) of
people who do what its screen asks: of visitors, with a human's time to react, and of attackers who
turn the picture that they hold, or swap it, or play a film of the victim. Each film is made as it
is watched, since what comes next depends on what was asked. Enrolled is one other photograph.

The daemon is the shipped one with that policy: passive first, then, for those who pass, the
challenge, then what the passive judge found meanwhile. So the rate of each part is that of the
films that got that far, and no parts are assumed to be independent. What the steps stop by
themselves is seen with --steps-alone, without the passive judge before and meanwhile.

Each film is one line of --cases, written as soon as it is watched; what is there already is not
made again, so that the run may be stopped at any time. The table and, with --results, a key of a
JSON file are made of all lines.

To choose by, films are of people of fold 7 (`--people threshold`), in the styles that liveness was
fitted to (`--style fit`, `--style rough`). Further films to judge by are those of another
--first-seed; nobody is in them who is in the films of --besides.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from attacks import CROWD, TOO_FAR_OR_NEAR, gallery_of
from numpy.typing import NDArray
from rich.progress import track

from oneglance.clocks import Clocks
from oneglance.config import Config, LivenessConfig
from oneglance.contract.messages import PRESENTATION_ATTACK, TOO_FEW_PICTURES, Step
from oneglance.daemon.build import build_pipeline
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.visit.alive import PASSING
from oneglance.daemon.visit.challenge import Challenge, End, Prompt
from oneglance.daemon.visit.challenges import Challenges
from oneglance.faces.evaluation.metrics import exact_95
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.liveness.fusion import Judgement
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.liveness.acts import Act
from oneglance.training.liveness.film import REPLAY_KINDS, Film
from oneglance.training.liveness.people import Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import Scene, filmed, scene
from oneglance.training.liveness.styles import FIT, JUDGE, ROUGH, Style

FIRST_SEED = 20000
# What else might be asked of a challenge's looks: log odds that more than half of them must reach,
# and the share of them that must pass.
RULES = [(0.0, share) for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
RULES += [(bar, 0.5) for bar in (1.8, 2.0, 2.2, 2.3, 2.4, 2.5, 2.6, 2.8)]
RULES += [(2.4, share) for share in (0.6, 0.7, 0.75, 0.8)]
LOOKS_ENOUGH = 10
FPS, LONGEST_S = 15.0, 34.0
STYLES = {style.name: style for style in (JUDGE, FIT, ROUGH)}
# Of each attack: what is held, and how it is made to do what is asked.
ATTACKS = {
    "print_turned": ("print_over_body", "turns"),
    "bent_print_turned": ("print_bent", "turns"),
    "cut_eyes_turned": ("print_cut_eyes", "turns"),
    "phone_photo_turned": ("phone_photo", "turns"),
    "tablet_photo_turned": ("tablet_photo", "turns"),
    "photos_swapped": ("tablet_replay", "stills"),
    "film_of_moves": ("tablet_replay", "moves"),
    "film_to_fit": ("tablet_replay", "clips"),
    "phone_film_to_fit": ("phone_replay", "clips"),
}
# The kinds that pass the passive judge most often are tried twice as often.
STRONGEST = ("tablet_photo_turned", "film_of_moves", "film_to_fit", "phone_film_to_fit")
VISITS = ("visit", "visit_two_photos")
ROUND = (*ATTACKS, *STRONGEST, *VISITS)
ACTS = {
    Step.TURN_LEFT: "turn_left",
    Step.TURN_RIGHT: "turn_right",
    Step.LOOK_UP: "look_up",
    Step.COME_CLOSER: "closer",
}
# How long a prompt takes to reach the screen and the eye, and from there the neck or hand: the
# latter is lognormal with these medians and this spread.
SCREEN_S = 0.15
REACTION_S, SPREAD = 0.65, 0.3
# People who are still being asked after this long exaggerate the movement.
MORE_AFTER_S = 1.6
# In a film of the victim, they stand still, then move; each movement lasts this long.
IDLE_S, CLIP_S = 2.4, 1.9
CLIPS = (Step.TURN_LEFT, Step.TURN_RIGHT, Step.LOOK_UP)
FOOTAGE_S = IDLE_S + CLIP_S * len(CLIPS)


@dataclass(frozen=True, slots=True)
class Case:
    """One film.

    `answer` is the visit's decision, "accepted" or a reason, "" if the film ended before. `asked`
    are the steps that were asked in turn, each after the number of its attempt: none, if the
    passive judge let nobody come to that. `ends` says how attempts failed, `done` whether all steps
    of one were done, `alive` how many looks meanwhile showed a living face, of how many.
    `seconds` are from the first sight to the answer, `asked_s` from the first prompt. `passed` are
    the log odds of each of the looks meanwhile, 0 of one that did not pass.
    """

    seed: int
    kind: str
    answer: str
    asked: tuple[str, ...]
    ends: tuple[str, ...]
    done: bool
    alive: tuple[int, int]
    seconds: float
    asked_s: float
    passed: tuple[float, ...] = ()

    @property
    def attack(self) -> bool:
        """Whether no living person was there."""
        return self.kind in ATTACKS

    @property
    def matched(self) -> bool:
        """Whether the face was recognised, so that liveness had a say."""
        told = {"accepted", PRESENTATION_ATTACK, TOO_FEW_PICTURES}
        return bool(self.asked) or self.answer in told

    @property
    def accepted(self) -> bool:
        """Whether the door would have opened."""
        return self.answer == "accepted"


class Actor:
    """Somebody who does what the screen asks, or has the picture do it.

    `acts` are the movements so far; `version` changes whenever they do.
    """

    def __init__(self, kind: str, rng: np.random.Generator) -> None:
        self._rng = rng
        self._way = ATTACKS[kind][1] if kind in ATTACKS else "turns"
        self._attack = kind in ATTACKS
        self.acts: list[Act] = []
        self.version = 0
        # When each clip of the footage begins.
        self._clips: list[tuple[float, float, int]] = []
        if self._way == "moves":
            at_s = 0.5
            while at_s < LONGEST_S:
                at_s += float(rng.uniform(0.4, 4.0))
                self._clips.append((at_s, at_s + CLIP_S, int(rng.integers(len(CLIPS)))))
                at_s += CLIP_S

    def told(self, prompt: Prompt, at_s: float) -> None:
        """The screen began to show this at `at_s`."""
        begin_s = at_s + REACTION_S * float(np.exp(SPREAD * self._rng.standard_normal()))
        if prompt.step is Step.LOOK_STRAIGHT:
            self._come_back(begin_s)
            return
        if self._way == "moves":
            return
        if self._way == "turns" or prompt.step is Step.COME_CLOSER:
            far, more = (0.7, 1.5) if self._attack else (0.75, 1.1)
            first = float(self._rng.uniform(far, more))
            later_s = begin_s + MORE_AFTER_S
            name = ACTS[prompt.step]
            if prompt.step is Step.COME_CLOSER:
                # From where they stand, step by step.
                stands = max((act.far for act in self.acts if act.name == name), default=0.0)
                self.acts.append(Act(name, begin_s, begin_s + 1.2, stands + first))
                self.acts.append(Act(name, later_s, later_s + 1.2, stands + more))
            else:
                self.acts.append(Act(name, begin_s, LONGEST_S + 9, first))
                self.acts.append(Act(name, later_s, LONGEST_S + 9, more))
            self.version += 1
        else:
            self._clips.append((begin_s, LONGEST_S + 9, CLIPS.index(prompt.step)))

    def _come_back(self, at_s: float) -> None:
        """Let go of whatever is held."""
        back_s = at_s + 0.35
        kept = [act for act in self.acts if act.begin_s < at_s]
        self.acts = [
            replace(act, end_s=max(back_s, act.begin_s + 0.7)) if act.end_s > LONGEST_S else act
            for act in kept
        ]
        self.version += 1
        if self._way != "moves":
            self._clips = [(a, min(b, at_s), clip) for a, b, clip in self._clips if a < at_s]

    def plays(self, at_s: float) -> float:
        """Which second of the footage is on the screen now."""
        for begin_s, end_s, clip in self._clips:
            if begin_s <= at_s < end_s:
                there_s = IDLE_S + CLIP_S * clip
                if self._way == "stills":
                    return there_s + CLIP_S / 2
                # The head is held where it is until that is enough.
                part_s = min(at_s - begin_s, CLIP_S / 2) if end_s > at_s + 8 else at_s - begin_s
                return there_s + min(part_s, CLIP_S - 0.05)
            if self._way == "clips" and end_s <= at_s < end_s + CLIP_S / 2:
                return IDLE_S + CLIP_S * clip + CLIP_S / 2 + (at_s - end_s) - 0.02
        if self._way == "stills":
            return 0.3
        return abs((at_s % (2 * IDLE_S)) - IDLE_S) * 0.95


def watched(
    make: Callable[[Sequence[Act], Callable[[float], float]], Scene],
    actor: Actor,
    enrolled: Snapshot,
    seed: int,
    kind: str,
    *,
    steps_alone: bool = False,
) -> Case:
    """What a daemon that has just started makes of somebody it asks to move.

    With `steps_alone` nothing judges whether they live but the challenge's steps.
    """
    now_s = 0.0
    pipeline = built(lambda: now_s)
    if steps_alone:
        pipeline.liveness = None
    pipeline.challenges = Challenges(Random(seed), lambda: now_s)  # noqa: S311
    challenge: Challenge | None = None
    film = make(actor.acts, actor.plays)
    version = actor.version
    waiting: list[tuple[float, Prompt]] = []
    asked: list[str] = []
    first_s = asked_s = None
    answer, at_s = "", 0.0
    for index, at_s in enumerate(film.at_s.tolist()):
        now_s = 1.0 + at_s
        while waiting and waiting[0][0] <= now_s:
            _, prompt = waiting.pop(0)
            pipeline.challenges.shown(prompt.challenge_id)
            actor.told(prompt, at_s)
        if actor.version != version:
            version = actor.version
            film.draws = make(actor.acts, actor.plays).draws
        pixels, drawn = film.take(index)
        report = pipeline.step([Frame(pixels, now_s, now_s, index, "film")], enrolled)
        for face in report[0].tracks:
            # A refused face in a picture on the wall ends nobody else's visit; an accepted one
            # would open the door.
            accepted = face.verdict is not None and face.verdict.accepted
            if not (accepted or is_at(face.box, drawn)):
                continue
            if first_s is None and face.hint not in TOO_FAR_OR_NEAR:
                first_s = at_s
            if face.prompt is not None:
                asked_s = at_s if asked_s is None else asked_s
                asked.append(f"{face.prompt.attempt}{face.prompt.step.value}")
                waiting.append((now_s + SCREEN_S, face.prompt))
            if face.verdict is not None and answer == "":
                answer = "accepted" if face.verdict.accepted else face.verdict.reason
        begun = [v.challenge for v in pipeline.visitors if v.challenge is not None]
        challenge = begun[0] if begun else challenge
        if answer:
            break
    found = [] if challenge is None else challenge.found
    return Case(
        seed,
        kind,
        answer,
        tuple(asked),
        () if challenge is None else tuple(end.value for end in challenge.failures),
        challenge is not None and challenge.end is End.PASSED,
        (sum(map(passes, found)), len(found)),
        round(at_s - (first_s or 0.0), 2),
        0.0 if asked_s is None else round(at_s - asked_s, 2),
        tuple(round(one.log_odds, 3) if passes(one) else 0.0 for one in found),
    )


def is_at(box: Box, drawn: NDArray[np.float64]) -> bool:
    """Whether a face that was found is the one whose points (5, 2) were drawn there."""
    x, y = drawn.mean(0).tolist()
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def passes(look: Judgement) -> bool:
    """Whether a look during a challenge counts as passed."""
    return look.passed and look.log_odds >= PASSING


def built(clock_s: Callable[[], float]) -> Pipeline:
    """The daemon's pipeline with its strictest policy."""
    config = Config(liveness=LivenessConfig.model_validate({"policy": "passive+challenge"}))
    return build_pipeline(config, Clocks(lambda: datetime.now(UTC), clock_s))[1]


class Studio:
    """Makes scenes of people of one part of LFW, in one style."""

    def __init__(
        self,
        data: Path,
        part: str = "judge",
        style: Style = JUDGE,
        *,
        steps_alone: bool = False,
    ) -> None:
        self._steps_alone = steps_alone
        self._lfw = Lfw(data / "lfw_folds1-8.zip")
        self._style = style
        self._people = split_people(data / "lfw_people_folds1-8.csv")[part]
        self._left_out: frozenset[str] = frozenset()
        self._detector, self._model = FaceDetector(), load_model()
        crowd = np.random.default_rng(FIRST_SEED).choice(self._people, CROWD, replace=False)
        self._crowd = [p for name in crowd for p in self._portraits(name, [0])]

    def leave_out(self, cases: Iterable[Case]) -> None:
        """Make no film of anybody who is in one of these."""
        drawn = [self._drawn(case.kind, np.random.default_rng(case.seed))[0] for case in cases]
        self._left_out = frozenset(drawn)

    def _drawn(
        self, kind: str, rng: np.random.Generator
    ) -> tuple[str, NDArray[np.float32], list[Portrait]]:
        """Who a film shows: the name, the enrolled template (D,), and the person filmed."""
        shown = 2 if kind == "visit_two_photos" else 1
        names = [
            name
            for name in self._people
            if self._lfw.count(name) > shown and name not in self._left_out
        ]
        while True:
            name = names[int(rng.integers(len(names)))]
            numbers = rng.permutation(self._lfw.count(name))[: shown + 1].tolist()
            image = load_image(self._lfw.photo(name, numbers[-1]))
            enrolled = read_central_face(image, self._detector, self._model)
            portraits = self._portraits(name, numbers[:-1])
            if enrolled is not None and len(portraits) == shown:
                return name, enrolled.template, portraits

    def watch(self, seed: int, kind: str) -> Case:
        """Make a film of somebody and watch it meanwhile."""
        rng = np.random.default_rng(seed)
        form = ATTACKS[kind][0] if kind in ATTACKS else kind
        name, template, portraits = self._drawn(kind, rng)
        others = [portrait for portrait in self._crowd if portrait.person != name]
        footage = None
        if form in REPLAY_KINDS:
            footage = self._footage(portraits, others, np.random.default_rng([seed, 2]))

        def make(acts: Sequence[Act], plays: Callable[[float], float]) -> Scene:
            again = np.random.default_rng([seed, 1])
            return scene(
                *(form, portraits, others, self._style, again),
                acts=acts,
                seconds=LONGEST_S,
                fps=FPS,
                footage=footage,
                plays=plays,
            )

        gallery, alone = gallery_of(template), self._steps_alone
        return watched(make, Actor(kind, rng), gallery, seed, kind, steps_alone=alone)

    def _footage(
        self, portraits: Sequence[Portrait], others: Sequence[Portrait], rng: np.random.Generator
    ) -> Film:
        """The victim, filmed before as they stood there and moved."""
        acts = [
            Act(ACTS[step], IDLE_S + CLIP_S * i + 0.1, IDLE_S + CLIP_S * (i + 1) - 0.1, 1.05)
            for i, step in enumerate(CLIPS)
        ]
        return filmed(portraits, others, self._style, rng, acts=acts, seconds=FOOTAGE_S, fps=FPS)

    def _portraits(self, name: str, numbers: Sequence[int]) -> list[Portrait]:
        return [
            portrait
            for number in numbers
            for portrait in self._lfw.portraits(
                name, self._detector, self._model, first=number, most=1
            )
        ]


LISTS = ("asked", "ends", "alive", "passed")


def read_cases(file: Path) -> dict[int, Case]:
    """The lines of a file of cases, by seed."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    cases = {}
    for body in map(json.loads, lines):
        lists = {name: tuple(body.pop(name)) for name in LISTS if name in body}
        cases[body["seed"]] = Case(**body, **lists)
    return cases


@dataclass(frozen=True, slots=True)
class Plan:
    """Which films: of these kinds in so many rounds from a seed on, none begun after `seconds`."""

    first_seed: int
    rounds: int
    kinds: Sequence[str]
    seconds: float

    def films(self) -> list[tuple[int, str]]:
        """Seed and kind of each film."""
        numbered = enumerate(ROUND * self.rounds, self.first_seed)
        return [(seed, kind) for seed, kind in numbered if kind in self.kinds]


def make_cases(make_studio: Callable[[], Studio], file: Path, plan: Plan) -> None:
    """Make and watch those films of a plan that are missing, while there is time."""
    there = read_cases(file)
    todo = [(seed, kind) for seed, kind in plan.films() if seed not in there]
    if not todo:
        return
    until_s = time.monotonic() + plan.seconds
    studio = make_studio()
    with file.open("a", encoding="utf-8") as out:
        for seed, kind in track(todo, "films", auto_refresh=sys.stdout.isatty()):
            if time.monotonic() > until_s:
                break
            out.write(json.dumps(asdict(studio.watch(seed, kind))) + "\n")
            out.flush()


# --- what it comes to


def rate(errors: int, of: int) -> dict[str, Any]:
    """A count, what it is a share of, and the 95 % bounds of that share."""
    return {"count": errors, "of": of, "rate_95": [round(b, 4) for b in exact_95(errors, of)]}


def row(cases: Iterable[Case]) -> dict[str, Any]:
    """How far the films of one class got. Only those that matching recognises are counted."""
    films = [case for case in cases if case.matched]
    asked = [case for case in films if case.asked]
    done = [case for case in asked if case.done]
    accepted = sum(case.accepted for case in films)
    return {
        "passive": rate(len(asked), len(films)),
        "challenge_of_passive": rate(len(done), len(asked)),
        "alive_of_done": rate(accepted, len(done)),
        "accepted": rate(accepted, len(films)),
    }


def summary(cases: Sequence[Case], style: str = JUDGE.name) -> dict[str, Any]:
    """All figures of a run."""
    visits = [case for case in cases if not case.attack]
    asked = [case.asked_s for case in visits if case.accepted]
    return {
        "style": style,
        "first_seed": min((case.seed for case in cases), default=FIRST_SEED),
        "attacks": {kind: row(c for c in cases if c.kind == kind) for kind in ATTACKS},
        "all_attacks": row(case for case in cases if case.attack),
        "visits": row(visits),
        "challenge_s": [round(float(q), 1) for q in np.quantile(asked, [0.5, 0.95])]
        if asked
        else None,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table: how many got through each part."""
    parts = ("passive", "challenge_of_passive", "alive_of_done", "accepted")

    def line(name: str, of: dict[str, Any]) -> str:
        counts = [f"{of[part]['count']} of {of[part]['of']}" for part in parts]
        low, high = of["accepted"]["rate_95"]
        return "| " + " | ".join([name, *counts, f"{100 * low:.1f} to {100 * high:.1f} %"]) + " |"

    head = "| kind | passed passive | did the steps | alive meanwhile | let in | 95 % |"
    lines = [head, "|---|---|---|---|---|---|", line("**visits**", figures["visits"])]
    lines.append(line("**attacks, all**", figures["all_attacks"]))
    lines += [line(f"`{kind}`", of) for kind, of in figures["attacks"].items()]
    return "\n".join(lines)


def rules(cases: Sequence[Case]) -> str:
    """What rules other than `alive.lasting` would keep, as a Markdown table.

    Counted over films whose challenge had enough looks to say anything, whatever became of its
    steps: those are few, and somebody who seems alive has only the steps left to pass.
    """
    long = [case for case in cases if len(case.passed) >= LOOKS_ENOUGH]
    visits = [case.passed for case in long if not case.attack]
    attacks = [case.passed for case in long if case.attack]
    lines = ["| most looks come to | that pass | visits | attacks |", "|---|---|---|---|"]
    for bar, share in RULES:
        kept = [sum(_kept(looks, bar, share) for looks in of) for of in (visits, attacks)]
        counts = f"{kept[0]} of {len(visits)} | {kept[1]} of {len(attacks)}"
        lines.append(f"| {bar or 'passing'} | more than {share:.0%} | {counts} |")
    return "\n".join(lines)


def _kept(passed: Sequence[float], bar: float, share: float) -> bool:
    """Whether a rule keeps a film of these log odds, 0 of looks that did not pass."""
    seen = np.asarray(passed)
    most = (seen >= max(bar, np.finfo(float).tiny)).mean() > 0.5
    return bool(most and (seen > 0).mean() > share)


def main() -> None:
    """Make the films, watch them, print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument(
        "--films", type=int, default=10, help="of each attack, twice of the strongest; 2 visits"
    )
    parser.add_argument("--kinds", default=",".join((*ATTACKS, *VISITS)))
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no film after so long")
    parser.add_argument("--people", choices=("threshold", "judge"), default="judge")
    parser.add_argument("--style", choices=tuple(STYLES), default=JUDGE.name)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--besides", type=Path, help="cases: films of nobody who is in them")
    parser.add_argument(
        "--steps-alone", action="store_true", help="without the passive judge, before and meanwhile"
    )
    parser.add_argument("--cases", type=Path, required=True, help="JSON lines; appended to")
    parser.add_argument("--results", type=Path, help="JSON file whose key is replaced")
    parser.add_argument("--key", default="attacks_challenge")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if chosen.data is not None:

        def studio() -> Studio:
            style, alone = STYLES[chosen.style], chosen.steps_alone
            made = Studio(chosen.data, chosen.people, style, steps_alone=alone)
            if chosen.besides is not None:
                made.leave_out(read_cases(chosen.besides).values())
            return made

        plan = Plan(chosen.first_seed, chosen.films, chosen.kinds.split(","), chosen.seconds)
        make_cases(studio, chosen.cases, plan)
    read = list(read_cases(chosen.cases).values())
    figures = summary(read, chosen.style)
    if chosen.results is not None:
        there = json.loads(chosen.results.read_text("utf-8")) if chosen.results.exists() else {}
        body = json.dumps({**there, chosen.key: figures}, indent=2)
        chosen.results.write_text(body + "\n")
    print(table(figures))
    print(rules(read))
    print(f"from the first prompt to acceptance, median and 95 %: {figures['challenge_s']} s")


if __name__ == "__main__":
    main()
