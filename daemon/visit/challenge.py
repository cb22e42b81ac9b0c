"""One visitor asked to move: what to do, and whether it was done. Pure: time is passed in.

    rest -> step shown -> step done -> rest -> step shown -> step done -> rest -> passed

At each rest the visitor looks straight and holds still for a random while, and a look at its end
must show the face that was there before. A step counts only if the movement begins after the
screen has shown it, comes gradually, is the one that was asked, and is made by a head: the nose
must move against eyes and mouth as no flat picture's does. While the head is turned, a look must
show the same face once more. Anything else ends the attempt; there are two, with steps drawn anew.
Whoever is so near that there is no room to come closer is asked for turns alone, and for one more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    PRESENTATION_ATTACK,
    Liveness,
    Step,
)
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.movement import ALL_STEPS, TURNS, movement, shares, sizes
from oneglance.faces.find.pose import parallax, turn_and_nod, upright
from oneglance.faces.liveness import fusion

ATTEMPTS = 2
STEPS = 3
# Part of the way at which a movement has begun: nobody is stiller who stands as still as they can.
BEGUN = 0.5
# Two pictures that were swapped have nothing in between: a real head is seen in these parts of a
# movement, there or back.
ON_ITS_WAY = (0.2, 0.8)
# Nobody reacts to what they see sooner than this.
REACTION_S = 0.15
# A screen that has not answered by then shows nothing.
SHOWN_WITHIN_S = 2.0
STEP_S = 5.0
REST_S = 5.0
OVERALL_S = 40.0
# How long the visitor holds still before the next step is asked.
PAUSE_S = (0.4, 1.2)
# A face that was not seen for longer may be another one.
GAP_S = 0.35
# A face that holds still changes its size by no more than this, and at first looks this straight.
STILL = 1.08
STRAIGHT = 0.25
# Later it is straight where it was at first, give or take: a smile, a chin held a little higher, or
# some seconds of standing move a nose by about so much, in distances of the eyes.
STRAIGHT_AGAIN = 0.11
# So many frames make the face at rest.
REST_FRAMES = 4
# The last of them say where the face is when the next step is asked.
REST_KEPT = 8


class End(StrEnum):
    """How a challenge ended, or one attempt."""

    PASSED = "passed"
    NOT_SHOWN = "not_shown"
    IGNORED = "ignored"
    EARLY = "early"
    WRONG = "wrong"
    LOST = "lost"
    OTHER_FACE = "other_face"


_REASONS = {End.NOT_SHOWN: CHALLENGE_NOT_SHOWN, End.IGNORED: CHALLENGE_IGNORED}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the screen is to show. `challenge_id` is never used twice; `time_s` from its showing."""

    challenge_id: str
    visit_id: str
    step: Step
    number: int
    steps: int
    attempt: int
    time_s: float


def new_challenge_id() -> str:
    """A name that nobody can guess."""
    return uuid.uuid4().hex


class Challenge:
    """The challenge of the visit that `verdict` would accept; it begins with the first `see`.

    `see` gets each frame with the face, `shown` the screen's answer, `looked` the result of the
    look that `wants_look` asked for. `prompt` is what the screen is to show now, None before and
    after; `shown_s` is since when the screen shows the step that is asked. `order` has the steps of
    this attempt, `failures` how attempts went wrong; `end` is None until the challenge has ended.
    `found` is for whoever judges meanwhile whether the face is alive: their results, look by look.
    """

    def __init__(
        self,
        verdict: Verdict,
        random: Random,
        make_id: Callable[[], str] = new_challenge_id,
    ) -> None:
        self.verdict = verdict
        self.end: End | None = None
        self.prompt: Prompt | None = None
        self.found: list[fusion.Judgement] = []
        self._random = random
        self._make_id = make_id
        self._began_s: float | None = None
        self._seen_s = 0.0
        self._attempt = 0
        self.failures: list[End] = []
        self.order: list[Step] = []
        self._number = 1
        self._room = True
        # The first rest, upright, by which a visitor is straight again; and the last one, by which
        # movements are measured: nobody comes back to quite where they were.
        self._straight: NDArray[np.float64] | None = None
        self._rest = np.zeros((5, 2))
        self._rest_sizes = np.zeros(2)
        self._resting: list[NDArray[np.float64]] = []
        self._pause_s = 0.0
        self._still_since_s = 0.0
        # The step that is asked, none at rest; since when, and since when the screen shows it.
        self._asked: Step | None = None
        self._since_s = 0.0
        self.shown_s: float | None = None
        # How far it has been made, and whether it was seen on its way. A turn that is over and was
        # not must be seen on its way back.
        self._part = 0.0
        self._gradual = False
        self._jumped: Step | None = None
        # Whether a look is wanted: after a rest, at the end of a turn; and whether the last one
        # that was wanted showed another face.
        self._rested = self._reached = self._another = False
        # Whether, and since when, a face that was lost and searched for has not been recognised.
        self._unsure = False
        self._unsure_since_s = 0.0

    @property
    def answer(self) -> Verdict | None:
        """The verdict, now that the challenge has ended; None while it goes on."""
        if self.end is None:
            return None
        if self.end is End.PASSED:
            return replace(self.verdict, liveness=Liveness.PASSED)
        reason = _REASONS.get(self.end, PRESENTATION_ATTACK)
        return replace(self.verdict, person_id=None, reason=reason, liveness=Liveness.FAILED)

    @property
    def wants_look(self) -> bool:
        """Whether this frame is to be encoded: at the end of a rest, or of a turn."""
        if self.end is not None:
            return False
        return self._rested if self._asked is None else self._reached or self._unsure

    @property
    def turned(self) -> bool:
        """Whether the head that a look is wanted at may be turned, because it was asked to be."""
        return self._asked in TURNS and (self._reached or self._unsure)

    def shown(self, challenge_id: str, at_s: float) -> None:
        """The screen shows `challenge_id` since `at_s`; any other is not what it should show."""
        waits = self._asked is not None and self.shown_s is None
        if waits and self.prompt is not None and challenge_id == self.prompt.challenge_id:
            self.shown_s = at_s

    def looked(self, *, same: bool) -> None:
        """The result of the look that was wanted: whether it is the face that was there before."""
        if not self.wants_look:
            return
        self._another = not same
        if not same:
            return
        self._unsure = False
        if self._asked is None:
            self._rest_is_over(self._seen_s)
        elif self._reached:
            self._next_step(self._seen_s)

    def see(
        self, points: NDArray[np.float64], at_s: float, *, followed: bool, room: bool = True
    ) -> None:
        """The face in the frame at `at_s`: its points (5, 2) in px of the picture.

        `followed` says that it is known to be the face of the frame before, `room` that it would
        still be whole in the picture if it came closer.
        """
        if self.end is not None:
            return
        self._room = room
        if self._began_s is None:
            self._began_s = self._seen_s = at_s
            self._next_attempt(at_s)
        gone = not 0 <= at_s - self._seen_s <= GAP_S
        lost = gone or not followed
        self._seen_s = at_s
        if at_s - self._began_s > OVERALL_S:
            self._finish(End.IGNORED)
        elif self._asked is None:
            self._see_rest(points, at_s, lost=lost)
        elif gone or (self._unsure and at_s - self._unsure_since_s > GAP_S):
            self._fail(End.LOST, at_s)
        else:
            if not (followed or self._unsure):
                self._unsure, self._unsure_since_s = True, at_s
            self._see_step(self._asked, points, at_s)

    @property
    def has_rested(self) -> bool:
        """Whether the first rest is over, from which on movements can be measured."""
        return self._straight is not None

    def moved(self, points: NDArray[np.float64]) -> tuple[Step | None, float]:
        """Towards which step a face has moved since the last rest, and how far: 1 is all of it.

        `points` (5, 2) are in px. Only where it `has_rested`.
        """
        return movement(points, self._rest, self._rest_sizes)

    def _share(self, step: Step, points: NDArray[np.float64]) -> float:
        """How far a face has moved in this step, even if it has moved further in another."""
        return shares(points, self._rest, self._rest_sizes)[step]

    def _see_rest(self, points: NDArray[np.float64], at_s: float, *, lost: bool) -> None:
        if at_s - self._since_s > REST_S:
            self._fail(End.OTHER_FACE if self._another else End.IGNORED, at_s)
            return
        if self._jumped is not None:
            least, most = ON_ITS_WAY
            if least <= self._share(self._jumped, points) <= most:
                self._jumped = None
        if lost or not self._holds_still(points):
            self._resting = [points] if self._is_straight(points) else []
            self._still_since_s = at_s
            self._rested = False
            return
        self._resting.append(points)
        still_s = at_s - self._still_since_s
        self._rested = len(self._resting) >= REST_FRAMES and still_s >= self._pause_s

    def _rest_is_over(self, at_s: float) -> None:
        """The visitor held still and was recognised at this moment."""
        if self._jumped is not None:
            self._fail(End.WRONG, at_s)
            return
        uprights = [u for u in map(upright, self._resting) if u is not None]
        self._rest = np.median(uprights[-REST_KEPT:], axis=0)
        if self._straight is None:
            self._straight = self._rest
        self._rest_sizes = np.median([sizes(p) for p in self._resting[-REST_KEPT:]], axis=0)
        if self._number > len(self.order):
            self._finish(End.PASSED)
            return
        if self.order[self._number - 1] is Step.COME_CLOSER and not self._room:
            # They have come closer by themselves since the order was drawn.
            self.order = self._turns_after(self.order[: self._number - 1])
        self._ask(self.order[self._number - 1], at_s)

    def _is_straight(self, points: NDArray[np.float64]) -> bool:
        """Whether a rest can begin: straight by itself at first, later as at the first rest."""
        if upright(points) is None:
            return False
        if self._straight is None:
            return abs(turn_and_nod(points)[0]) <= STRAIGHT
        return bool((np.abs(parallax(points, self._straight)) < STRAIGHT_AGAIN).all())

    def _holds_still(self, points: NDArray[np.float64]) -> bool:
        if not self._resting or not self._is_straight(points):
            return False
        first = self._resting[0]
        grown = sizes(points) / sizes(first)
        still = bool((grown <= STILL).all() and (grown >= 1 / STILL).all())
        return still and movement(points, first, sizes(points))[1] < BEGUN

    def _see_step(self, step: Step, points: NDArray[np.float64], at_s: float) -> None:
        if self.shown_s is None and at_s - self._since_s > SHOWN_WITHIN_S:
            self._finish(End.NOT_SHOWN)
            return
        made, part = self.moved(points)
        self._part = part if made is step else 0.0
        early = self.shown_s is None or at_s < self.shown_s + REACTION_S
        # To look down is no step, and gains nothing: it may be what is left of having looked up.
        if part >= BEGUN and made is not None and early:
            self._fail(End.EARLY, at_s)
        elif part >= 1 and made is not None and made is not step:
            self._fail(End.WRONG, at_s)
        elif self.shown_s is not None and at_s > self.shown_s + STEP_S:
            self._fail(End.OTHER_FACE if self._another else End.IGNORED, at_s)
        else:
            least, most = ON_ITS_WAY
            share = self._share(step, points)
            self._gradual = share >= least and (self._gradual or share <= most)
            # Nobody goes back who came closer.
            self._reached = self._part >= 1 and (self._gradual or step in TURNS)
            if self._reached and step not in TURNS and not self._unsure:
                # Somebody who came closer looks straight all the while: the next rest recognises
                # them.
                self._next_step(at_s)

    def _next_attempt(self, at_s: float) -> None:
        self._attempt += 1
        before = self.order
        while self.order == before:
            self.order = self._drawn()
        self._number = 1
        self._begin_rest(at_s)
        self._show(Step.LOOK_STRAIGHT, REST_S)

    def _drawn(self) -> list[Step]:
        """One of 24 orders, either way: without room no step is asked twice in a row."""
        return self._random.sample(ALL_STEPS, STEPS) if self._room else self._turns_after([])

    def _turns_after(self, done: list[Step]) -> list[Step]:
        """An order of turns alone, one more of them, that begins with what is `done`."""
        order = list(done)
        while len(order) <= STEPS:
            order.append(self._random.choice([step for step in TURNS if step not in order[-1:]]))
        return order

    def _next_step(self, at_s: float) -> None:
        self._number += 1
        jumped = None if self._gradual else self._asked
        self._begin_rest(at_s)
        self._jumped = jumped
        self._show(Step.LOOK_STRAIGHT, REST_S)

    def _begin_rest(self, at_s: float) -> None:
        self._asked = self._jumped = None
        self._since_s = self._still_since_s = at_s
        self._pause_s = self._random.uniform(*PAUSE_S)
        self._resting = []
        self._rested = self._reached = self._another = self._unsure = False

    def _ask(self, step: Step, at_s: float) -> None:
        self._asked = step
        self._since_s = at_s
        self.shown_s = None
        self._part = 0.0
        self._gradual = False
        self._rested = self._reached = self._another = False
        self._show(step, STEP_S)

    def _show(self, step: Step, time_s: float) -> None:
        self.prompt = Prompt(
            self._make_id(),
            self.verdict.visit_id,
            step,
            min(self._number, len(self.order)),
            len(self.order),
            self._attempt,
            time_s,
        )

    def _fail(self, end: End, at_s: float) -> None:
        self.failures.append(end)
        if self._attempt == ATTEMPTS:
            self._finish(end)
        else:
            self._next_attempt(at_s)

    def _finish(self, end: End) -> None:
        # Somebody who did something else in the first attempt and nothing in the second did not
        # ignore it.
        tried = [failure for failure in self.failures if failure is not End.IGNORED]
        self.end = tried[0] if end is End.IGNORED and tried else end
        self.prompt = None
