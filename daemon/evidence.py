"""What one visit has shown so far: the looks that count, and when they stop counting. Pure."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Twice as many looks as a decision needs are kept: one bad frame must not cost a visit, but what
# a face looked like long before must not outvote what it looks like now.
LOOKS_KEPT_PER_FRAME_NEEDED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One usable face of one frame: its template float32 (d,), and the best score of each person.

    `scores` is empty if nobody is enrolled.
    """

    at_s: float
    template: NDArray[np.float32] = field(repr=False)
    scores: Mapping[str, float]


def new_visit_id() -> str:
    """A name for a visit that says nothing about who came."""
    return uuid.uuid4().hex[:12]


class Visit:
    """The evidence about one face, from its appearing to its leaving; at most one decision.

    Evidence belongs to one face: a look that does not resemble the one before begins it anew,
    so that somebody who slips into a track inherits nothing. After the decision, as many
    looks in a row of another face as a decision needs make a new visit.
    """

    def __init__(
        self,
        frames_needed: int,
        lifetime_s: float,
        make_id: Callable[[], str] = new_visit_id,
    ) -> None:
        self._needed = frames_needed
        self._lifetime_s = lifetime_s
        self._make_id = make_id
        self._others = 0
        self._begin()

    def _begin(self) -> None:
        self.visit_id = self._make_id()
        self.decided = False
        self.near_since_s: float | None = None
        self.usable_since_s: float | None = None
        self.reference: NDArray[np.float32] | None = None
        self._looks: deque[Look] = deque(maxlen=LOOKS_KEPT_PER_FRAME_NEEDED * self._needed)
        self._others = 0

    @property
    def looks(self) -> tuple[Look, ...]:
        """The looks that count now, oldest first."""
        return tuple(self._looks)

    @property
    def progress(self) -> float:
        """Evidence gathered of evidence needed, 0 to 1."""
        return 1.0 if self.decided else min(1.0, len(self._looks) / self._needed)

    def near(self, at_s: float) -> None:
        """The face is near enough at `at_s` to be looked at, whether or not it is usable."""
        if self.near_since_s is None:
            self.near_since_s = at_s
        self.forget_before(at_s - self._lifetime_s)

    def add(self, look: Look, *, same_face: bool) -> None:
        """Take a look; `same_face` tells whether its template resembles `reference`."""
        if self.decided:
            self._others = 0 if same_face else self._others + 1
            if same_face:
                self.reference = look.template
            if self._others < self._needed:
                return
            self._begin()
        elif not same_face:
            self.drop_evidence()
        if self.near_since_s is None:
            self.near_since_s = look.at_s
        if self.usable_since_s is None:
            self.usable_since_s = look.at_s
        self.reference = look.template
        self._looks.append(look)
        self.forget_before(look.at_s - self._lifetime_s)

    def reopen(self) -> None:
        """Undo a decision that nobody heard of: evidence is gathered again."""
        if self.decided:
            self.decided = False
            self._others = 0
            self.near_since_s = None
            self.drop_evidence()

    def forget_before(self, at_s: float) -> None:
        """Looks older than `at_s` stop counting."""
        while self._looks and self._looks[0].at_s < at_s:
            self._looks.popleft()

    def drop_evidence(self) -> None:
        """Begin to gather anew: another face, or another gallery."""
        self._looks.clear()
        self.usable_since_s = None
