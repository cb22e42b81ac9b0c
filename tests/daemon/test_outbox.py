from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from oneglance.daemon.voice.outbox import Outbox, Outgoing


def message(deadline_s: float, visit_id: str = "v") -> Outgoing:
    return Outgoing(b"payload", deadline_s, visit_id)


def test_messages_leave_in_their_order() -> None:
    outbox = Outbox(4)
    sent: list[float] = []
    for deadline_s in (3.0, 2.0, 4.0):
        outbox.put(message(deadline_s))

    def transmit(one: Outgoing) -> bool:
        sent.append(one.deadline_s)
        return True

    assert outbox.send(0.0, transmit) == 3
    assert sent == [3.0, 2.0, 4.0]
    assert outbox.send(0.0, transmit) == 0


def test_what_has_expired_never_leaves_and_its_visit_is_told_once() -> None:
    outbox = Outbox(4)
    outbox.put(message(5.0, "late"))
    outbox.put(message(6.0, "fresh"))
    sent: list[str] = []
    outbox.send(5.0, lambda one: sent.append(one.visit_id) is None)
    assert sent == ["fresh"]
    assert outbox.dropped == 1
    assert outbox.take_dropped() == ["late"]
    assert outbox.take_dropped() == []


def test_what_could_not_be_sent_waits() -> None:
    outbox = Outbox(4)
    outbox.put(message(5.0))
    assert outbox.send(0.0, lambda _: False) == 0
    assert len(outbox) == 1
    assert outbox.send(1.0, lambda _: True) == 1


def test_a_full_outbox_gives_up_its_oldest() -> None:
    outbox = Outbox(2)
    for name in ("a", "b", "c"):
        outbox.put(message(9.0, name))
    assert outbox.take_dropped() == ["a"]
    assert len(outbox) == 2


def test_an_outbox_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Outbox(0)


class OutboxMachine(RuleBasedStateMachine):
    """Nothing is ever sent late, or twice, or lost without being counted; it stays bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(3)
        self.now_s = 0.0
        self.put_count = 0
        self.sent: list[str] = []

    @rule(lives_s=st.floats(0, 10))
    def put(self, lives_s: float) -> None:
        self.put_count += 1
        self.outbox.put(message(self.now_s + lives_s, str(self.put_count)))

    @rule(step_s=st.floats(0, 5))
    def wait(self, step_s: float) -> None:
        self.now_s += step_s

    @rule(open_for=st.integers(0, 4))
    def send(self, open_for: int) -> None:
        left = open_for

        def transmit(one: Outgoing) -> bool:
            nonlocal left
            if left == 0:
                return False
            left -= 1
            assert self.now_s < one.deadline_s
            self.sent.append(one.visit_id)
            return True

        self.outbox.send(self.now_s, transmit)

    @invariant()
    def all_accounted_for(self) -> None:
        assert len(self.outbox) <= 3
        assert len(set(self.sent)) == len(self.sent)
        assert self.put_count == len(self.sent) + len(self.outbox) + self.outbox.dropped


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(deadline=None, max_examples=50)
