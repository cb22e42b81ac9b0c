"""The one record of a face in front of a camera, from its appearing to its leaving."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.follow import Sighting
from oneglance.daemon.sight.tracker import Track
from oneglance.daemon.visit.attention import Attention
from oneglance.daemon.visit.challenge import Challenge
from oneglance.daemon.visit.evidence import Visit
from oneglance.faces.liveness.trace import Trace


@dataclass(slots=True, eq=False)
class Visitor:
    """Everything that is remembered about one face at one camera; its Watcher begins and ends it.

    `sighting` is where its points were when it was found last, `velocity` float64 (2,) how it
    moved then, in px a second; `missed` counts the frames since. `confirmed_at_s` is when a
    cascade last took it for a face, `asked_at_s` when one was last asked. `visit` is what its
    looks have shown, `attention` what was spent on it, `trace` what tells whether it lives,
    `challenge` the one that it must pass before it is accepted, if any. `template` float32 (d,) is
    that of its last look, as the encoder made it. `covering` asks for what covered it to be taken
    off when it was seen well last, or for nothing.
    """

    track: Track
    sighting: Sighting
    visit: Visit
    confirmed_at_s: float
    asked_at_s: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    missed: int = 0
    attention: Attention = field(default_factory=Attention)
    trace: Trace = field(default_factory=Trace)
    challenge: Challenge | None = None
    template: NDArray[np.float32] | None = None
    covering: Hint = Hint.NONE

    @property
    def track_id(self) -> int:
        """The number of its track."""
        return self.track.track_id

    @property
    def under_way(self) -> bool:
        """Whether looks at it count, or it is asked to move, and it has no decision yet."""
        return self.challenge is not None or (bool(self.visit.looks) and not self.visit.decided)

    def expected(self, at_s: float) -> NDArray[np.float64]:
        """Where its points, float64 (5, 2) in px, are at `at_s` if it moved on as it did."""
        return self.sighting.points + self.velocity * (at_s - self.track.last_at_s)

    def followed(self, sighting: Sighting, at_s: float) -> None:
        """It was found where it was expected, or near there."""
        passed_s = at_s - self.track.last_at_s
        if passed_s > 0:
            step = sighting.points.mean(0) - self.sighting.points.mean(0)
            self.velocity = step / passed_s
        self._found(sighting, at_s)

    def found_again(self, sighting: Sighting, at_s: float) -> None:
        """A search found it: a cascade took it for a face, but how it came there is not known."""
        self.velocity = np.zeros(2)
        self.confirmed_at_s = self.asked_at_s = at_s
        self._found(sighting, at_s)

    def _found(self, sighting: Sighting, at_s: float) -> None:
        self.track = Track(self.track.track_id, sighting.box, at_s)
        self.sighting = sighting
        self.missed = 0
