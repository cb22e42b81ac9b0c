"""How many visitors pass a step of the challenge, and how many presentation attacks.

    python benchmarks/challenge.py --data ../shared/data --films 40 --part judge

Each film shows one person who does one step when asked, or a photograph or screen that is turned,
tilted or brought nearer instead (oneglance.training.liveness). The daemon's own Watcher follows the
face, and the daemon's own Challenge asks for that one step; the screen's answer comes 0.5 s before
the movement begins. A trial is passed if the step is.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
from scipy.stats import beta

from oneglance.contract.messages import Step
from oneglance.daemon.sight.quality import picture_hint
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.watcher import Watcher
from oneglance.daemon.visit.challenge import Challenge
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.evidence import Visit
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.training.liveness.acts import Act
from oneglance.training.liveness.film import Film
from oneglance.training.liveness.people import Lfw, split_people
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import FIT, JUDGE

ACTS = {
    Step.TURN_LEFT: "turn_left",
    Step.TURN_RIGHT: "turn_right",
    Step.LOOK_UP: "look_up",
    Step.COME_CLOSER: "closer",
}
FLAT = ("print_tilted", "print_bent", "print_cut_eyes", "print_over_body", "phone_photo")
KINDS = ("visit", *FLAT, "tablet_replay")
ACT_AT_S, ACT_S, FILM_S, FPS = 2.6, 1.5, 4.6, 12.0
ASKED_BEFORE_S, ANSWER_BEFORE_S = 0.8, 0.5


class OneStep(Random):
    """A source of randomness that always draws the wanted step and the shortest pause."""

    def __init__(self, step: Step) -> None:
        super().__init__(0)
        self._step = step

    def sample(self, population: Sequence[Any], k: int, *, counts: Any = None) -> list[Any]:
        """The wanted step first."""
        rest = [step for step in population if step is not self._step]
        super().shuffle(rest)
        return [self._step, *rest][:k]

    def uniform(self, a: float, b: float) -> float:
        """The lower bound."""
        return a


def trial(film: Film, step: Step, model: FaceModel, same_face: float) -> tuple[str, float]:
    """How the step ended ("passed", or why not), and the most of it that was seen."""
    watcher = Watcher(door_detector(), model, 60, lambda: Visit(3, 5.0, 3.0))
    challenge: Challenge | None = None
    reference = visitor = None
    most = 0.0
    for pixels, at_s in zip(film.frames, film.at_s, strict=True):
        seen = watcher.see(pixels, float(at_s))
        if not seen:
            continue
        if challenge is None:
            # The visit took these looks before the challenge.
            if at_s < 0.4:
                continue
            face = max(seen, key=lambda s: s.track.box.area)
            visitor = face.visitor
            chip = chip_from_points(pixels, face.points)
            reference = model.encode(chip[np.newaxis])
            challenge = Challenge(Verdict("v", "p", 9.0, 1.0), OneStep(step))
        # Whoever stands behind the photograph is another visitor.
        faces = [s for s in seen if s.visitor is visitor]
        if not faces:
            continue
        face = faces[0]
        challenge.see(face.points, float(at_s), followed=face.sure)
        if challenge.has_rested:
            made, part = challenge.moved(face.points)
            if made is step:
                most = max(most, part)
        # The step is asked for when the film is about to show it.
        if challenge.wants_look and (challenge.turned or at_s >= ACT_AT_S - ASKED_BEFORE_S):
            chip = chip_from_points(pixels, face.points)
            hint = picture_hint(chip, pixels, face.points).value
            if hint == "none" or (challenge.turned and hint == "look_at_camera"):
                score = model.compare(reference, model.encode(chip[np.newaxis]))[0, 0]
                challenge.looked(same=bool(score >= same_face))
        prompt = challenge.prompt
        if prompt is not None and prompt.attempt == 1 and prompt.number == 2:
            return "passed", most
        if challenge.failures:
            return challenge.failures[0].value, most
        if prompt is not None and at_s >= ACT_AT_S - ANSWER_BEFORE_S:
            challenge.shown(prompt.challenge_id, float(at_s))
    if challenge is None or not challenge.has_rested:
        return "no rest", most
    return "ended", most


def bounds(failures: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a rate."""
    low = beta.ppf(0.025, failures, trials - failures + 1) if failures else 0.0
    high = beta.ppf(0.975, failures + 1, trials - failures) if failures < trials else 1.0
    return float(low), float(high)


def main() -> None:
    """Make the films, count what passed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--films", type=int, default=40, help="of each kind and step")
    parser.add_argument("--part", choices=("fit", "judge"), default="judge")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(arguments.seed)
    model, detector = load_model(), FaceDetector()
    same_face = model.threshold("1e-3")
    style = FIT if arguments.part == "fit" else JUDGE
    lfw = Lfw(arguments.data / "lfw_folds1-8.zip")
    names = list(split_people(arguments.data / "lfw_people_folds1-8.csv")[arguments.part])
    rng.shuffle(names)
    counts: dict[tuple[str, Step], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    parts: dict[tuple[str, Step], list[float]] = defaultdict(list)
    last: list[Any] = []
    for i in range(arguments.films):
        portraits = lfw.portraits(names[i % len(names)], detector, model, most=1)
        if not portraits:
            continue
        for step, act in ACTS.items():
            for kind in arguments.kinds.split(","):
                acts = [Act(act, ACT_AT_S, ACT_AT_S + ACT_S)]
                film = render(kind, portraits, last, style, rng, acts=acts, seconds=FILM_S, fps=FPS)
                how, most = trial(film, step, model, same_face)
                counts[kind, step][how] += 1
                parts[kind, step].append(most)
        last = [*last, *portraits][-6:]
        print(f"{i + 1} of {arguments.films} people", flush=True)
    for (kind, step), ends in sorted(counts.items()):
        trials = sum(ends.values())
        passed = ends["passed"]
        low, high = bounds(passed, trials)
        most = np.quantile(parts[kind, step], [0.05, 0.5, 0.95, 1.0])
        print(
            f"{kind:16} {step:12} passed {passed}/{trials} ({100 * low:.1f}..{100 * high:.1f} %)"
            f"  part 5/50/95/100 %: {' '.join(f'{m:.2f}' for m in most)}  {dict(ends)}"
        )


if __name__ == "__main__":
    main()
