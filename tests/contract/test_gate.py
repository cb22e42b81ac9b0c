"""The gate: what may be acted on, with clocks in the test's hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_samples import TOPICS, make_challenge, make_decision

from oneglance.contract.gate import (
    MAX_CLOCK_SKEW,
    MAX_CLOCK_STEP_S,
    MAX_LIFETIME,
    ClockGuard,
    Gate,
    UntimelyError,
)
from oneglance.contract.messages import Decision, Liveness, Outcome
from oneglance.contract.signing import sign
from oneglance.errors import MessageError

KEY = Ed25519PrivateKey.generate()
START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Clocks:
    """Both clocks; `wait` moves both, `set_by` only the one on the wall."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic_s = 1000.0

    def wait(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def set_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


def gate_with(clocks: Clocks, last_sequence: int = 0) -> Gate:
    return Gate(
        TOPICS,
        KEY.public_key(),
        lambda: clocks.wall,
        lambda: clocks.monotonic_s,
        last_sequence=last_sequence,
    )


def signed(clocks: Clocks, sequence: int, *, lifetime_s: float = 5.0, **changes: Any) -> bytes:
    changes.setdefault("issued_at", clocks.wall)
    changes.setdefault("expires_at", changes["issued_at"] + timedelta(seconds=lifetime_s))
    return sign(make_decision(sequence, **changes), KEY)


def run(clocks: Clocks, gate: Gate, seconds: float) -> None:
    """Let time pass, with the gate's owner looking at the clocks as it must."""
    end_s = clocks.monotonic_s + seconds
    while clocks.monotonic_s < end_s:
        gate.tick()
        clocks.wait(min(0.5, end_s - clocks.monotonic_s))
    gate.tick()


def refused(gate: Gate, payload: bytes, why: str, *, retained: bool = False) -> None:
    with pytest.raises(MessageError, match=why):
        gate.admit(payload, retained=retained)


def test_a_fresh_decision_for_this_door_passes_once() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed(clocks, 1)
    assert gate.admit(payload, retained=False).sequence == 1
    refused(gate, payload, "a replay")


def test_a_retained_decision_never_passes() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed(clocks, 1)
    refused(gate, payload, "retained", retained=True)
    # Nor does it use up the sequence of the one that comes properly.
    assert gate.admit(payload, retained=False)


def test_who_was_not_seen_to_be_alive_is_refused_where_that_is_required() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    gate.require_liveness = True
    payload = signed(clocks, 1, liveness=Liveness.NOT_REQUIRED)
    refused(gate, payload, "presentation attack, which is required")
    assert gate.admit(signed(clocks, 2), retained=False)
    rejected = signed(clocks, 3, outcome=Outcome.REJECTED, liveness=Liveness.NOT_REQUIRED)
    assert gate.admit(rejected, retained=False)


def test_what_was_refused_for_its_liveness_never_passes_later() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    gate.require_liveness = True
    payload = signed(clocks, 7, liveness=Liveness.NOT_REQUIRED)
    refused(gate, payload, "presentation attack, which is required")
    assert gate.last_sequence == 7
    gate.require_liveness = False
    refused(gate, payload, "a replay")


def test_an_expired_decision_never_passes() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed(clocks, 1)
    clocks.wait(5.0)
    refused(gate, payload, "expired")


def test_only_what_would_pass_at_another_time_speaks_of_a_wrong_clock() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.admit(signed(clocks, 5), retained=False)
    old = {"issued_at": START - timedelta(seconds=20)}
    early = {"issued_at": START + timedelta(seconds=20)}
    for changes in (old, early):
        with pytest.raises(UntimelyError):
            gate.admit(signed(clocks, 6, **changes), retained=False)
        for payload in (
            signed(clocks, 5, **changes),
            signed(clocks, 6, door="back", **changes),
            sign(make_decision(6, **changes), Ed25519PrivateKey.generate()),
        ):
            with pytest.raises(MessageError) as raised:
                gate.admit(payload, retained=False)
            assert not isinstance(raised.value, UntimelyError)


def test_the_last_moment_before_expiry_passes() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed(clocks, 1)
    clocks.wait(4.9)
    assert gate.admit(payload, retained=False)


def test_a_decision_from_the_future_never_passes() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    refused(gate, signed(clocks, 1, issued_at=START + timedelta(seconds=2.1)), "in the future")
    assert gate.admit(signed(clocks, 1, issued_at=START + timedelta(seconds=1.9)), retained=False)


def test_a_long_lived_decision_never_passes() -> None:
    clocks = Clocks()
    refused(gate_with(clocks), signed(clocks, 1, lifetime_s=10.1), "lives longer")


@pytest.mark.parametrize("other", [{"door": "back"}, {"site": "office"}])
def test_a_decision_for_another_door_never_passes(other: dict[str, str]) -> None:
    clocks = Clocks()
    refused(gate_with(clocks), signed(clocks, 1, **other), "not for this door")


def test_a_restart_remembers_what_it_is_given() -> None:
    clocks = Clocks()
    gate = gate_with(clocks, last_sequence=7)
    refused(gate, signed(clocks, 6), "a replay")
    refused(gate, signed(clocks, 7), "a replay")
    assert gate.admit(signed(clocks, 8), retained=False)


def test_a_refused_decision_does_not_raise_the_sequence() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    refused(gate, signed(clocks, 900, door="back"), "not for this door")
    assert gate.admit(signed(clocks, 1), retained=False)


@pytest.mark.parametrize("step_s", [-1.5, 1.5, 3600.0])
def test_after_the_clock_was_set_nothing_passes_for_a_lifetime(step_s: float) -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.tick()
    clocks.set_by(step_s)
    refused(gate, signed(clocks, 1), "clock was just set")
    clocks.wait(MAX_LIFETIME.total_seconds() - 0.1)
    refused(gate, signed(clocks, 2), "clock was just set")
    clocks.wait(0.2)
    assert gate.admit(signed(clocks, 3), retained=False)


@pytest.mark.parametrize("before_issue_s", [-0.9, 0.0, 2.0, 8.0, 11.0, 60.0])
def test_a_clock_set_back_cannot_revive_an_expired_decision(before_issue_s: float) -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    old = signed(clocks, 1)
    run(clocks, gate, 60)
    clocks.set_by(-60 - before_issue_s)
    refused(gate, old, "clock was just set")
    for _ in range(200):
        run(clocks, gate, 0.5)
        refused(gate, old, "clock was just set|expired|in the future")


def test_a_clock_set_back_while_a_decision_is_held_does_not_make_it_last() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.tick()
    # The worst permitted: the daemon's clock is ahead by the skew, and the life is the longest.
    held = signed(clocks, 1, issued_at=START + MAX_CLOCK_SKEW, lifetime_s=10.0)
    clocks.set_by(-60)
    for _ in range(200):
        run(clocks, gate, 0.5)
        refused(gate, held, "clock was just set|expired|in the future")


def test_after_a_step_forward_what_was_issued_before_is_only_staler() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.tick()
    held = signed(clocks, 1, lifetime_s=10.0)
    clocks.set_by(3600)
    run(clocks, gate, 11)
    refused(gate, held, "expired")
    clocks.set_by(-3600)
    for _ in range(200):
        run(clocks, gate, 0.5)
        refused(gate, held, "clock was just set|expired|in the future")


def test_after_a_step_back_what_the_old_clock_would_issue_is_in_the_future() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.tick()
    clocks.set_by(-60)
    run(clocks, gate, 11)
    by_the_old_clock = clocks.wall + timedelta(seconds=61)
    refused(gate, signed(clocks, 1, issued_at=by_the_old_clock), "in the future")


@settings(max_examples=30, deadline=None)
@given(back_s=st.floats(0.0, 600.0))
def test_after_a_correction_backwards_the_door_works_again_without_a_person(
    back_s: float,
) -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    run(clocks, gate, 30)
    clocks.set_by(-back_s)
    run(clocks, gate, back_s + 12)
    assert gate.admit(signed(clocks, 1, lifetime_s=1.0), retained=False)


def test_a_machine_that_booted_without_the_time_works_ten_seconds_after_it_is_told() -> None:
    clocks = Clocks()
    clocks.set_by(-400 * 86_400)
    gate = gate_with(clocks)
    run(clocks, gate, 30)
    refused(gate, signed(clocks, 1, issued_at=START), "in the future")
    clocks.set_by(400 * 86_400)
    run(clocks, gate, 0.5)
    refused(gate, signed(clocks, 2), "clock was just set")
    run(clocks, gate, 10)
    assert gate.admit(signed(clocks, 3), retained=False)


@pytest.mark.parametrize("fraction", [-500e-6, -20e-6, 20e-6, 500e-6])
def test_a_clock_that_ntp_slews_is_always_trusted(fraction: float) -> None:
    clocks = Clocks()
    guard = ClockGuard()
    for _ in range(20_000):
        clocks.wait(1.0)
        clocks.set_by(fraction)
        assert guard.observe(clocks.wall, clocks.monotonic_s)


@pytest.mark.parametrize("step_s", [-0.9, -0.05, 0.05, 0.9])
def test_small_steps_add_up_to_a_jump(step_s: float) -> None:
    clocks = Clocks()
    guard = ClockGuard()
    moved_s = 0.0
    while guard.observe(clocks.wall, clocks.monotonic_s):
        clocks.wait(0.5)
        clocks.set_by(step_s)
        moved_s += abs(step_s)
        assert moved_s < 2.0


def test_a_decision_is_no_longer_fresh_when_its_time_is_over_or_the_clock_was_set() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    decision = gate.admit(signed(clocks, 1), retained=False)
    assert gate.is_fresh(decision)
    clocks.wait(4.9)
    assert gate.is_fresh(decision)
    clocks.wait(0.1)
    assert not gate.is_fresh(decision)
    decision = gate.admit(signed(clocks, 2), retained=False)
    clocks.set_by(-2)
    assert not gate.is_fresh(decision)


class Story:
    """A gate, an honest daemon on the same clocks, and an attacker who sets them and holds back.

    Both look at their clocks twice a second, except while frozen.
    """

    def __init__(self) -> None:
        self.clocks = Clocks()
        self.gate = gate_with(self.clocks)
        self.daemon = ClockGuard()
        self.held: list[tuple[Decision, bytes, float]] = []
        self.passed: set[int] = set()
        self.latest_seen = datetime.min.replace(tzinfo=UTC)
        self.look()

    def look(self) -> bool:
        if self.gate.tick():
            self.latest_seen = max(self.latest_seen, self.clocks.wall)
        return self.daemon.observe(self.clocks.wall, self.clocks.monotonic_s)

    def tell(self, kind: str, amount: float) -> None:
        if kind == "wait":
            for _ in range(int(abs(amount) * 2) + 1):
                self.clocks.wait(0.5)
                self.look()
        elif kind == "freeze":
            self.clocks.wait(abs(amount) * 10)
        elif kind == "set":
            self.clocks.set_by(amount * 10)
        elif kind == "nudge":
            self.clocks.set_by(amount / 30)
        elif kind == "creep":
            for _ in range(80):
                self.clocks.wait(0.5)
                self.clocks.set_by(amount / 30)
                self.look()
        elif kind == "issue":
            if self.look():
                self._issue(10.0 if amount > 0 else 5.0)
        elif self.held:
            decision, payload, issued_at_s = self.held[int(abs(amount)) % len(self.held)]
            if kind == "return":
                self.clocks.wall = decision.issued_at + timedelta(seconds=amount)
            else:
                self._deliver(decision, payload, issued_at_s)

    def _issue(self, lifetime_s: float) -> None:
        now = self.clocks.wall
        # Falling numbers, so that the sequence never hides a decision that is not fresh.
        decision = make_decision(
            1000 - len(self.held), issued_at=now, expires_at=now + timedelta(seconds=lifetime_s)
        )
        self.held.append((decision, sign(decision, KEY), self.clocks.monotonic_s))

    def _deliver(self, decision: Decision, payload: bytes, issued_at_s: float) -> None:
        self.gate.last_sequence = 0 if decision.sequence not in self.passed else 10_000
        try:
            self.gate.admit(payload, retained=False)
        except MessageError:
            return
        assert decision.sequence not in self.passed
        self.passed.add(decision.sequence)
        # The first promise: what a trusted reading has ever called expired never passes.
        self.latest_seen = max(self.latest_seen, self.clocks.wall)
        assert self.latest_seen < decision.expires_at
        # The second: its true age is within its life, but for the steps that both sides overlook.
        age_s = self.clocks.monotonic_s - issued_at_s
        life_s = (decision.expires_at - decision.issued_at).total_seconds()
        assert age_s < life_s + 2 * MAX_CLOCK_STEP_S + 0.1


@settings(max_examples=250, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["wait", "freeze", "set", "nudge", "creep", "issue", "return", "deliver"]
            ),
            st.floats(-30, 30),
        ),
        max_size=30,
    )
)
@example([("issue", 0.0), ("wait", 30.0), ("return", -8.0), ("wait", 10.0), ("deliver", 0.0)])
@example([("issue", 0.0), ("creep", -27.0), ("creep", -27.0), ("deliver", 0.0)])
@example([("issue", 0.0), ("set", -0.2), ("wait", 12.0), ("deliver", 0.0)])
def test_whatever_the_clocks_do_nothing_expired_passes(steps: list[tuple[str, float]]) -> None:
    story = Story()
    for kind, amount in steps:
        story.tell(kind, amount)


@settings(max_examples=250, deadline=None)
@given(
    first=st.sampled_from(["wait", "freeze", "set", "nudge", "creep"]),
    amounts=st.lists(st.floats(-30, 30), min_size=4, max_size=4),
    between=st.lists(
        st.tuples(
            st.sampled_from(["wait", "freeze", "set", "nudge", "creep", "return"]),
            st.floats(-30, 30),
        ),
        max_size=6,
    ),
)
def test_a_decision_that_is_held_back_is_never_older_than_its_life(
    first: str, amounts: list[float], between: list[tuple[str, float]]
) -> None:
    story = Story()
    story.tell(first, amounts[0])
    story.tell("wait", 11.0)
    story.tell("issue", amounts[1])
    for kind, amount in [*between, ("return", amounts[2]), ("wait", 5.0), ("wait", 6.0)]:
        story.tell(kind, amount)
        story.tell("deliver", 0.0)
    for _ in range(60):
        story.tell("wait", 0.5)
        story.tell("deliver", 0.0)


def signed_challenge(clocks: Clocks, sequence: int, **changes: Any) -> bytes:
    changes.setdefault("issued_at", clocks.wall)
    changes.setdefault("expires_at", changes["issued_at"] + timedelta(seconds=5))
    return sign(make_challenge(sequence, **changes), KEY)


def test_a_fresh_challenge_for_this_door_is_shown_once() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed_challenge(clocks, 7)
    assert gate.admit_challenge(payload, retained=False).sequence == 7
    with pytest.raises(MessageError, match="a replay"):
        gate.admit_challenge(payload, retained=False)
    with pytest.raises(MessageError, match="a replay"):
        gate.admit_challenge(signed_challenge(clocks, 6), retained=False)
    # What was asked says nothing about decisions, which a lock may hear alone.
    assert gate.admit(signed(clocks, 3), retained=False).sequence == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"door": "back"}, "not for this door"),
        ({"site": "office"}, "not for this door"),
        ({"issued_at": START - timedelta(seconds=5)}, "expired"),
        ({"issued_at": START + timedelta(seconds=3)}, "in the future"),
        ({"expires_at": START + timedelta(seconds=11)}, "lives longer than a challenge may"),
    ],
)
def test_a_challenge_that_is_not_for_here_and_now_is_not_shown(
    changes: dict[str, Any], why: str
) -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    with pytest.raises(MessageError, match=why):
        gate.admit_challenge(signed_challenge(clocks, 1, **changes), retained=False)


def test_a_challenge_is_no_decision_and_the_reverse() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    refused(gate, signed_challenge(clocks, 1), "not a valid Decision")
    with pytest.raises(MessageError, match="not a valid Challenge"):
        gate.admit_challenge(signed(clocks, 1), retained=False)


def test_a_challenge_must_be_signed_live_and_whole() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed_challenge(clocks, 1)
    with pytest.raises(MessageError, match="retained"):
        gate.admit_challenge(payload, retained=True)
    with pytest.raises(MessageError, match="the signature does not match"):
        gate.admit_challenge(payload.replace(b"turn_left", b"turn_righ"), retained=False)
    with pytest.raises(MessageError, match="not a signed challenge"):
        gate.admit_challenge(make_challenge(1).to_payload(), retained=False)
    gate.tick()
    clocks.set_by(60)
    with pytest.raises(MessageError, match="clock was just set"):
        gate.admit_challenge(signed_challenge(clocks, 2), retained=False)
