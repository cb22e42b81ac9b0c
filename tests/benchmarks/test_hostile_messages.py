"""Every hostile message of `make attack` is refused for what is wrong with it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import attack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hostile_messages import HOSTILE, Capture, Keys
from wire_samples import TOPICS, make_decision

from oneglance.config import MqttConfig
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.signing import sign
from oneglance.errors import MessageError

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
KEYS = Keys(*(Ed25519PrivateKey.generate() for _ in range(5)))


@pytest.fixture
def gate() -> Gate:
    """A lock that trusts the daemon's key, and knows its former one as revoked."""
    beginning = NOW - timedelta(days=9)
    ring = Keyring(
        keys=(
            entry("daemon", Role.DAEMON, KEYS.daemon.public_key(), beginning),
            entry("daemon-old", Role.DAEMON, KEYS.revoked.public_key(), beginning),
            entry("kiosk", Role.KIOSK, KEYS.kiosk.public_key(), beginning),
            entry("ada", Role.ADMINISTRATOR, KEYS.administrator.public_key(), beginning),
        )
    ).changed("daemon-old", revoked_at=NOW - timedelta(days=1))
    return Gate(TOPICS, ring, lambda: NOW, lambda: 100.0, require_liveness=True)


@pytest.fixture
def capture(gate: Gate) -> Capture:
    """What is heard of two decisions that the lock has acted on."""
    life = {"issued_at": NOW, "expires_at": NOW + timedelta(seconds=5)}
    heard = [sign(make_decision(number, **life), KEYS.daemon) for number in (7, 8)]
    *_, decision = [gate.admit(payload, retained=False) for payload in heard]
    return Capture(heard[1], decision, heard[0], NOW)


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_each_kind_is_refused_for_its_reason(gate: Gate, capture: Capture, kind: str) -> None:
    with pytest.raises(MessageError) as refused:
        gate.admit(HOSTILE[kind].make(capture, KEYS), retained=False)
    assert HOSTILE[kind].reason in str(refused.value)


def test_the_ledger_notices_who_is_refused_for_another_reason() -> None:
    ledger = attack.Ledger()

    def say(text: str) -> None:
        ledger.handle(logging.makeLogRecord({"msg": text}))

    ledger.sent.extend(["stale", "replayed", "replayed", "a member twice"])
    for text in ("refused: expired", "refused: a replay", "refused: expired"):
        say(text)
    say("opened")
    assert (ledger.refused, ledger.wrong.total()) == (3, 0)
    say("refused: expired")
    say("refused: expired")
    assert set(ledger.wrong) == {
        ("a member twice", "refused: expired"),
        ("never sent", "refused: expired"),
    }


def test_a_command_that_the_link_does_not_take_is_sent_again_and_waited_for(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacker = attack.Attacker(MqttConfig(), KEYS, attack.Ledger())
    taken: list[bytes] = []
    busy = iter((False, True, True, True, False, False, True))

    def publish(_topic: str, _payload: bytes, *, correlation: bytes, **_rest: object) -> bool:
        free = next(busy)
        taken.extend([correlation] if free else [])
        return free

    monkeypatch.setattr(attacker.link, "publish", publish)
    attacker.command(capture)
    assert [name.decode() for name in taken] == list(attack.REFUSED_AS)
    for left, (name, code) in zip((4, 3, 2, 1), attack.REFUSED_AS.items(), strict=True):
        assert (attacker.unanswered, attacker.done) == (left, False)
        attacker.answers[name, code] += 1
    assert (attacker.unanswered, attacker.done) == (0, True)


def test_a_visit_that_is_let_in_or_whose_next_one_is_counts_within_two_attempts() -> None:
    one, pause = attack.PAUSE_FRAMES + attack.VISIT_FRAMES, attack.PAUSE_FRAMES
    # A film of three visits, twice: each is an empty picture, then somebody; at the end nobody.
    frames = [pause, one + pause, 2 * one + pause, 3 * one + 2 * pause, 5 * one + 2 * pause]
    assert [attack.visit_at(frame, 3) for frame in frames] == [0, 1, 2, 3, 5]
    assert [attack.visit_at(one - 1, 3), attack.visit_at(3 * one + pause - 1, 3)] == [0, 2]
    assert frames[-1] == 2 * attack.frames_of(3) - one
    assert attack.within_two({0, 2, 5}, 6) == 5
