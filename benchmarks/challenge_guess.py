"""How often a film of head movements passes the challenge by chance, and a visitor by obeying.

    python benchmarks/challenge_guess.py --visits 600

Simulated on points alone: a head in front of the camera, with a visitor's sway and the aligner's
noise. Only the challenge judges: what the passive judge stops comes on top. The visitor called

- `obeys` does what is asked, after a human's reaction time;
- `moves` is a film that cannot know the prompts: a movement in random order every 1 to 5 s;
- `guesses` starts, after each prompt, a random one of the clips that may be right;
- `fits` starts the right one, which no order of steps can stop.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Step
from oneglance.daemon.visit import challenge
from oneglance.daemon.visit.challenge import Challenge, End
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.movement import ALL_STEPS, TURNS
from oneglance.faces.evaluation.metrics import exact_95

Floats = NDArray[np.float64]
WHO = ("obeys", "moves", "guesses", "fits")
# Eyes, nose, corners of the mouth, in distances between the eyes, the third value towards the
# camera; the nose stands out by half that distance (Farkas, 1994). Then how far away the camera is.
HEAD = np.array([[-0.5, -0.4, 0], [0.5, -0.4, 0], [0, 0.15, 0.5], [-0.4, 0.65, 0], [0.4, 0.65, 0]])
AWAY, EYES_PX, FPS, LONGEST_S = 12.0, 60.0, 15.0, 60.0
NOISE, SWAY_DEG, SWAY_HZ = 0.012, 2.5, 0.5
# A whole movement: yaw, pitch in degrees, growth.
DONE = {
    Step.TURN_LEFT: (34.0, 0.0, 1.0),
    Step.TURN_RIGHT: (-34.0, 0.0, 1.0),
    Step.LOOK_UP: (0.0, 24.0, 1.0),
    Step.COME_CLOSER: (0.0, 0.0, 1.4),
}
SCREEN_S, EASE_S = 0.15, 0.4
REACTION_S, SPREAD = 0.65, 0.3


class Film:
    """Where a face is at each moment; movements may be added, each with its beginning and end."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._phases = rng.uniform(0, 2 * math.pi, (2, 3))
        self.moves: list[tuple[Step, float, float]] = []

    def points(self, at_s: float) -> Floats:
        """The five points (5, 2) in px."""
        pose = np.array([0.0, 0.0, 1.0])
        for step, begin_s, end_s in self.moves:
            closer = step is Step.COME_CLOSER
            part = _ease((at_s - begin_s) / EASE_S)
            part *= 1.0 if closer else 1 - _ease((at_s - end_s) / EASE_S)
            yaw, pitch, growth = DONE[step]
            pose += part * np.array([yaw, pitch, growth - 1])
        waves = np.sin(2 * math.pi * SWAY_HZ * at_s * np.array([0.5, 0.8, 1.1]) + self._phases)
        pose[:2] += SWAY_DEG * np.sqrt(2 / 3) * waves.sum(1) * [1, 0.5]
        a, b = np.radians(pose[:2])
        x, y, z = HEAD.T
        x, z = x * math.cos(a) + z * math.sin(a), z * math.cos(a) - x * math.sin(a)
        y, z = y * math.cos(b) - z * math.sin(b), z * math.cos(b) + y * math.sin(b)
        size = EYES_PX * pose[2] * AWAY / (AWAY - z)
        there = np.stack([320 + size * x, 240 + size * y], 1)
        return np.asarray(there + NOISE * EYES_PX * self._rng.standard_normal((5, 2)))


def _ease(part: float) -> float:
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)


def visit(who: str, seed: int, *, room: bool = True) -> End | None:
    """How one challenge ends; None if it has not ended after a minute."""
    rng, random = np.random.default_rng(seed), Random(seed)  # noqa: S311
    asked = Challenge(Verdict("visit", "somebody", 9.0, 1.0), random)
    film = Film(rng)
    if who == "moves":
        at_s = 0.0
        while at_s < LONGEST_S:
            at_s += float(rng.uniform(1, 5))
            film.moves.append((random.choice(TURNS), at_s, at_s + 1.0))
            at_s += 1.0
    shown: list[tuple[float, Step, str]] = []
    before = None
    for index in range(int(LONGEST_S * FPS)):
        at_s = index / FPS
        while shown and shown[0][0] <= at_s:
            _, step, challenge_id = shown.pop(0)
            asked.shown(challenge_id, at_s)
            _told(who, film, step, at_s, rng, room=room)
        asked.see(film.points(at_s), at_s, followed=True, room=room)
        asked.looked(same=True)
        if asked.end is not None:
            return asked.end
        if asked.prompt is not None and asked.prompt is not before:
            before = asked.prompt
            shown.append((at_s + SCREEN_S, before.step, before.challenge_id))
    return None


def _told(
    who: str, film: Film, step: Step, at_s: float, rng: np.random.Generator, *, room: bool
) -> None:
    if who == "moves":
        return
    begin_s = at_s + REACTION_S * math.exp(SPREAD * float(rng.standard_normal()))
    if step is Step.LOOK_STRAIGHT:
        film.moves = [(move, a, min(b, begin_s)) for move, a, b in film.moves if a < begin_s]
        return
    if who == "guesses":
        of = ALL_STEPS if room else TURNS
        step = of[int(rng.integers(len(of)))]
    film.moves.append((step, begin_s, begin_s + 1.5 if who == "guesses" else math.inf))


def main() -> None:
    """Simulate, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visits", type=int, default=600, help="of each")
    parser.add_argument("--steps", type=int, default=challenge.STEPS, help="of one challenge")
    parser.add_argument("--near", action="store_true", help="too near to come closer")
    parser.add_argument("--who", default=",".join(WHO))
    chosen = parser.parse_args()
    challenge.STEPS = chosen.steps
    for who in chosen.who.split(","):
        ends = Counter(visit(who, seed, room=not chosen.near) for seed in range(chosen.visits))
        passed = ends[End.PASSED]
        low, high = exact_95(passed, chosen.visits)
        others = {end.value if end else "none": n for end, n in ends.most_common()}
        print(
            f"{chosen.steps} steps, {who}: {passed}/{chosen.visits}"
            f" ({100 * low:.1f} to {100 * high:.1f} %) passed; {others}",
            flush=True,
        )


if __name__ == "__main__":
    main()
