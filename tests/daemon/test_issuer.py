from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneglance.clocks import Clocks
from oneglance.contract.gate import MAX_LIFETIME, Gate
from oneglance.contract.messages import Mode, Outcome, Step
from oneglance.contract.signing import check, load_public_key, load_signing_key
from oneglance.contract.topics import Topics
from oneglance.daemon.visit.challenge import Prompt
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.voice.issuer import CHECK_EVERY_S, Issuer
from oneglance.daemon.voice.sequence import SequenceFile
from oneglance.errors import ConfigError, MessageError

TOPICS = Topics("test", "front")
ACCEPTED = Verdict("visit-1", "ada", 1.5, 0.5)
REJECTED = Verdict("visit-2", None, -9.0, 0.5, "not_recognised")
PROMPT = Prompt("0123456789", "visit-1", Step.LOOK_UP, 1, 2, 1, 5.0)
NAMES = {"ada": "Ada Lovelace"}


class Time:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
        self.monotonic_s = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def issuer(time: Time, key_files: tuple[Path, Path], tmp_path: Path) -> Iterator[Issuer]:
    with SequenceFile(tmp_path / "sequence", lambda: 1) as sequence:
        issuer = Issuer(
            TOPICS,
            load_signing_key(key_files[0]),
            sequence,
            model_id="model:1",
            lifetime_s=5.0,
            clocks=Clocks(lambda: time.wall, lambda: time.monotonic_s),
        )
        issuer.tick()
        yield issuer


def test_an_acceptance_is_signed_numbered_and_short_lived(
    issuer: Issuer, key_files: tuple[Path, Path], time: Time
) -> None:
    message = issuer.issue(ACCEPTED, NAMES)
    decision = check(message.payload, load_public_key(key_files[1]))
    assert (decision.outcome, decision.mode) == (Outcome.ACCEPTED, Mode.IDENTIFY)
    assert (decision.person_id, decision.person_name) == ("ada", "Ada Lovelace")
    assert (decision.score, decision.threshold) == (1.5, 0.5)
    assert decision.expires_at - decision.issued_at == timedelta(seconds=5)
    assert message.deadline_s == time.monotonic_s + 5
    assert (message.visit_id, decision.visit_id) == ("visit-1", "visit-1")


def test_a_rejection_names_nobody_and_says_why(
    issuer: Issuer, key_files: tuple[Path, Path]
) -> None:
    decision = check(issuer.issue(REJECTED, NAMES).payload, load_public_key(key_files[1]))
    assert decision.outcome is Outcome.REJECTED
    assert (decision.person_id, decision.person_name) == (None, None)
    assert decision.reason == "not_recognised"


def test_what_is_issued_passes_a_consumers_gate_and_no_event_is_like_another(
    issuer: Issuer, key_files: tuple[Path, Path], time: Time
) -> None:
    gate = Gate(TOPICS, load_public_key(key_files[1]), lambda: time.wall, lambda: time.monotonic_s)
    events = set()
    for _ in range(5):
        events.add(gate.admit(issuer.issue(ACCEPTED, NAMES).payload, retained=False).event_id)
        time.pass_s(0.4)
    assert len(events) == 5


@pytest.mark.parametrize("step_s", [-3600.0, -1.5, 1.5, 3600.0])
def test_after_the_clock_was_set_no_decision_leaves_for_a_while(
    issuer: Issuer, time: Time, step_s: float
) -> None:
    time.wall += timedelta(seconds=step_s)
    with pytest.raises(MessageError, match="clock was just set"):
        issuer.issue(ACCEPTED, NAMES)
    assert issuer.problem == "clock_set"
    time.pass_s(MAX_LIFETIME.total_seconds() / 2)
    with pytest.raises(MessageError, match="clock was just set"):
        issuer.issue(ACCEPTED, NAMES)
    time.pass_s(MAX_LIFETIME.total_seconds())
    assert issuer.issue(ACCEPTED, NAMES)
    assert issuer.problem == ""


def test_without_a_sequence_no_decision_leaves(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "sequence").write_text("damaged")
    with pytest.raises(ConfigError):
        issuer.issue(ACCEPTED, NAMES)
    assert issuer.problem == "sequence_error"
    (tmp_path / "sequence").unlink()
    assert issuer.issue(ACCEPTED, NAMES)
    assert issuer.problem == ""


def test_a_disk_that_fails_and_returns_is_told_before_anybody_comes(
    issuer: Issuer, time: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.issue(ACCEPTED, NAMES)
    kept = (tmp_path / "sequence").read_bytes()

    def after(what: str) -> str:
        time.pass_s(CHECK_EVERY_S)
        issuer.tick()
        assert (tmp_path / "sequence").read_bytes() == kept, what
        return issuer.problem

    assert after("nothing happens") == ""
    # As where the file system became read-only; root may write anywhere else.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert after("read-only") == "sequence_error"
    monkeypatch.setattr(os, "access", access)
    # It can be written to again, but is full.
    (tmp_path / ".new-sequence").mkdir()
    assert after("full") == "sequence_error"
    (tmp_path / ".new-sequence").rmdir()
    assert after("mended") == ""


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_never_leaves(issuer: Issuer, score: float) -> None:
    with pytest.raises(MessageError, match="a score of"):
        issuer.issue(Verdict("v", "ada", score, 0.5), NAMES)


def test_an_acceptance_below_the_threshold_never_leaves(issuer: Issuer) -> None:
    with pytest.raises(MessageError, match="at or above its threshold"):
        issuer.issue(Verdict("v", "ada", 0.4, 0.5), NAMES)


def test_a_name_that_no_message_can_carry_is_refused_and_not_repeated(issuer: Issuer) -> None:
    with pytest.raises(MessageError, match="person_name") as caught:
        issuer.issue(ACCEPTED, {"ada": 30 * "Lovelace"})
    assert "Lovelace" not in str(caught.value)
    assert issuer.issue(ACCEPTED, NAMES)


def test_somebody_who_is_not_in_the_gallery_is_never_accepted(issuer: Issuer) -> None:
    with pytest.raises(MessageError, match="not in the gallery"):
        issuer.issue(ACCEPTED, {"bob": "Bob"})


def test_a_challenge_is_signed_and_numbered_in_one_row_with_the_decisions(
    issuer: Issuer, key_files: tuple[Path, Path], time: Time
) -> None:
    gate = Gate(TOPICS, load_public_key(key_files[1]), lambda: time.wall, lambda: time.monotonic_s)
    gate.tick()
    message = issuer.issue_challenge(PROMPT)
    challenge = gate.admit_challenge(message.payload, retained=False)
    assert (challenge.step, challenge.challenge_id) == (Step.LOOK_UP, "0123456789")
    assert (challenge.number, challenge.steps, challenge.attempt) == (1, 2, 1)
    assert message.deadline_s == time.monotonic_s + 5
    decision = gate.admit(issuer.issue(ACCEPTED, NAMES).payload, retained=False)
    assert decision.sequence > challenge.sequence


def test_without_a_trusted_clock_or_a_sequence_nothing_is_asked(
    issuer: Issuer, time: Time, tmp_path: Path
) -> None:
    time.wall += timedelta(seconds=60)
    with pytest.raises(MessageError, match="clock was just set"):
        issuer.issue_challenge(PROMPT)
    time.pass_s(20)
    (tmp_path / "sequence").write_text("damaged")
    with pytest.raises(ConfigError):
        issuer.issue_challenge(PROMPT)
    assert issuer.problem == "sequence_error"
