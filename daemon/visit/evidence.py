"""What one visit has shown so far: the looks that count, and when they stop counting. Pure."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# The first looks follow each other at once, so that a glance is enough; the others are spread
# over the rest of the patience, since frames that follow each other say nearly the same.
LOOKS_AT_ONCE_PER_FRAME_NEEDED = 2
# Movement shows whether a face is alive, and pictures much closer in time show the same.
LIVING_EVERY_S = 0.3
# The number of looks of a visit.
LOOKS_PER_FRAME_NEEDED = 4
# What its looks come to is compared three times and no more, as each time is a try: after as many
# looks as a decision needs, after twice as many, and at its end (docs/decision.md).
LAST_MOMENT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One usable face of one frame: its template float32 (d,), and who it resembles most.

    `scores` holds the best score of the most alike people, the two most alike at least; nobody
    else scores higher. Empty if nobody is enrolled.
    """

    at_s: float
    template: NDArray[np.float32] = field(repr=False)
    scores: Mapping[str, float]

    @property
    def best(self) -> tuple[str, float] | None:
        """The most alike person and their score."""
        return max(self.scores.items(), key=lambda item: item[1], default=None)


@dataclass(frozen=True, slots=True)
class Summary:
    """All looks that counted at one moment (0, 1 or LAST_MOMENT), fused and compared as one.

    `scores` as in a Look, of the look at `at_s` and those before it.
    """

    at_s: float
    moment: int
    scores: Mapping[str, float]


def new_visit_id() -> str:
    """A name for a visit that reveals nothing about who came."""
    return uuid.uuid4().hex[:12]


class Visit:
    """The evidence about one face, from when it appears until it leaves; at most one decision.

    Evidence belongs to one face: a look that does not resemble the one before begins it anew, so
    that somebody who slips into a track inherits nothing, except how many looks and moments are
    used up. After the decision, as many looks in a row of another face as a decision needs make a
    new visit. So does one usable look if the decision was made without having `unseen` enough, and
    one at the bare face if it was made `behind_cover`, but only with the looks and moments that
    were left over.

    `held_back` says that this face would have been accepted if it had been seen to be alive.
    `covered` says that the visitor is asked to take off what covers this face now: half of the
    looks, and the last moment, are saved for the bare face.
    """

    def __init__(
        self,
        frames_needed: int,
        lifetime_s: float,
        patience_s: float,
        make_id: Callable[[], str] = new_visit_id,
    ) -> None:
        self._needed = frames_needed
        self._lifetime_s = lifetime_s
        self._make_id = make_id
        self._at_once = LOOKS_AT_ONCE_PER_FRAME_NEEDED * frames_needed
        self._allowed = LOOKS_PER_FRAME_NEEDED * frames_needed
        self._patience_s = patience_s
        self._spacing_s = patience_s / (self._allowed - self._at_once)
        self.covered = False
        self._begin()

    def _begin(self) -> None:
        self.visit_id = self._make_id()
        self.decided = False
        self.held_back = False
        self._unseen = False
        self._watched = self._scarce = 0
        self._measured = False
        self._behind_cover = False
        self._away_since_s: float | None = None
        self.near_since_s: float | None = None
        self.usable_since_s: float | None = None
        self.reference: NDArray[np.float32] | None = None
        self._looks: deque[Look] = deque()
        self._summaries: list[Summary] = []
        self._others = 0
        self._had = 0
        self._moments_past = 0
        self._last_look_s = float("-inf")

    @property
    def looks(self) -> tuple[Look, ...]:
        """The looks that count now, oldest first."""
        return tuple(self._looks)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The fused results of these looks at the past moments of the visit."""
        return tuple(self._summaries)

    @property
    def wants_bare(self) -> bool:
        """Whether the visitor should take something off: not if recognised all the same."""
        return self.covered and (self._behind_cover or not self.decided)

    @property
    def spent(self) -> bool:
        """Whether the visit has had all its looks: none that comes now can be decisive."""
        return self._had >= self._allowed

    @property
    def too_few_pictures(self) -> bool:
        """Whether nothing could be seen of this face being alive, as too few pictures came.

        Such a visit could at no moment have been accepted: whoever brings that about on purpose
        tries for nothing.
        """
        return not self._measured and 2 * self._scarce > self._watched

    def watched(self, *, measured: bool, scarce: bool) -> None:
        """A look at which it was `measured`, or not, whether the face lives.

        `scarce` says that the camera's picture before it was too long ago for that.
        """
        self._watched += 1
        self._scarce += scarce
        self._measured = self._measured or measured

    def over(self, at_s: float) -> bool:
        """Whether all looks were taken or patience is over: what the visit has shown must do."""
        return self.spent or self._waited(at_s, self._patience_s)

    def half_over(self, at_s: float) -> bool:
        """Whether half of the patience is over, or all looks were taken."""
        return self.spent or self._waited(at_s, self._patience_s / 2)

    def finished(self, at_s: float) -> bool:
        """Whether nothing that is still to come could have the visit accepted.

        One that is over waits a little for a last look. This excludes one that is held back: it has
        shown who it is, but not that it is alive.
        """
        late_s = self._patience_s + (0.0 if self.held_back else self._spacing_s)
        return self.spent or self._moments_past > LAST_MOMENT or self._waited(at_s, late_s)

    def moment(self, at_s: float) -> int | None:
        """The moment that has come with the look at `at_s`, if one has: it wants a `Summary`."""
        looks = len(self._looks)
        if self.decided or looks < self._needed or self._looks[-1].at_s != at_s:
            return None
        if self.over(at_s):
            left = self._moments_past <= LAST_MOMENT and not self.covered
            return LAST_MOMENT if left else None
        past = self._moments_past
        return past if past < LAST_MOMENT and looks >= (past + 1) * self._needed else None

    def sum_up(self, summary: Summary) -> None:
        """Take the fused result of the looks at a `moment`, which is past from now on."""
        self._moments_past = summary.moment + 1
        self._summaries.append(summary)

    def _waited(self, at_s: float, for_s: float) -> bool:
        return passed(self.usable_since_s, at_s, for_s)

    @property
    def progress(self) -> float:
        """The share of the evidence needed that has been gathered, 0 to 1."""
        return 1.0 if self.decided else min(1.0, len(self._looks) / self._needed)

    def due(self, at_s: float) -> bool:
        """Whether an undecided visit wants a look at `at_s`: one that comes sooner is wasted."""
        if self.spent:
            return False
        # A recording's timeline may begin anew.
        waited_s = at_s - self._last_look_s
        if self.held_back:
            return not 0 <= waited_s < LIVING_EVERY_S
        if self.covered and self._had >= self._at_once:
            return False
        if self.over(at_s):
            return True
        return self._had < self._at_once or not 0 <= waited_s < self._spacing_s

    def near(self, at_s: float) -> None:
        """The face is near enough at `at_s` to be looked at, whether or not it is usable."""
        if self.near_since_s is None:
            self.near_since_s = at_s
        elif self._away_since_s is not None:
            # Patience is for people who want to be looked at, not for somebody far down the hall.
            away_s = max(0.0, at_s - self._away_since_s)
            self.near_since_s += away_s
            if self.usable_since_s is not None:
                self.usable_since_s += away_s
        self._away_since_s = None
        self.forget_before(at_s - self._lifetime_s)

    def away(self, at_s: float) -> None:
        """The face is in view at `at_s`, but not near enough, or too near: patience rests."""
        if self._away_since_s is None:
            self._away_since_s = at_s

    def decide(self, *, unseen: bool = False, behind_cover: bool = False) -> None:
        """The visit has its decision; `unseen` says that hardly any of its looks were usable.

        `behind_cover` says that nobody was recognised in a face that was `covered`.
        """
        self.decided = True
        self._unseen = unseen and not self.spent
        self._behind_cover = behind_cover and self.covered

    def add(self, look: Look, *, same_face: bool) -> None:
        """Take a look; `same_face` tells whether its template resembles `reference`.

        A visit that is `spent` takes no more until it is decided.
        """
        left = not self.spent and self._moments_past <= LAST_MOMENT
        bared = self._behind_cover and left and same_face and not self.covered
        if self.decided and (self._unseen or bared):
            # The light went on, the face holds still at last, or the mask is off.
            had, past = self._had, self._moments_past
            self._begin()
            self._had, self._moments_past = had, past
        elif self.decided:
            self._others = 0 if same_face else self._others + 1
            if same_face:
                self.reference = look.template
            if self._others < self._needed:
                return
            self._begin()
        elif self.spent:
            return
        elif not same_face:
            self.drop_evidence()
        if self.near_since_s is None:
            self.near_since_s = look.at_s
        if self.usable_since_s is None:
            self.usable_since_s = look.at_s
        self.reference = look.template
        self._had += 1
        self._last_look_s = look.at_s
        self._looks.append(look)
        self.forget_before(look.at_s - self._lifetime_s)

    def reopen(self) -> None:
        """Undo a decision that nobody heard: evidence is gathered again, from new looks."""
        if self.decided:
            self.decided = False
            self._others = 0
            self._had = 0
            self._moments_past = 0
            self.near_since_s = None
            self.drop_evidence()

    def renew(self) -> None:
        """Another visit of the same face: it claims to be somebody, or asked for another try.

        That it is the same face still has to be seen: `reference` stays, so that whoever took
        the place meanwhile does not pass for who stood there.
        """
        reference = self.reference
        self._begin()
        self.reference = reference

    def forget_before(self, at_s: float) -> None:
        """Looks older than `at_s` stop counting, and so do fused results from before it."""
        while self._looks and self._looks[0].at_s < at_s:
            self._looks.popleft()
        self._summaries = [one for one in self._summaries if one.at_s >= at_s]

    def drop_evidence(self) -> None:
        """Start gathering from scratch, for another face or gallery; used looks stay used."""
        self.held_back = False
        self._looks.clear()
        self._summaries.clear()
        self.usable_since_s = None


def passed(since_s: float | None, at_s: float, for_s: float) -> bool:
    """Whether `for_s` have passed since `since_s`; not if that never was."""
    return since_s is not None and at_s - since_s >= for_s
