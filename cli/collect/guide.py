"""Leads a person through the steps: what to say now, and whether to take this picture. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneglance.cli.collect.plan import STEPS, Step
from oneglance.cli.collect.pose import Pose, advice, typical
from oneglance.contract.messages import Hint
from oneglance.kiosk_ui.words import HINTS


@dataclass(frozen=True, slots=True)
class Pace:
    """`settle` scales the time to read a step; pictures are at least `apart_s` apart.

    After `patience_s` any pose is good enough.
    """

    settle: float = 1.0
    apart_s: float = 0.5
    patience_s: float = 8.0


LIVE = Pace()
# Pictures of a folder stand each for itself: nobody reads, moves or waits between them.
STILLS = Pace(settle=0.0, apart_s=0.0, patience_s=0.0)

_NO_FACE = "I cannot see your face. Turn back a little"
_READY = "Get ready"
GOOD = "Good, keep going"


class Guide:
    """`wanted` is how many pictures each step needs, by its key, and `done` how many it has.

    `straight` are the poses of the anchors taken so far. Times are the camera's.
    """

    def __init__(
        self,
        wanted: Mapping[str, int],
        done: Mapping[str, int],
        straight: Sequence[Pose] = (),
        pace: Pace = LIVE,
    ) -> None:
        self._wanted = wanted
        self._done = dict.fromkeys(wanted, 0) | {k: n for k, n in done.items() if k in wanted}
        self._straight = list(straight)
        self._pace = pace
        self._since_s: float | None = None
        self._fit_from_s: float | None = None
        self._latest_s = float("-inf")

    @property
    def step(self) -> Step | None:
        """The step to do now; None when all pictures are taken."""
        return next(
            (s for s in STEPS if self._done.get(s.key, 0) < self._wanted.get(s.key, 0)), None
        )

    @property
    def taken(self) -> int:
        """Pictures taken so far, including those of earlier runs."""
        return sum(min(self._done[key], count) for key, count in self._wanted.items())

    @property
    def total(self) -> int:
        """Pictures that are wanted."""
        return sum(self._wanted.values())

    def look(self, hint: Hint, pose: Pose | None, at_s: float) -> str | None:
        """What to say about a frame of this quality; None if it should be taken.

        `pose` is None unless exactly one face was found.
        """
        step = self.step
        if step is None:
            return GOOD
        if self._since_s is None:
            self._since_s = at_s
        if at_s - self._since_s < step.settle_s * self._pace.settle:
            return _READY
        if hint is not Hint.NONE or pose is None:
            looks_away = hint is Hint.LOOK_AT_CAMERA and step is not STEPS[0]
            return _NO_FACE if looks_away else HINTS.get(hint, _NO_FACE)
        if self._fit_from_s is None:
            self._fit_from_s = at_s
        more = self._missing(step, pose)
        if more and at_s - self._fit_from_s < self._pace.patience_s:
            return more
        return None if at_s - self._latest_s >= self._pace.apart_s else GOOD

    def as_asked(self, pose: Pose) -> bool:
        """Whether this pose is what the present step asks for, as far as that can be measured."""
        step = self.step
        return step is not None and not self._missing(step, pose)

    def note_taken(self, pose: Pose, at_s: float) -> None:
        """The picture was taken and kept."""
        step = self.step
        if step is None:
            raise ValueError("no picture is wanted any more")
        if step is STEPS[0]:
            self._straight.append(pose)
        self._done[step.key] += 1
        self._latest_s = at_s
        if self.step is not step:
            self._since_s = self._fit_from_s = None

    def _missing(self, step: Step, pose: Pose) -> str:
        return advice(step.aim, pose, typical(self._straight))
