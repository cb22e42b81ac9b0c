"""The door's entrance: who is claimed just now, and who has to wait.

The gallery's thread brings commands in; the vision thread asks what counts and reports the result.
One lock between them is never held over a disk or a scrypt.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol

from oneglance.access_config import AccessConfig
from oneglance.audit.entry import Entry
from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    PRESENTATION_ATTACK,
    AccessState,
    Factor,
    Wait,
)
from oneglance.daemon.access.attempts_file import (
    Kept,
    KeptAttempts,
    damaged,
    read_attempts,
    write_attempts,
)
from oneglance.daemon.visit.attempts import ATTACK, Attempts
from oneglance.daemon.visit.claims import Claim
from oneglance.daemon.visit.decide import AMBIGUOUS, NOT_RECOGNISED, Verdict
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, only, text_of
from oneglance.errors import AuditError
from oneglance.faces.gallery.credentials import Claimed
from oneglance.faces.gallery.person import Snapshot

log = logging.getLogger(__name__)

# Reasons of rejection that mean an attempt to be let in as somebody else, or as nobody.
_FAILURES = {NOT_RECOGNISED, AMBIGUOUS, PRESENTATION_ATTACK, CHALLENGE_IGNORED}
# Without a screen whoever is in doubt is refused, and could come again until they are not. That the
# house has none is held against no badge or PIN.
_FACES_FAILURES = {*_FAILURES, CHALLENGE_NOT_SHOWN}
# What faces without a claim wait for.
_FACE = (Factor.FACE.value, ATTACK)
# How long a refused claim is shown on the screen.
REFUSAL_SHOWN_S = 5.0
SAY_EVERY_S = 1.0
# A PIN costs up to 51 scrypts in the gallery's thread, which a flood must not keep for itself.
CLAIM_EVERY_S = 1.0
# A claim outlives the last frame of a challenge by the first, its own time by the second at most.
HOLD_S = 2.0
CHALLENGE_S = 45.0
# After somebody was let in, others go in with them, and one may be seen by two cameras.
GOES_IN_S = 10.0
WRITE_AGAIN_S = 1.0
TELL_AGAIN_S = 10.0
_REMEMBERED = 64


class CredentialReader(Protocol):
    """Resolves a claim; raises OneglanceError if it cannot be read or is malformed."""

    def badge(self, number: str) -> Claimed:
        """Whom a badge claims."""

    def pin(self, pin: str) -> Claimed:
        """Whom a PIN claims."""


class AttemptsLog(Protocol):
    """Where lock-outs, and that they were forgotten, are written down: the daemon's `Scribe`.

    It knows how often failures were kept, too, so that an older copy of their file is noticed.
    """

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> object:
        """Write one entry. Raises AuditError."""

    def last(self, kind: str) -> Entry | None:
        """The newest entry of a kind. Raises AuditError."""


class News(Enum):
    """What happens to the visits under way."""

    # A claim is over: what was compared with one person alone says nothing about the others.
    REGATHER = auto()
    # Another try was asked for: visitors who were rejected get it, and those being looked at lose
    # nothing.
    RETRY = auto()
    # Somebody is claimed.
    RENEW = auto()
    # Visitors who were not judged meanwhile get their full time. Not those who were rejected: a
    # stranger who stays would fail again at once, and make everybody beside them wait for ever.
    WAIT_OVER = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts in this turn: `gallery` is whom to compare with, None to judge nobody.

    `claim` says why `gallery` is one person's, or nobody's. `news` is what that means for
    the visits under way. `under_way` is the gallery while faces wait: a wait is for who comes
    next, so whoever was being looked at when somebody else failed is looked at to the end.
    """

    gallery: Snapshot | None
    claim: Claim | None
    news: frozenset[News]
    under_way: Snapshot | None = None


class Entrance:
    """Claims and attempts of one door. `monotonic_s` is the clock of all that is counted here.

    In a gallery of more than `most_searched` templates no face is searched for: without a claim
    nobody is judged.
    If the file of failed attempts is older than the log knows, or gone, everybody waits for as
    long as any failure could have counted. Raises ConfigError if it is damaged.
    """

    def __init__(
        self,
        config: AccessConfig,
        attempts_file: Path,
        credentials: CredentialReader,
        audit_log: AttemptsLog,
        monotonic_s: Callable[[], float],
        most_searched: float = math.inf,
    ) -> None:
        self._most_searched = most_searched
        self._claim_s = config.claim_s
        self._on_request = config.on_request
        self._requested_until_s = -math.inf
        self._paused_until_s = -math.inf
        self._file = attempts_file
        self._credentials = credentials
        self._audit_log = audit_log
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._attempts = Attempts(config.attempts)
        attempts = config.attempts
        self._longest_s = max(
            60 * attempts.lock_out_minutes,
            60 * attempts.forget_minutes,
            attempts.longest_wait_s,
            attempts.longest_attack_wait_s,
        )
        self._generation, kept = read_attempts(attempts_file)
        try:
            self._attempts.load(kept, monotonic_s())
        except ValueError:
            raise damaged(attempts_file) from None
        self._kept: Kept = kept
        # None until the log has been asked.
        self._held_until_s: float | None = None
        self._write_anyway = False
        self._unlogged = False
        self._unwritten = False
        self._write_at_s = -math.inf
        self._locked_out: deque[tuple[Claim, float]] = deque()
        self._tell_at_s = -math.inf
        self._complaint = ""
        self._claim: Claim | None = None
        self._claimed_at_s = self._until_s = -math.inf
        self._next_claim_s: dict[Factor, float] = {}
        self._tried = False
        self._waited = False
        self._let_in_s = -math.inf
        self._news: set[News] = set()
        self._refused_until_s = -math.inf
        self._refused_ready_s = -math.inf
        self._counted: deque[str] = deque(maxlen=_REMEMBERED)
        self._said: AccessState | None = None
        self._said_at_s = -math.inf
        self._recall(monotonic_s())

    @property
    def problem(self) -> str:
        """Why nobody is let in, '' otherwise.

        `attempts_error` while failures cannot be kept, `attempts_restored` while everybody waits
        since an older copy of them was put back.
        """
        held_until_s = self._held_until_s
        if self._unwritten or self._unlogged or held_until_s is None:
            return "attempts_error"
        return "attempts_restored" if self._monotonic_s() < held_until_s else ""

    # --- commands, in the gallery's thread ---------------------------------------------------

    def claim(self, args: Args, sender: Sender) -> str:
        """The command `claim`: a `badge` or a `pin` claims a person.

        Whether there is such a person is never told. Raises CommandRefusedError with the code
        `wait` after failures, OneglanceError for anything that is not a badge or PIN at all.
        """
        only(args, "badge", "pin")
        if len(args) != 1:
            raise CommandRefusedError(Code.BAD_ARGUMENTS, "give either 'badge' or 'pin'")
        factor = Factor.BADGE if "badge" in args else Factor.PIN
        if factor is Factor.BADGE and sender.role is not Role.READER:
            raise CommandRefusedError(Code.NOT_ALLOWED, "only a reader reads badges")
        value = text_of(args, factor.value, longest=64)
        with self._lock:
            self._must_not_wait(factor.value)
            if self._monotonic_s() < self._next_claim_s.get(factor, -math.inf):
                raise CommandRefusedError(Code.WAIT, "one claim at a time: wait 1 s")
        claimed = (
            self._credentials.badge(value) if "badge" in args else self._credentials.pin(value)
        )
        now_s = self._monotonic_s()
        self._next_claim_s[factor] = now_s + CLAIM_EVERY_S
        claim = Claim(claimed, factor)
        with self._lock:
            self._must_not_wait(factor.value)
            self._must_not_wait(claim.key)
            self._end_claim(now_s)
            self._claim, self._claimed_at_s = claim, now_s
            self._until_s = now_s + self._claim_s
            self._news.add(News.RENEW)
        return "look at the camera"

    def try_again(self, args: Args, _sender: Sender) -> str:
        """The command `verify-now`: whoever stands there is looked at as if they had just come.

        Where faces are looked at on request only, that is good for one verdict and as long as a
        claim.
        """
        only(args)
        with self._lock:
            self._must_not_wait(Factor.FACE.value)
            self._news.add(News.RETRY)
            if self._on_request:
                self._requested_until_s = self._monotonic_s() + self._claim_s
                # Visitors who were not looked at so far get their full time.
                self._news.add(News.WAIT_OVER)
        return "look at the camera"

    def reset(self, args: Args, sender: Sender) -> str:
        """The command `reset-lockout`: all failed attempts are forgotten, once that is logged."""
        only(args)
        self._audit_log.append("lockout", {"reset": True, "key": sender.key_id})
        with self._lock:
            if self._held_until_s is None:
                # The log works again, and which generation comes next is not known yet.
                self._recall(self._monotonic_s())
            self._attempts.reset()
            self._held_until_s, self._write_anyway = -math.inf, True
            self._tell_at_s = -math.inf
            self._refused_until_s = -math.inf
        log.warning("failed attempts were forgotten, as %s asked", sender.key_id)
        return "nobody has to wait any more"

    def pause(self, seconds: float) -> None:
        """Compare nobody for this long from now, whoever is claimed; 0 ends it.

        A person who is being enrolled stands in front of the camera and is not known yet: that is
        not a failure.
        """
        with self._lock:
            self._paused_until_s = self._monotonic_s() + seconds
            if seconds <= 0:
                self._news.add(News.RENEW)

    def _must_not_wait(self, key: str) -> None:
        now_s = self._monotonic_s()
        wait_s = self._wait_s(key, now_s)
        if wait_s > 0:
            self._refused_until_s = now_s + REFUSAL_SHOWN_S
            self._refused_ready_s = now_s + wait_s
            raise CommandRefusedError(Code.WAIT, f"too many failures: wait {math.ceil(wait_s)} s")

    # --- the vision thread -------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a badge or PIN waits for its face, or somebody is being enrolled."""
        with self._lock:
            return self._claim is not None or self._monotonic_s() < self._paused_until_s

    def turn(self, gallery: Snapshot | None) -> Standing:
        """What counts now; call it once a turn, before looking at frames."""
        now_s = self._monotonic_s()
        with self._lock:
            if self._claim is not None and now_s >= self._until_s:
                self._end_claim(now_s)
            claim = self._claim
            waits = claim is None and self._wait_s(Factor.FACE.value, now_s) > 0
            if self._waited and not waits and claim is None:
                self._news.add(News.WAIT_OVER)
            news, self._news = self._news, set()
            self._waited = waits
            unasked = self._on_request and claim is None and now_s >= self._requested_until_s
            paused = now_s < self._paused_until_s
        self._keep(now_s)
        if claim is None and gallery is not None and len(gallery.templates) > self._most_searched:
            gallery = None
        under_way = gallery if (waits or unasked) and not (paused or self.problem) else None
        if paused or waits or unasked or self._unwritten or self._unlogged:
            gallery = None
        elif claim is not None and gallery is not None:
            gallery = _claimed_alone(gallery, claim.claimed)
        return Standing(gallery, claim, frozenset(news), under_way)

    def tried(self, claim: Claim | None) -> None:
        """A face was looked at under the claim that `turn` told: if it still runs, it is tried."""
        with self._lock:
            self._tried = self._tried or (claim is not None and claim is self._claim)

    def hold(self) -> None:
        """The claimed person is being asked to move: the claim waits until that is over."""
        now_s = self._monotonic_s()
        with self._lock:
            longest_s = self._claimed_at_s + self._claim_s + CHALLENGE_S
            self._until_s = max(self._until_s, min(now_s + HOLD_S, longest_s))

    def concluded(self, verdict: Verdict, claim: Claim | None) -> None:
        """A visit has come to this, under the claim that `turn` told; it is kept on disk.

        Call it before the verdict leaves. A verdict that is reported twice counts once.
        """
        now_s = self._monotonic_s()
        with self._lock:
            ends = claim is not None and claim is self._claim
            if ends:
                self._claim, self._tried = None, False
                self._news.add(News.REGATHER)
            elif claim is None:
                self._requested_until_s = -math.inf
            if verdict.visit_id in self._counted:
                return
            self._counted.append(verdict.visit_id)
            if verdict.accepted:
                self._let_in_s = now_s
                for key in _FACE if claim is None else (claim.key,):
                    self._attempts.succeeded(key)
            elif claim is None:
                self._fail_face(verdict.reason, now_s)
            elif verdict.reason in _FAILURES:
                self._fail(claim, now_s)
        self._keep(now_s)

    def broke_off(self, reason: str) -> bool:
        """A visitor did not wait for this rejection: it costs the same, or such tries were free.

        False if it was no try: what becomes of a claim is told when that ends, and who is being
        enrolled tries nothing, nor does who goes in with somebody else.
        """
        now_s = self._monotonic_s()
        with self._lock:
            goes_in = now_s - self._let_in_s < GOES_IN_S
            if self._claim is not None or now_s < self._paused_until_s or goes_in:
                return False
            self._fail_face(reason, now_s)
        self._keep(now_s)
        return True

    def say(self, issued_at: datetime) -> AccessState | None:
        """What to tell the screen now; None if it knows already."""
        now_s = self._monotonic_s()
        state = self.state(issued_at)
        silent = not state.waits and state.claim is None
        if self._said is None and silent:
            return None
        same = self._said is not None and _shape(self._said) == _shape(state)
        if same and now_s - self._said_at_s < SAY_EVERY_S:
            return None
        self._said, self._said_at_s = (None if silent else state), now_s
        return state

    def state(self, issued_at: datetime) -> AccessState:
        """Who is claimed and who has to wait now, whether the screen knows it or not."""
        now_s = self._monotonic_s()
        with self._lock:
            waits = [
                Wait(of=factor, seconds=round(seconds, 1))
                for factor in (Factor.FACE, Factor.BADGE, Factor.PIN)
                if (seconds := self._wait_s(factor.value, now_s)) > 0
            ]
            if now_s < min(self._refused_until_s, self._refused_ready_s):
                waits.append(Wait(of="claim", seconds=round(self._refused_ready_s - now_s, 1)))
            claim, until_s = self._claim, self._until_s
        return AccessState(
            issued_at=issued_at,
            claim=None if claim is None else claim.factor,
            claim_s=0.0 if claim is None else max(0.0, round(until_s - now_s, 1)),
            waits=tuple(waits),
        )

    def _end_claim(self, now_s: float) -> None:
        """A claim ends without a verdict: it failed if a face was tried with it."""
        claim, tried = self._claim, self._tried
        self._claim, self._tried = None, False
        if claim is not None:
            self._news.add(News.REGATHER)
            if tried:
                self._fail(claim, now_s)

    def _fail_face(self, reason: str, now_s: float) -> None:
        if reason in _FACES_FAILURES:
            self._attempts.failed(Factor.FACE.value, now_s, locks_out=False)
        if reason == PRESENTATION_ATTACK:
            self._attempts.failed(ATTACK, now_s, locks_out=False)

    def _fail(self, claim: Claim, now_s: float) -> None:
        self._attempts.failed(claim.factor.value, now_s, locks_out=False)
        self._attempts.failed(claim.key, now_s, locks_out=True)
        if self._attempts.is_locked_out(claim.key):
            self._locked_out.append((claim, self._attempts.wait_s(claim.key, now_s)))

    def _keep(self, now_s: float) -> None:
        """Write what changed; if that fails, it is tried again a little later."""
        self._tell(now_s)
        if self._is_held(now_s):
            # What is written now would pass for the last copy after a restart.
            return
        with self._lock:
            kept = self._attempts.dump(now_s)
        if kept == self._kept and not self._write_anyway:
            self._unwritten = False
            return
        if self._unwritten and now_s < self._write_at_s:
            return
        try:
            write_attempts(self._file, KeptAttempts(self._generation + 1, kept))
        except OSError as error:
            if not self._unwritten:
                log.error("failed attempts cannot be kept, nobody is let in: %s", error.strerror)
            self._unwritten = True
            self._write_at_s = now_s + WRITE_AGAIN_S
            return
        self._generation += 1
        rose = any(count[0] > self._kept.get(key, [0.0])[0] for key, count in kept.items())
        self._kept = kept
        self._unwritten = self._write_anyway = False
        # After the file: cut short in between, the file is the newer one. One that is older than
        # this hides a failure; one from before something was forgotten hides none.
        self._unlogged = self._unlogged or rose
        self._tell(now_s)

    def _wait_s(self, key: str, now_s: float) -> float:
        if self._held_until_s is None:
            return self._longest_s
        keys = _FACE if key == Factor.FACE.value else (key,)
        waits_s = [self._attempts.wait_s(one, now_s) for one in keys]
        return max(*waits_s, self._held_until_s - now_s)

    def _is_held(self, now_s: float) -> bool:
        """Whether everybody has to wait; when that ends, the file has to be rewritten."""
        if self._held_until_s is None and now_s >= self._tell_at_s:
            self._recall(now_s)
        if self._held_until_s is None or now_s < self._held_until_s:
            return True
        if self._held_until_s > -math.inf:
            self._held_until_s, self._write_anyway = -math.inf, True
        return False

    def _recall(self, now_s: float) -> None:
        """Check the file against the log: an older copy may hide any failure since."""
        try:
            entry = self._audit_log.last("attempts")
        except AuditError as error:
            self._complain("nobody is let in", error, now_s)
            return
        self._complaint = ""
        known = 0 if entry is None else entry.body.get("generation")
        if not isinstance(known, int) or self._generation < known:
            log.error(
                "%s: an older copy of the failed attempts, or gone: everybody waits %.0f s, for as"
                " long as a failure counts, or until 'oneglance command reset-lockout'",
                self._file,
                self._longest_s,
            )
            self._held_until_s = now_s + self._longest_s
            self._generation = known if isinstance(known, int) else self._generation
        else:
            self._held_until_s = -math.inf

    def _tell(self, now_s: float) -> None:
        """Record in the audit log which file is the last, and who was locked out.

        Waits apply whether that works or not.
        """
        if self._unlogged and now_s >= self._tell_at_s:
            try:
                self._audit_log.append("attempts", {"generation": self._generation})
                self._unlogged, self._complaint = False, ""
            except AuditError as error:
                what = "failed attempts are not bound to the log, nobody is let in"
                self._complain(what, error, now_s)
        while self._locked_out and now_s >= self._tell_at_s:
            claim, wait_s = self._locked_out[0]
            body = {"of": claim.factor.value, "seconds": round(wait_s)}
            try:
                self._audit_log.append("lockout", body, person_id=claim.claimed.person_id)
            except AuditError as error:
                self._complain("a lock-out is not written down yet", error, now_s)
                return
            self._complaint = ""
            self._locked_out.popleft()

    def _complain(self, what: str, error: AuditError, now_s: float) -> None:
        """Tell that the log failed, in one line while it fails in one way, and ask it later."""
        complaint = f"{what}: {error}"
        level = logging.DEBUG if complaint == self._complaint else logging.ERROR
        log.log(level, "%s", complaint)
        self._complaint = complaint
        self._tell_at_s = now_s + TELL_AGAIN_S


def _claimed_alone(gallery: Snapshot, claimed: Claimed) -> Snapshot:
    """The gallery of the claimed person alone; empty if they left it or were enrolled again."""
    person = gallery.people.get(claimed.person_id or "")
    fits = person is not None and person.created_at == claimed.created_at
    return gallery.only(claimed.person_id if claimed.person_id and fits else "")


def _shape(state: AccessState) -> tuple[object, ...]:
    return state.claim, tuple(wait.of for wait in state.waits)
