"""The gate: what may be acted on, with clocks in the test's hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import TOPICS, make_decision

from oneglance.contract.gate import MAX_LIFETIME, ClockGuard, Gate
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


def test_an_expired_decision_never_passes() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    payload = signed(clocks, 1)
    clocks.wait(5.0)
    refused(gate, payload, "expired")


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


@pytest.mark.parametrize("step_s", [-3600.0, -1.5, 1.5, 3600.0])
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


def test_a_clock_set_back_cannot_revive_an_expired_decision() -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    assert gate.tick()
    old = signed(clocks, 1)
    clocks.wait(60)
    assert gate.tick()
    clocks.set_by(-60)
    refused(gate, old, "clock was just set")
    clocks.wait(MAX_LIFETIME.total_seconds())
    refused(gate, old, "expired")


def test_slow_drift_is_no_jump() -> None:
    clocks = Clocks()
    guard = ClockGuard()
    for _ in range(1000):
        clocks.wait(1.0)
        clocks.set_by(0.01)
        assert guard.observe(clocks.wall, clocks.monotonic_s)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["wait", "set", "tick", "deliver", "replay"]), st.floats(-30, 30)
        ),
        max_size=30,
    )
)
def test_whatever_the_clocks_do_no_decision_passes_twice_or_late(
    steps: list[tuple[str, float]],
) -> None:
    clocks = Clocks()
    gate = gate_with(clocks)
    gate.tick()
    sent: list[tuple[bytes, float]] = []
    passed: list[bytes] = []
    for kind, amount in steps:
        if kind == "wait":
            clocks.wait(abs(amount))
        elif kind == "set":
            clocks.set_by(amount)
        elif kind == "tick":
            gate.tick()
        else:
            if kind == "deliver" or not sent:
                sent.append((signed(clocks, len(sent) + 1), clocks.monotonic_s))
            payload, sent_at_s = sent[int(abs(amount)) % len(sent)]
            try:
                gate.admit(payload, retained=False)
            except MessageError:
                continue
            assert payload not in passed
            # The monotonic clock knows its true age: never above lifetime, the allowed skew and
            # the largest step that is not yet noticed, each time the clock was set.
            sets = sum(1 for k, a in steps if k == "set")
            assert clocks.monotonic_s - sent_at_s <= 5.0 + sets * 1.0
            passed.append(payload)
