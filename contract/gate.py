"""The rule by which a consumer may act on a decision. Pure: time and memory are passed in.

Signature, own site and door, freshness, and a strictly increasing sequence: all must hold. A wall
clock that jumps makes freshness meaningless, so for a while after a jump nothing passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.contract.messages import Decision
from oneglance.contract.signing import check
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

MAX_LIFETIME = timedelta(seconds=10)
MAX_CLOCK_SKEW = timedelta(seconds=2)
MAX_CLOCK_STEP_S = 1.0


@dataclass(slots=True)
class ClockGuard:
    """Notices that the wall clock was set, by its distance from the monotonic clock.

    `observe` is called at least once a second by its owner; after a step of more than
    MAX_CLOCK_STEP_S it says "not trusted" for as long as the longest-lived decision could
    have been waiting.
    """

    _offset_s: float | None = None
    _trusted_from_s: float = 0.0

    def observe(self, wall: datetime, monotonic_s: float) -> bool:
        """Whether the wall clock can be trusted at this moment."""
        offset_s = wall.timestamp() - monotonic_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > MAX_CLOCK_STEP_S:
            self._trusted_from_s = monotonic_s + MAX_LIFETIME.total_seconds()
        self._offset_s = offset_s
        return monotonic_s >= self._trusted_from_s


@dataclass(slots=True)
class Gate:
    """Lets through what a consumer of one door may act on, each decision once.

    `last_sequence` is the highest sequence seen; whoever acts on decisions keeps it on disk
    *before* acting (see oneglance.door), so that a restart cannot open the door twice.
    """

    topics: Topics
    key: Ed25519PublicKey
    wall: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    last_sequence: int = 0
    clock: ClockGuard = field(default_factory=ClockGuard)

    def tick(self) -> bool:
        """Look at the clocks; call at least once a second. Returns whether they are trusted."""
        return self.clock.observe(self.wall(), self.monotonic_s())

    def admit(self, payload: bytes, *, retained: bool) -> Decision:
        """The decision, if it may be acted on now; MessageError says why not otherwise."""
        where = self.topics.decision
        if retained:
            raise MessageError("a retained decision is never acted on", where=where)
        decision = check(payload, self.key, where)
        now = self.wall().astimezone(UTC)
        if not self.tick():
            raise MessageError("the clock was just set, nothing is fresh for a while", where=where)
        if (decision.site, decision.door) != (self.topics.site, self.topics.door):
            raise MessageError(
                f"meant for {decision.site}/{decision.door}, not for this door", where=where
            )
        if decision.expires_at - decision.issued_at > MAX_LIFETIME:
            raise MessageError("lives longer than a decision may", where=where)
        if now >= decision.expires_at:
            raise MessageError("expired", where=where, fix="if this repeats, compare the clocks")
        if decision.issued_at > now + MAX_CLOCK_SKEW:
            raise MessageError(
                "issued in the future", where=where, fix="set the clocks of both machines by NTP"
            )
        if decision.sequence <= self.last_sequence:
            raise MessageError(
                f"sequence {decision.sequence} is not above {self.last_sequence}: a replay",
                where=where,
            )
        self.last_sequence = decision.sequence
        return decision
