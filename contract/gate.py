"""The rule by which a consumer may act on a decision. Pure: time and memory are passed in.

Signature, own site and door, freshness, and a strictly increasing sequence: all must hold. A wall
clock that jumps makes freshness meaningless, so for a while after a jump nothing passes, and what
has expired once stays expired, wherever the clock is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.contract.keyring import Keyring, Standing, check_any
from oneglance.contract.messages import Challenge, Decision, Liveness, Outcome
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

MAX_LIFETIME = timedelta(seconds=10)
MAX_CLOCK_SKEW = timedelta(seconds=2)
MAX_CLOCK_STEP_S = 1.0
# NTP slews a clock by at most this fraction (adjtimex(2), 500 ppm). On Linux the monotonic clock is
# slewed with it, so that there even this is never seen.
MAX_CLOCK_DRIFT = 500e-6

S = TypeVar("S", Decision, Challenge)


class UntimelyError(MessageError):
    """Signed for this door and never seen before, but not current: one of two clocks is wrong."""


class UnseenAliveError(MessageError):
    """Accepted, and all else holds, but nobody looked whether it was a living person."""


_SAID = {
    Standing.NOT_YET: "does not count yet",
    Standing.EXPIRED: "has expired",
    Standing.REVOKED: "was revoked",
}


@dataclass(slots=True)
class ClockGuard:
    """Notices that the wall clock was set, and keeps a time that never runs backwards.

    `observe` is called at least once a second by its owner. It compares the distance between wall
    and monotonic clock with a reference that follows no faster than NTP slews, so that small steps
    add up. If it is off by more than MAX_CLOCK_STEP_S, the clock is not trusted for as long as
    the longest-lived decision could have been waiting; then the new distance is the reference.

    `now` is the wall clock, but never earlier than a reading that was trusted, nor than what the
    old clock would have shown by the end of such a pause: whatever was issued by the old clock has
    expired then. After a step back by S seconds it stands still until the wall clock has caught
    up, at most S + 12 seconds later.
    """

    _reference_s: float | None = None
    _observed_at_s: float = 0.0
    _trusted_from_s: float = 0.0
    _trusted_wall: datetime | None = None
    _trusted_at_s: float = 0.0
    _earliest: datetime | None = None

    def observe(self, wall: datetime, monotonic_s: float) -> bool:
        """Whether the wall clock can be trusted at this moment."""
        offset_s = wall.timestamp() - monotonic_s
        if self._reference_s is None:
            self._reference_s = offset_s
            self._observed_at_s = monotonic_s
        off_by_s = offset_s - self._reference_s
        if abs(off_by_s) > MAX_CLOCK_STEP_S:
            self._reference_s = offset_s
            self._trusted_from_s = monotonic_s + MAX_LIFETIME.total_seconds()
        else:
            most_s = MAX_CLOCK_DRIFT * (monotonic_s - self._observed_at_s)
            self._reference_s += min(max(off_by_s, -most_s), most_s)
        paused = self._observed_at_s < self._trusted_from_s
        self._observed_at_s = monotonic_s
        if monotonic_s < self._trusted_from_s:
            return False
        self._trust(wall, monotonic_s, after_pause=paused)
        return True

    def not_before(self, moment: datetime) -> None:
        """Let `now` never be earlier than `moment`: a time known from before a restart."""
        self._earliest = moment if self._earliest is None else max(moment, self._earliest)

    def now(self, wall: datetime) -> datetime:
        """The time by which to judge what has expired; `wall` has just been observed."""
        return wall if self._earliest is None else max(wall, self._earliest)

    def _trust(self, wall: datetime, monotonic_s: float, *, after_pause: bool) -> None:
        earliest = self.now(wall)
        if after_pause and self._trusted_wall is not None:
            elapsed = timedelta(seconds=monotonic_s - self._trusted_at_s)
            # The daemon's clock may have been ahead of ours by the permitted skew.
            earliest = max(earliest, self._trusted_wall + elapsed + MAX_CLOCK_SKEW)
        self._earliest = earliest
        self._trusted_wall = wall
        self._trusted_at_s = monotonic_s


@dataclass(slots=True)
class Gate:
    """Lets through what a consumer of one door may act on, each decision once.

    `key` is the daemon's, or a keyring: then several daemon's keys may sign, each while it counts,
    judged by the time of `clock`. There is one sequence over all of them. `last_sequence` is the
    highest sequence seen; whoever acts on decisions keeps it on disk *before* acting (see
    oneglance.door), so that a restart cannot open the door twice. With `require_liveness` only
    people who were seen to be alive are accepted. `last_challenge` is the same for challenges,
    which only a screen asks for.
    """

    topics: Topics
    key: Ed25519PublicKey | Keyring
    wall: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    require_liveness: bool = False
    last_sequence: int = 0
    last_challenge: int = 0
    clock: ClockGuard = field(default_factory=ClockGuard)

    def tick(self) -> bool:
        """Look at the clocks; call at least once a second. Returns whether they are trusted."""
        return self.clock.observe(self.wall(), self.monotonic_s())

    def admit(self, payload: bytes, *, retained: bool) -> Decision:
        """The decision, if it may be acted on now; MessageError says why not otherwise."""
        where = self.topics.decision
        if retained:
            raise MessageError("a retained decision is never acted on", where=where)
        decision = self._check(payload, Decision, self.last_sequence, where)
        # What is refused below has used up its number: asking again, or requiring less, does not
        # let it in.
        self.last_sequence = decision.sequence
        accepted = decision.outcome is Outcome.ACCEPTED
        if accepted and self.require_liveness and decision.liveness is not Liveness.PASSED:
            raise UnseenAliveError(
                "accepted without looking for a presentation attack, which is required here",
                where=where,
                fix="set liveness.policy at the daemon, or require_liveness = false here",
            )
        return decision

    def admit_challenge(self, payload: bytes, *, retained: bool) -> Challenge:
        """The challenge, if a screen may show it now; MessageError says why not otherwise."""
        where = self.topics.challenge
        if retained:
            raise MessageError("a retained challenge is never shown", where=where)
        challenge = self._check(payload, Challenge, self.last_challenge, where)
        self.last_challenge = challenge.sequence
        return challenge

    def _check(self, payload: bytes, kind: type[S], last: int, where: str) -> S:
        """The message, if a daemon's key signed it for this door and this moment, after `last`."""
        ring = self.key if isinstance(self.key, Keyring) else Keyring.of(self.key)
        message, signer = check_any(payload, kind, ring, where)
        wall = self.wall().astimezone(UTC)
        here = (message.site, message.door) == (self.topics.site, self.topics.door)
        untimely = UntimelyError if here and message.sequence > last else MessageError
        if not self.clock.observe(wall, self.monotonic_s()):
            raise untimely("the clock was just set, nothing is fresh for a while", where=where)
        standing = signer.standing(self.clock.now(wall))
        if standing is not Standing.VALID:
            raise MessageError(
                f"signed with the key {signer.id!r}, which {_SAID[standing]}",
                where=where,
                fix="if it is the daemon's own, make it a new one with 'oneglance keys rotate'",
            )
        if not here:
            raise MessageError(
                f"meant for {message.site}/{message.door}, not for this door", where=where
            )
        if message.expires_at - message.issued_at > MAX_LIFETIME:
            raise MessageError(f"lives longer than a {message.kind} may", where=where)
        if self.clock.now(wall) >= message.expires_at:
            raise untimely("expired", where=where, fix="if this repeats, compare the clocks")
        if message.issued_at > wall + MAX_CLOCK_SKEW:
            raise untimely(
                "issued in the future", where=where, fix="set the clocks of both machines by NTP"
            )
        if message.sequence <= last:
            raise MessageError(
                f"sequence {message.sequence} is not above {last}: a replay", where=where
            )
        return message

    def is_fresh(self, decision: Decision) -> bool:
        """Whether an admitted decision may still be acted on at this moment."""
        wall = self.wall().astimezone(UTC)
        trusted = self.clock.observe(wall, self.monotonic_s())
        return trusted and self.clock.now(wall) < decision.expires_at
