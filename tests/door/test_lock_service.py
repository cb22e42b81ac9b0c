"""The lock's service on a real broker: what opens it, and all that does not."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from door_rig import Rig
from gpiozero.pins.mock import MockFactory, MockPin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_samples import TOPICS, make_decision

from oneglance.broker import embedded_broker
from oneglance.config import Config, LivenessConfig
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import LOCK_TEST, Liveness, Outcome, ServiceState, Status
from oneglance.contract.signing import (
    create_signing_key,
    load_public_key,
    load_signing_key,
    sign,
)
from oneglance.door.app import MAX_WAITING, DoorApp
from oneglance.door.lock import Lock
from oneglance.door.memory import SequenceMemory
from oneglance.errors import ConfigError, MessageError, OneglanceError
from oneglance.link import Arrival, Link
from oneglance.sdnotify import Notifier

MakeRig = Callable[..., Rig]
Wait = Callable[..., None]


def settle(rig: Rig, wait_until: Wait, sequence: int) -> str:
    """Send a valid decision of that sequence and wait until it has opened and shut the lock.

    All that was sent before has then been judged, and nothing else may have opened the lock since.
    """
    before = rig.opened_for
    decision = rig.decide(sequence)
    wait_until(
        lambda: any(s.state == "locked" and s.cause == decision.event_id for s in rig.states),
        "a valid decision opens and shuts",
    )
    assert rig.opened_for == [*before, decision.event_id]
    return decision.event_id


def test_an_accepted_decision_opens_once_and_the_lock_says_why(
    make_rig: MakeRig, wait_until: Wait
) -> None:
    rig = make_rig()
    decision = rig.decide(1)
    wait_until(lambda: len(rig.states) == 3, "locked, unlocked, locked")
    assert [(s.state, s.cause) for s in rig.states] == [
        ("locked", ""),
        ("unlocked", decision.event_id),
        ("locked", decision.event_id),
    ]
    assert rig.opened == 1
    assert not rig.pin_active


@pytest.mark.parametrize(
    ("policy", "asked", "required"),
    [
        ("off", None, False),
        ("passive", None, True),
        ("passive+challenge", None, True),
        ("passive", False, False),
        ("off", True, True),
    ],
)
def test_liveness_is_required_where_the_policy_or_the_lock_says_so(
    make_rig: MakeRig,
    door_config: Config,
    wait_until: Wait,
    policy: str,
    asked: bool | None,
    required: bool,
) -> None:
    door = door_config.door.model_copy(update={"require_liveness": asked})
    config = door_config.model_copy(
        update={"door": door, "liveness": LivenessConfig.model_validate({"policy": policy})}
    )
    rig = make_rig(config)
    assert rig.app.requires_liveness is required
    unseen = rig.decide(1, liveness=Liveness.NOT_REQUIRED)
    if not required:
        wait_until(
            lambda: any(s.state == "locked" and s.cause == unseen.event_id for s in rig.states),
            "it opens and shuts",
        )
    settle(rig, wait_until, 2)
    assert (unseen.event_id in rig.opened_for) is not required


def test_the_sequence_is_on_disk_before_the_pin_moves(
    door_config: Config, make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class WatchedPin(MockPin):
        def _set_state(self, value: Any) -> None:
            if value:
                seen.append(SequenceMemory(door_config.door.state_file).load())
            super()._set_state(value)

    monkeypatch.setattr(MockFactory, "__init__", _with_pins(WatchedPin))
    rig = make_rig()
    settle(rig, wait_until, 41)
    assert seen == [41]


def _with_pins(pin_class: type[MockPin]) -> Callable[..., None]:
    original = MockFactory.__init__

    def init(self: MockFactory, *_: object, **__: object) -> None:
        original(self, pin_class=pin_class)

    return init


def _another_key(folder: Path) -> Path:
    create_signing_key(folder / "other.key", folder / "other.pub")
    return folder / "other.key"


@pytest.mark.parametrize(
    "case",
    [
        "rejected",
        "other door",
        "other site",
        "expired",
        "issued in the future",
        "too long-lived",
        "old sequence",
        "wrong key",
        "unsigned",
        "not JSON",
        "empty",
        "another kind",
        "huge",
    ],
)
def test_what_must_not_open_does_not(
    make_rig: MakeRig, wait_until: Wait, tmp_path: Path, case: str
) -> None:
    rig = make_rig()
    first = settle(rig, wait_until, 10)
    now = datetime.now(UTC)
    second = timedelta(seconds=1)
    if case == "rejected":
        rig.decide(11, outcome=Outcome.REJECTED)
    elif case == "other door":
        rig.decide(11, door="back")
    elif case == "other site":
        rig.decide(11, site="office")
    elif case == "expired":
        rig.decide(11, issued_at=now - 6 * second, expires_at=now - second)
    elif case == "issued in the future":
        rig.decide(11, issued_at=now + 4 * second, expires_at=now + 9 * second)
    elif case == "too long-lived":
        rig.decide(11, expires_at=now + 3600 * second)
    elif case == "old sequence":
        rig.decide(9)
    elif case == "wrong key":
        rig.send(sign(make_decision(11), load_signing_key(_another_key(tmp_path))))
    elif case == "unsigned":
        rig.send(make_decision(11).to_payload())
    elif case == "not JSON":
        rig.send(b"open the door")
    elif case == "empty":
        rig.send(b"")
    elif case == "another kind":
        rig.send(Status(issued_at=now, state=ServiceState.ONLINE, software="0").to_payload())
    elif case == "huge":
        rig.send(b'{"signature":"' + b"A" * 100_000 + b'"}')
    # The next valid one comes through the same ordered topic, so the bad one has been judged.
    last = settle(rig, wait_until, 12)
    assert rig.opened_for == [first, last]


def test_a_test_of_the_lock_is_answered_and_opens_nothing(
    make_rig: MakeRig, wait_until: Wait
) -> None:
    rig = make_rig()
    tested = rig.decide(5, outcome=Outcome.REJECTED, reason=LOCK_TEST)
    wait_until(lambda: any(s.cause == tested.event_id for s in rig.states), "no answer")
    # Nor does one that says "accepted", which no daemon sends.
    forged = rig.decide(6, reason=LOCK_TEST)
    last = settle(rig, wait_until, 7)
    assert rig.opened_for == [last]
    assert rig.opened == 1
    assert forged.event_id not in {s.cause for s in rig.states}


def test_the_same_event_delivered_twice_acts_once(make_rig: MakeRig, wait_until: Wait) -> None:
    rig = make_rig()
    payload = sign(make_decision(5), rig.key)
    rig.send(payload)
    rig.send(payload)
    wait_until(lambda: rig.said().count("locked") == 2, "opened and shut")
    settle(rig, wait_until, 6)
    assert len(rig.opened_for) == 2


def test_a_retained_decision_never_opens(
    door_config: Config, make_rig: MakeRig, wait_until: Wait, key_files: tuple[Path, Path]
) -> None:
    first = make_rig()
    # Still fresh, well signed and unseen: only `retained` speaks against it.
    first.app.stop()
    wait_until(lambda: not first.running, "stopped")
    heard: list[Arrival] = []
    ear = Link(
        door_config.mqtt, "ear", subscriptions=((TOPICS.decision, 1),), on_message=heard.append
    )
    ear.start()
    assert ear.wait_connected(60)
    first.send(sign(make_decision(50), first.key), retain=True)
    wait_until(lambda: len(heard) == 1, "the broker has it")
    ear.stop()
    second = make_rig()
    valid = settle(second, wait_until, 60)
    assert second.opened_for == [valid]
    first.send(b"", retain=True)


def test_after_a_restart_an_old_sequence_is_refused(make_rig: MakeRig, wait_until: Wait) -> None:
    first = make_rig()
    payload = sign(make_decision(30), first.key)
    first.send(payload)
    wait_until(lambda: first.said().count("locked") == 2, "opened and shut")
    first.app.stop()
    wait_until(lambda: not first.running, "stopped")

    second = make_rig()
    second.send(payload)
    second.decide(29)
    valid = settle(second, wait_until, 31)
    assert second.opened_for == [valid]


def test_a_rejected_decision_cannot_be_overtaken_after_a_restart(
    make_rig: MakeRig, wait_until: Wait, door_config: Config
) -> None:
    first = make_rig()
    first.decide(40, outcome=Outcome.REJECTED)
    wait_until(
        lambda: SequenceMemory(door_config.door.state_file).load() == 40, "remembered as well"
    )
    assert first.opened == 0


def test_a_second_accept_during_the_pulse_extends_it(
    door_config: Config, make_rig: MakeRig, wait_until: Wait
) -> None:
    longer = door_config.door.model_copy(update={"pulse_s": 0.8})
    rig = make_rig(door_config.model_copy(update={"door": longer}))
    rig.decide(1)
    last = rig.decide(2)
    wait_until(lambda: rig.said().count("locked") == 2, "opened and shut")
    assert rig.said() == ["locked", "unlocked", "unlocked", "locked"]
    assert rig.states[-1].cause == last.event_id
    assert rig.opened == 1


@pytest.mark.parametrize("allowed", [True, False])
def test_who_signs_nothing_can_have_it_shut_where_that_is_allowed_and_never_opened(
    make_rig: MakeRig,
    door_config: Config,
    wait_until: Wait,
    caplog: pytest.LogCaptureFixture,
    allowed: bool,
) -> None:
    asked = {"pulse_s": 60, "shut_on_request": allowed}
    door = door_config.door.model_copy(update=asked)
    rig = make_rig(door_config.model_copy(update={"door": door}))

    def ask(word: bytes, *, retain: bool = False) -> None:
        assert rig.daemon.publish(TOPICS.ask_lock, word, qos=0, retain=retain)

    for word in (b"UNLOCK", b"OPEN", b"lock", b"", b"\xff" * 2000, b"LOCK"):
        ask(word)
    first = rig.decide(1)
    wait_until(lambda: rig.said() == ["locked", "unlocked"], "it opens")
    # A flood of it is one request, and pushes no decision out.
    for _ in range(3 * MAX_WAITING):
        ask(b"LOCK")
    if allowed:
        wait_until(lambda: rig.said()[-1] == "locked", "it shuts long before its time")
        assert rig.states[-1].cause == first.event_id
        assert not rig.pin_active
    ask(b"UNLOCK")
    second = rig.decide(2)
    wait_until(lambda: second.event_id in rig.opened_for, "it opens for a decision")
    assert rig.said() == ["locked", "unlocked", *(["locked"] * allowed), "unlocked"]
    assert rig.opened_for == [first.event_id, second.event_id]
    assert caplog.text.count("other than to shut: refused") == allowed


def test_a_request_that_was_left_lying_there_shuts_nothing(
    make_rig: MakeRig, door_config: Config, wait_until: Wait
) -> None:
    door = door_config.door.model_copy(update={"pulse_s": 60, "shut_on_request": True})
    rig = make_rig(door_config.model_copy(update={"door": door}))
    rig.decide(1)
    wait_until(lambda: rig.said() == ["locked", "unlocked"], "it opens")
    left = Arrival(TOPICS.ask_lock, b"LOCK", True, None, None)
    rig.app.heard(left)
    second = rig.decide(2)
    wait_until(lambda: second.event_id in rig.opened_for, "and is not shut")
    assert rig.said() == ["locked", "unlocked", "unlocked"]


def test_stopping_in_a_pulse_relocks_and_says_so(
    door_config: Config, make_rig: MakeRig, wait_until: Wait
) -> None:
    long = door_config.door.model_copy(update={"pulse_s": 60})
    rig = make_rig(door_config.model_copy(update={"door": long}))
    rig.decide(1)
    wait_until(lambda: rig.pin_active, "open")
    rig.app.stop()
    wait_until(lambda: not rig.running, "stopped")
    assert not rig.pin_active
    wait_until(lambda: rig.said()[-1] == "fault", "the last word is fault")
    assert rig.states[-1].cause == "stopped"
    assert rig.error is None


def test_a_bug_while_handling_a_message_leaves_the_door_shut(
    door_config: Config, make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = door_config.door.model_copy(update={"pulse_s": 60})
    rig = make_rig(door_config.model_copy(update={"door": long}))
    rig.decide(1)
    wait_until(lambda: rig.pin_active, "open")
    monkeypatch.setattr(Gate, "admit", lambda *_, **__: None)
    rig.decide(2)
    wait_until(lambda: not rig.running, "ended by the bug")
    assert isinstance(rig.error, AttributeError)
    assert not rig.pin_active
    wait_until(lambda: rig.said()[-1] == "fault", "the last word is fault")
    assert rig.states[-1].cause == "crashed"


def test_a_pin_that_does_not_obey_is_a_fault(
    make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenPin(MockPin):
        def _set_state(self, value: Any) -> None:
            if value:
                raise OSError("no answer")
            super()._set_state(value)

    monkeypatch.setattr(MockFactory, "__init__", _with_pins(BrokenPin))
    rig = make_rig()
    rig.decide(1)
    wait_until(lambda: not rig.running, "ended by the fault")
    assert isinstance(rig.error, OneglanceError)
    wait_until(lambda: rig.said()[-1] == "fault", "says fault")
    assert rig.states[-1].cause == "the pin did not obey"
    assert rig.opened == 0


def test_a_pin_that_did_not_shut_ends_the_service_which_shuts_it(
    make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = 0

    class HiccupPin(MockPin):
        def _set_state(self, value: Any) -> None:
            nonlocal failing
            if value:
                # Both tries of the relock timer; the next one would be heard.
                failing = 2
            elif failing:
                failing -= 1
                raise OSError("no answer")
            super()._set_state(value)

    monkeypatch.setattr(MockFactory, "__init__", _with_pins(HiccupPin))
    rig = make_rig()
    rig.decide(1)
    wait_until(lambda: not rig.running, "ended by the fault")
    assert (rig.opened, failing) == (1, 0)
    assert not rig.pin_active
    assert isinstance(rig.error, OneglanceError)
    assert "GPIO17: the pin did not obey" in str(rig.error)
    wait_until(lambda: rig.said()[-1] == "fault", "says fault")
    assert rig.states[-1].cause == "the pin did not obey"


def test_if_the_relock_timer_dies_the_service_relocks(
    make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoTimer:
        daemon = False

        def __init__(self, *_: object) -> None: ...
        def start(self) -> None: ...
        def cancel(self) -> None: ...

    rig = make_rig()
    monkeypatch.setattr(threading, "Timer", NoTimer)
    rig.decide(1)
    wait_until(lambda: rig.said() == ["locked", "unlocked", "locked"], "opened and shut")
    assert not rig.pin_active
    assert rig.running


def test_a_corrupt_memory_is_a_fault_with_the_way_out(
    door_config: Config, make_rig: MakeRig, wait_until: Wait
) -> None:
    file = door_config.door.state_file
    file.parent.mkdir()
    file.write_text("abc")
    rig = make_rig()
    rig.decide(1)
    wait_until(lambda: not rig.running, "gives up")
    assert isinstance(rig.error, ConfigError)
    assert "delete this file" in str(rig.error)
    wait_until(lambda: rig.said()[-1:] == ["fault"], "says fault")
    assert rig.states[-1].cause.startswith("the lock's memory is corrupt")
    assert not rig.pin_active
    assert file.read_text() == "abc"


def test_a_memory_that_fails_later_keeps_the_door_shut(
    door_config: Config, make_rig: MakeRig, wait_until: Wait
) -> None:
    rig = make_rig()
    file = door_config.door.state_file
    (file.parent / ".new-sequence").mkdir()
    rig.decide(1)
    wait_until(lambda: not rig.running, "gives up")
    assert isinstance(rig.error, OneglanceError)
    assert rig.opened == 0
    wait_until(lambda: rig.said()[-1] == "fault", "says fault")


def test_a_decision_that_expires_while_it_is_remembered_does_not_open(
    make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SequenceMemory.store
    ahead_s = 0.0
    rig = make_rig(
        wall=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
        monotonic_s=lambda: time.monotonic() + ahead_s,
    )

    def slow(self: SequenceMemory, sequence: int) -> None:
        nonlocal ahead_s
        ahead_s += 8.0 if sequence == 1 else 0.0
        store(self, sequence)

    monkeypatch.setattr(SequenceMemory, "store", slow)
    rig.decide(1)
    wait_until(lambda: ahead_s > 0, "remembered")
    later = datetime.now(UTC) + timedelta(seconds=ahead_s)
    valid = rig.decide(2, issued_at=later, expires_at=later + timedelta(seconds=5))
    wait_until(lambda: rig.said().count("locked") == 2, "a valid decision opens and shuts")
    assert rig.opened_for == [valid.event_id]


def test_a_clock_that_jumps_shuts_out_even_what_looks_fresh(
    make_rig: MakeRig, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    back = timedelta()
    stopped_s: float | None = None
    rig = make_rig(
        wall=lambda: datetime.now(UTC) - back,
        monotonic_s=lambda: time.monotonic() if stopped_s is None else stopped_s,
    )
    settle(rig, wait_until, 1)
    # The clock is set back by an hour: an old decision looks fresh. The time for which nothing
    # counts then does not end on a slow machine either.
    stopped_s, back = time.monotonic(), timedelta(hours=1)
    old = datetime.now(UTC) - back
    rig.decide(2, issued_at=old, expires_at=old + timedelta(seconds=5))
    wait_until(lambda: "clock was just set" in caplog.text, "refused")
    assert rig.opened == 1


def test_garbage_never_opens_and_never_ends_the_service(
    make_rig: MakeRig, wait_until: Wait
) -> None:
    rig = make_rig()
    valid = sign(make_decision(1), rig.key)
    body = json.loads(valid)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        st.one_of(
            st.binary(max_size=200),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
            ).map(lambda value: json.dumps(value).encode()),
            st.tuples(
                st.sampled_from(sorted(body)), st.none() | st.integers() | st.text(max_size=9)
            ).map(lambda change: json.dumps(body | dict([change])).encode()),
            st.tuples(st.integers(0, len(valid) - 1), st.integers(1, 255)).map(
                lambda at: valid[: at[0]] + bytes([valid[at[0]] ^ at[1]]) + valid[at[0] + 1 :]
            ),
            st.integers(0, len(valid) - 1).map(lambda cut: valid[:cut]),
            st.just(b"[" * 9000),
        )
    )
    def throw(payload: bytes) -> None:
        if _same_content(payload, body):
            return
        wait_until(lambda: rig.app.waiting < MAX_WAITING // 2, "none is dropped")
        rig.send(payload)

    throw()
    wait_until(lambda: rig.app.waiting == 0, "all judged")
    last = settle(rig, wait_until, 2)
    assert rig.opened_for == [last]


def _same_content(payload: bytes, body: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(payload) == body)
    except (ValueError, RecursionError):
        return False


def test_a_flood_does_not_pile_up(
    make_rig: MakeRig,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = make_rig()
    release = threading.Event()

    def slow(_gate: Gate, _payload: bytes, *, retained: bool) -> None:
        release.wait(20)
        raise MessageError("judged")

    monkeypatch.setattr(Gate, "admit", slow)
    for _ in range(200):
        rig.daemon.publish(TOPICS.decision, b"x", qos=0)
    wait_until(lambda: "one is dropped" in caplog.text, "what is too much is dropped")
    assert rig.app.waiting <= MAX_WAITING
    release.set()
    wait_until(lambda: rig.app.waiting == 0, "drained")


def test_without_a_broker_it_waits_shut_and_works_when_one_comes(
    door_config: Config, make_rig: MakeRig, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    with embedded_broker() as mqtt:
        pass
    config = door_config.model_copy(update={"mqtt": mqtt})
    rig = Rig(config, key_files[0])
    rig.daemon.start()
    rig.start_door()
    try:
        with embedded_broker(port=mqtt.port):
            wait_until(lambda: rig.said() == ["locked"], "connected at last")
            settle(rig, wait_until, 1)
            rig.stop()
    finally:
        rig.stop()


def test_a_broker_lost_in_a_pulse_does_not_keep_the_door_open(
    door_config: Config, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    # Open for long enough that the broker dies meanwhile.
    door = door_config.door.model_copy(update={"pulse_s": 1.0})
    with embedded_broker() as mqtt:
        rig = Rig(door_config.model_copy(update={"mqtt": mqtt, "door": door}), key_files[0])
        rig.start()
        wait_until(lambda: rig.said() == ["locked"], "locked")
        rig.decide(1)
        # It may have shut again before anybody looks.
        wait_until(lambda: rig.opened == 1, "open")
    try:
        wait_until(lambda: not rig.pin_active, "relocked without a broker")
        assert rig.running
    finally:
        rig.stop()


def test_systemd_hears_ready_watchdog_and_stopping(
    door_config: Config, tmp_path: Path, wait_until: Wait
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        app = DoorApp(door_config, factory=MockFactory(), notifier=notifier)
        heard: list[bytes] = []
        thread = threading.Thread(target=app.run)
        thread.start()
        while not {b"READY=1", b"WATCHDOG=1", b"STATUS=locked"} <= set(heard):
            heard.append(manager.recv(4096))
        app.stop()
        thread.join(20)
        while heard[-1] != b"STOPPING=1":
            heard.append(manager.recv(4096))
    assert heard.index(b"READY=1") < heard.index(b"WATCHDOG=1")


def test_the_watchdog_is_not_fed_for_a_deaf_lock(
    make_rig: MakeRig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig()
    monkeypatch.setattr(Link, "alive", property(lambda _self: False))
    wait_until(lambda: not rig.running, "a dead network thread ends the service")
    assert "network thread" in str(rig.error)


def test_a_missing_public_key_is_one_clear_error(door_config: Config, tmp_path: Path) -> None:
    door = door_config.door.model_copy(update={"public_key_file": tmp_path / "none.pub"})
    with pytest.raises(ConfigError, match="public key is missing"):
        DoorApp(door_config.model_copy(update={"door": door}), factory=MockFactory())


@pytest.mark.parametrize("missing", ["public key", "password", "certificates"])
def test_a_start_that_fails_has_shut_what_a_killed_predecessor_left_open(
    door_config: Config, tmp_path: Path, missing: str
) -> None:
    nowhere = tmp_path / "nowhere"
    door, mqtt = door_config.door, door_config.mqtt
    if missing == "public key":
        door = door.model_copy(update={"public_key_file": nowhere})
    elif missing == "password":
        mqtt = mqtt.model_copy(update={"user": "lock", "password_file": nowhere})
    else:
        mqtt = mqtt.model_copy(update={"tls": True, "ca_file": nowhere})
    factory = MockFactory()
    pin = factory.pin("GPIO17")
    pin.function, pin.state = "output", True
    with pytest.raises(ConfigError, match=str(nowhere)):
        DoorApp(door_config.model_copy(update={"door": door, "mqtt": mqtt}), factory=factory)
    assert not pin.state
    # And the pin is free again.
    Lock(door_config.door, factory, lambda _: None).close()


def test_a_key_that_is_revoked_while_the_lock_runs_opens_nothing_more(
    make_rig: MakeRig,
    door_config: Config,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    wait_until: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    new = Ed25519PrivateKey.generate()
    began = datetime(2026, 1, 1, tzinfo=UTC)
    both = Keyring.of(load_public_key(key_files[1]), "old").with_entry(
        entry("new", Role.DAEMON, new.public_key(), began)
    )
    file = tmp_path / "keyring.json"
    write_keyring(file, both)
    door = door_config.door.model_copy(update={"public_key_file": file})
    rig = make_rig(door_config.model_copy(update={"door": door}))
    settle(rig, wait_until, 1)
    revoked = both.changed("old", revoked_at=began)
    write_keyring(file, revoked)
    wait_until(lambda: rig.app.keys == revoked, "the lock has read the keyring again")
    rig.decide(2)
    rig.key = new
    settle(rig, wait_until, 3)
    assert "signed with the key 'old', which was revoked" in caplog.text
    file.write_text("{")
    wait_until(lambda: rig.app.keys == Keyring(), "a keyring that is none counts for nothing")
    rig.decide(4)
    write_keyring(file, revoked)
    wait_until(lambda: rig.app.keys == revoked, "back")
    settle(rig, wait_until, 5)


def test_a_thief_who_used_up_all_numbers_is_got_over_by_a_new_key_and_a_new_memory(
    make_rig: MakeRig,
    door_config: Config,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    wait_until: Wait,
) -> None:
    new, began = Ed25519PrivateKey.generate(), datetime(2026, 1, 1, tzinfo=UTC)
    both = Keyring.of(load_public_key(key_files[1]), "old").with_entry(
        entry("new", Role.DAEMON, new.public_key(), began)
    )
    file = tmp_path / "keyring.json"
    write_keyring(file, both)
    door = door_config.door.model_copy(update={"public_key_file": file})
    config = door_config.model_copy(update={"door": door})
    first = make_rig(config)
    settle(first, wait_until, 2**53 - 1)
    write_keyring(file, both.changed("old", revoked_at=began))
    first.stop_door()
    door.state_file.unlink()
    second = make_rig(config)
    second.decide(2**53 - 1)
    second.key = new
    opened_for = settle(second, wait_until, 7)
    assert second.opened_for == [opened_for]


def test_the_lock_logs_no_name(
    make_rig: MakeRig, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig = make_rig()
    settle(rig, wait_until, 2)
    refused = make_decision(sequence=1)
    rig.send(sign(refused, rig.key))
    settle(rig, wait_until, 3)
    assert "already" in caplog.text or "sequence" in caplog.text
    name = str(refused.person_name).lower().split()
    assert name == ["ada", "lovelace"]
    # Whole words: an event's number in hexadecimal may well have "ada" in it.
    assert not set(name) & set(re.findall(r"\w+", caplog.text.lower()))
