"""Signs decisions and challenges, each with its number and times; none leaves unsigned."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping
from datetime import UTC, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from oneglance.clocks import Clocks
from oneglance.contract.gate import ClockGuard
from oneglance.contract.messages import Challenge, Decision, Outcome
from oneglance.contract.signing import sign
from oneglance.contract.topics import Topics
from oneglance.daemon.visit.challenge import Prompt
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.voice.outbox import Outgoing
from oneglance.daemon.voice.sequence import SequenceFile
from oneglance.errors import ConfigError, MessageError
from oneglance.events import NOBODY_LET_IN

log = logging.getLogger(__name__)


# A disk that became read-only is to be known before the next visitor comes, and so is its return.
CHECK_EVERY_S = 10.0


class Issuer:
    """Signs decisions and challenges for one door with one key and one sequence.

    `problem` is `clock_set` or `sequence_error` while none can be issued.
    """

    def __init__(
        self,
        topics: Topics,
        key: Ed25519PrivateKey,
        sequence: SequenceFile,
        *,
        model_id: str,
        lifetime_s: float,
        clocks: Clocks,
    ) -> None:
        self._topics = topics
        self._key = key
        self._sequence = sequence
        self._model_id = model_id
        self._lifetime = timedelta(seconds=lifetime_s)
        self._clocks = clocks
        self._guard = ClockGuard()
        self._clock_trusted = False
        self._sequence_failed = False
        self._check_at_s = clocks.monotonic_s() + CHECK_EVERY_S

    @property
    def problem(self) -> str:
        """Why no decision can leave now; nothing if it can."""
        if not self._clock_trusted:
            return "clock_set"
        return "sequence_error" if self._sequence_failed else ""

    def tick(self) -> None:
        """Compare the clocks, and look after the sequence's disk; call at least once a second."""
        now_s = self._clocks.monotonic_s()
        self._clock_trusted = self._guard.observe(self._clocks.wall(), now_s)
        if now_s >= self._check_at_s:
            self._check_at_s = now_s + CHECK_EVERY_S
            try:
                self._sequence.check(by_writing=self._sequence_failed)
            except ConfigError as error:
                if not self._sequence_failed:
                    log.error("nobody is let in: %s", error, extra=NOBODY_LET_IN())
                self._sequence_failed = True
            else:
                self._sequence_failed = False

    def issue(self, verdict: Verdict, names: Mapping[str, str]) -> Outgoing:
        """The signed decision, and until when it may leave.

        Raises MessageError while the clock was just set (its times would mean nothing), or when
        the verdict makes no valid decision; ConfigError if the sequence cannot be kept.
        """
        if not math.isfinite(verdict.score):
            raise MessageError(f"a score of {verdict.score}")
        sequence = self._next_number()
        issued_at = self._clocks.wall().astimezone(UTC)
        deadline_s = self._clocks.monotonic_s() + self._lifetime.total_seconds()
        try:
            decision = Decision(
                issued_at=issued_at,
                event_id=uuid.uuid4().hex,
                site=self._topics.site,
                door=self._topics.door,
                visit_id=verdict.visit_id,
                outcome=Outcome.ACCEPTED if verdict.accepted else Outcome.REJECTED,
                reason=verdict.reason,
                person_id=verdict.person_id,
                person_name=None if verdict.person_id is None else names[verdict.person_id],
                score=verdict.score,
                threshold=verdict.threshold,
                model_id=self._model_id,
                mode=verdict.mode,
                liveness=verdict.liveness,
                factors=verdict.shown if verdict.accepted else (),
                expires_at=issued_at + self._lifetime,
                sequence=sequence,
            )
        except KeyError:
            raise MessageError("the verdict's person is not in the gallery") from None
        except ValidationError as error:
            # The values stay out of the text: one of them may be a name.
            mistake = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in mistake["loc"]) or "the decision"
            raise MessageError(f"no valid decision: {place}: {mistake['msg']}") from None
        return Outgoing(sign(decision, self._key), deadline_s, verdict.visit_id)

    def issue_challenge(self, prompt: Prompt) -> Outgoing:
        """The signed challenge; it may be shown for as long as a decision lives.

        Raises MessageError while the clock was just set, ConfigError if the sequence cannot be
        kept.
        """
        sequence = self._next_number()
        issued_at = self._clocks.wall().astimezone(UTC)
        deadline_s = self._clocks.monotonic_s() + self._lifetime.total_seconds()
        challenge = Challenge(
            issued_at=issued_at,
            challenge_id=prompt.challenge_id,
            site=self._topics.site,
            door=self._topics.door,
            visit_id=prompt.visit_id,
            step=prompt.step,
            number=prompt.number,
            steps=prompt.steps,
            attempt=prompt.attempt,
            time_s=prompt.time_s,
            expires_at=issued_at + self._lifetime,
            sequence=sequence,
        )
        return Outgoing(sign(challenge, self._key), deadline_s, prompt.visit_id)

    def _next_number(self) -> int:
        self.tick()
        if not self._clock_trusted:
            raise MessageError("the clock was just set: no decisions for some seconds")
        try:
            sequence = self._sequence.next()
        except ConfigError:
            self._sequence_failed = True
            raise
        self._sequence_failed = False
        return sequence
