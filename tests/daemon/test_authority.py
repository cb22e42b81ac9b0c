"""Who may give a command, and that each counts once, whatever the clock and the disk do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_samples import KEYS, make_command, make_ring
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import TOPICS

from oneglance.clocks import Clocks
from oneglance.contract.commands import (
    MAX_COMMAND_BYTES,
    MAX_SHORT_COMMAND_BYTES,
    Code,
    Command,
    CommandWriter,
)
from oneglance.contract.keyring import Keyring, Role
from oneglance.contract.signing import sign
from oneglance.daemon.voice.authority import Authority, Order
from oneglance.daemon.voice.nonces import MAX_NONCES, NonceFile, Nonces
from oneglance.daemon.voice.rate import BURST, PER_S, TokenBucket
from oneglance.daemon.voice.verbs import CommandRefusedError, Verb, only, text_of
from oneglance.errors import AuditError, MessageError, StateError

START = datetime(2026, 11, 24, 6, tzinfo=UTC)
VERBS = {
    "reload": Verb(frozenset({Role.ADMINISTRATOR}), lambda _args, _sender: "done"),
    "claim": Verb(frozenset({Role.KIOSK, Role.READER}), lambda _args, _sender: "done"),
}


class Memory(NonceFile):
    """The file, without the disk: what `save` was given is there after a restart."""

    def __init__(self, data: bytes | None = None) -> None:
        super().__init__(Path("commands"))
        self.data = data
        self.full = False

    def load(self) -> Nonces | None:
        if self.data is None:
            return Nonces()
        try:
            return Nonces.from_bytes(self.data)
        except (ValueError, TypeError):
            return None

    def save(self, data: bytes) -> None:
        if self.full:
            raise StateError("cannot keep the memory of commands")
        self.data = data


@dataclass
class House:
    """An authority with clocks in the test's hand, which can be restarted."""

    memory: NonceFile = field(default_factory=Memory)
    ring: Keyring = field(default_factory=make_ring)
    wall: datetime = START
    monotonic_s: float = 100.0
    # What the audit log says of the last command, and whether it can be asked.
    logged: datetime | None = None
    log_works: bool = True

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        clocks = Clocks(lambda: self.wall, lambda: self.monotonic_s)
        self.authority = Authority(
            TOPICS, lambda: self.ring, VERBS, self.memory, clocks, self.last_logged
        )

    def last_logged(self) -> datetime | None:
        if not self.log_works:
            raise AuditError("it is broken")
        return self.logged

    def wait(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def run(self, seconds: float) -> None:
        for _ in range(round(2 * seconds)):
            self.wait(0.5)
            self.authority.tick()

    def payload(self, role: Role = Role.ADMINISTRATOR, **changes: Any) -> bytes:
        command = make_command(self.wall, **({"key_id": role} | changes))
        return sign(command, KEYS[role])

    def try_out(self, payload: bytes, verb: str = "reload") -> str:
        """The code that a command comes to."""
        try:
            self.authority.confirm(self.authority.admit(verb, payload))
        except CommandRefusedError as refusal:
            return refusal.code
        except StateError:
            return "state_error"
        except AuditError:
            return "audit_error"
        self.logged = self.authority.latest
        return "ok"


def test_a_fresh_signed_command_may_be_carried_out_once() -> None:
    house = House()
    payload = house.payload()
    order = house.authority.admit("reload", payload)
    assert (order.verb, order.sender.key_id, order.sender.role) == (
        "reload",
        "administrator",
        Role.ADMINISTRATOR,
    )
    house.authority.confirm(order)
    assert house.try_out(payload) == "replayed"


def test_what_only_a_screen_or_a_reader_sends_is_short() -> None:
    house = House()
    long = {"pin": "1" * MAX_SHORT_COMMAND_BYTES}
    assert (
        house.try_out(house.payload(Role.KIOSK, verb="claim", args=long), "claim") == "not_signed"
    )
    assert house.try_out(house.payload(args=long)) == "ok"


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_ask_for_its_own_verbs_only(role: Role, verb: str) -> None:
    house = House()
    allowed = role in VERBS[verb].roles
    assert house.try_out(house.payload(role, verb=verb), verb) == (
        "ok" if allowed else "not_allowed"
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"site": "office"}, "wrong_door"),
        ({"door": "back"}, "wrong_door"),
        ({"verb": "claim"}, "wrong_door"),
        ({"key_id": "nobody"}, "unknown_key"),
        ({"key_id": "kiosk"}, "not_signed"),
        ({"issued_at": START + timedelta(seconds=2.001)}, "expired"),
        ({"issued_at": START + timedelta(seconds=2)}, "ok"),
        ({"issued_at": START - timedelta(seconds=4.999)}, "ok"),
        ({"issued_at": START - timedelta(seconds=5)}, "expired"),
    ],
    ids=str,
)
def test_what_is_not_for_this_door_and_moment_is_refused(
    changes: dict[str, Any], code: str
) -> None:
    house = House()
    if "issued_at" in changes:
        command = make_command(**changes)
        assert house.try_out(sign(command, KEYS[Role.ADMINISTRATOR])) == code
    else:
        assert house.try_out(house.payload(**changes)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"revoked_at": START}, "revoked"),
        ({"not_after": START}, "expired"),
        ({"not_before": START + timedelta(hours=1)}, "not_allowed"),
    ],
    ids=lambda value: str(value),
)
def test_a_key_that_does_not_count_commands_nothing(
    changes: dict[str, datetime], code: str
) -> None:
    house = House(ring=make_ring().changed("administrator", **changes))
    with pytest.raises(CommandRefusedError) as caught:
        house.authority.admit("reload", house.payload())
    assert caught.value.code == code
    assert caught.value.key_id == "administrator"


def test_a_key_that_is_revoked_meanwhile_commands_nothing_more() -> None:
    house = House()
    assert house.try_out(house.payload()) == "ok"
    house.ring = house.ring.changed("administrator", revoked_at=house.wall)
    assert house.try_out(house.payload()) == "revoked"


def test_a_life_of_more_than_ten_seconds_is_no_command() -> None:
    with pytest.raises(ValueError, match="at most 10 seconds"):
        make_command(START, expires_at=START + timedelta(seconds=10.001))
    house = House()
    body = make_command(START).model_copy(update={"expires_at": START + timedelta(seconds=11)})
    assert house.try_out(sign(body, KEYS[Role.ADMINISTRATOR])) == "bad_arguments"


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_is_never_a_command(data: st.DataObject) -> None:
    house = House()
    payload = bytearray(house.payload())
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    changed = bytes(payload)
    assert house.try_out(changed) in {"not_signed", "unknown_key"}


def test_a_command_of_another_kind_of_message_is_refused() -> None:
    from wire_samples import make_decision

    house = House()
    decision = json.loads(sign(make_decision(1), KEYS[Role.ADMINISTRATOR]))
    assert house.try_out(json.dumps(decision).encode()) == "unknown_key"
    assert house.try_out(b"x" * (MAX_COMMAND_BYTES + 1)) == "not_signed"


def test_what_waits_too_long_for_its_turn_is_not_carried_out() -> None:
    house = House()
    order = house.authority.admit("reload", house.payload())
    house.wait(5)
    with pytest.raises(CommandRefusedError) as caught:
        house.authority.confirm(order)
    assert caught.value.code == Code.EXPIRED


def test_what_cannot_be_remembered_is_not_carried_out() -> None:
    memory = Memory()
    house = House(memory)
    memory.full = True
    payload = house.payload()
    assert house.try_out(payload) == "state_error"
    memory.full = False
    assert house.try_out(payload) == "replayed"
    assert house.try_out(house.payload()) == "ok"


def test_a_clock_that_was_set_stops_commands_for_a_while() -> None:
    house = House()
    house.authority.tick()
    house.wall += timedelta(minutes=5)
    assert house.try_out(house.payload()) == "clock_set"
    house.run(11)
    assert house.try_out(house.payload()) == "ok"


def test_the_memory_is_on_a_real_disk_and_survives_a_restart(tmp_path: Path) -> None:
    house = House(NonceFile(tmp_path / "commands"))
    payload = house.payload()
    assert house.try_out(payload) == "ok"
    house.restart()
    assert house.try_out(payload) == "replayed"
    assert (tmp_path / "commands").stat().st_mode & 0o777 == 0o600
    (tmp_path / "commands").unlink()
    (tmp_path / "commands").mkdir()
    with pytest.raises(StateError, match="cannot read the memory of commands"):
        house.restart()
    assert house.try_out(house.payload()) == "state_error"


def test_a_memory_torn_at_any_byte_lets_no_command_through_twice() -> None:
    memory = Memory()
    house = House(memory)
    payload = house.payload()
    assert house.try_out(payload) == "ok"
    whole = memory.data
    assert whole is not None
    for length in range(len(whole)):
        torn = House(Memory(whole[:length]), wall=house.wall)
        assert torn.try_out(payload) == "busy"
        torn.run(12)
        assert torn.try_out(payload) == "expired"
        assert torn.try_out(torn.payload()) == "ok"


@pytest.mark.parametrize("left", [b"{", None, "older"])
def test_a_damaged_memory_and_a_clock_that_was_set_back_make_no_command_fresh_again(
    left: bytes | str | None,
) -> None:
    memory = Memory()
    house = House(memory)
    assert house.try_out(house.payload()) == "ok"
    older = memory.data
    house.run(30)
    payload = house.payload()
    assert house.try_out(payload) == "ok"
    house.run(1)
    # The power goes, and by when the memory is open again the command was just recorded.
    memory.data = older if left == "older" else left  # type: ignore[assignment]
    house.wall -= timedelta(seconds=15)
    house.restart()
    for _ in range(60):
        assert house.try_out(payload) in {"busy", "expired"}
        house.run(0.5)
    # It is got over without anybody's help, once the clock has caught up.
    assert house.try_out(house.payload()) == "ok"


def test_while_the_log_cannot_be_asked_no_command_is_carried_out() -> None:
    house = House()
    assert house.try_out(house.payload()) == "ok"
    house.log_works = False
    house.restart()
    assert house.try_out(house.payload()) == "audit_error"
    house.log_works = True
    assert house.try_out(house.payload()) == "ok"


def test_only_what_is_on_disk_is_called_the_latest(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    house = House(memory)
    assert house.authority.latest is None
    memory.full = True
    assert house.try_out(house.payload()) == "state_error"
    assert house.authority.latest is None
    memory.full = False
    assert house.try_out(house.payload()) == "ok"
    assert house.authority.latest == house.wall
    assert not caplog.records
    house.wall -= timedelta(hours=1)
    house.restart()
    assert "oneglance audit accept-clock" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b'{"v":2,"latest":"2026-11-24T06:00:00+00:00","nonces":{}}',
        b'{"v":1,"latest":"2026-11-24T06:00:00","nonces":{}}',
        b'{"v":1,"latest":1,"nonces":{}}',
        b'{"v":1,"latest":"2026-11-24T06:00:00+00:00","nonces":{"x":"2026-11-24T06:00:00+00:00"}}',
        b"\xff",
    ],
)
def test_a_memory_of_another_shape_is_a_damaged_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "commands").write_bytes(data)
    assert NonceFile(tmp_path / "commands").load() is None


STORY = st.lists(
    st.one_of(
        st.just("new"),
        st.just("replay"),
        st.just("restart"),
        st.floats(0.0, 15.0).map(lambda s: ("wait", s)),
        st.floats(-60.0, 60.0).map(lambda s: ("set", s)),
        st.floats(-60.0, 60.0).map(lambda s: ("restart with the clock set", s)),
        st.floats(-60.0, 60.0).map(lambda s: ("restart with the memory torn", s)),
        st.floats(-60.0, 60.0).map(lambda s: ("restart with the memory gone", s)),
        st.floats(-60.0, 60.0).map(lambda s: ("restart with the memory put back", s)),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STORY)
def test_no_command_is_carried_out_twice_whatever_happens_to_clock_and_process(
    story: list[Any],
) -> None:
    memory = Memory()
    house = House(memory)
    sent: list[bytes] = []
    done: set[bytes] = set()
    old: bytes | None = None
    for event in story:
        if event == "new":
            sent.append(house.payload())
        if event in ("new", "replay"):
            for payload in sent:
                if house.try_out(payload) == "ok":
                    assert payload not in done
                    done.add(payload)
        elif event == "restart":
            house.restart()
        elif isinstance(event, tuple):
            what, seconds = event
            if what == "wait":
                house.run(seconds)
            else:
                house.wall += timedelta(seconds=seconds)
            if what.endswith("torn"):
                memory.data = b"{"
            elif what.endswith("gone"):
                memory.data = None
            elif what.endswith("put back"):
                memory.data = old
            old = memory.data if what == "wait" else old
            if what.startswith("restart"):
                house.restart()
        kept = memory.load()
        assert kept is None or len(kept) <= BURST + 60 * PER_S


def test_the_memory_is_bounded() -> None:
    memory = Memory()
    house = House(memory)
    for _ in range(200):
        assert house.try_out(house.payload()) == "ok"
        house.run(0.5)
    assert memory.data is not None
    assert len(Nonces.from_bytes(memory.data)) <= 5 / 0.5 + 1
    nonces = Nonces()
    for number in range(MAX_NONCES):
        nonces.add(f"{number:032x}", START)
    assert nonces.full


def test_one_key_that_floods_does_not_use_up_anothers_rate() -> None:
    house = House()
    codes = [house.try_out(house.payload(Role.KIOSK, verb="claim"), "claim") for _ in range(30)]
    assert codes == ["ok"] * BURST + ["rate_limited"] * (30 - BURST)
    assert house.try_out(house.payload(Role.READER, verb="claim"), "claim") == "ok"
    # Neither replays nor forgeries cost the honest key anything.
    house.run(30)
    payload = house.payload(Role.KIOSK, verb="claim")
    assert house.try_out(payload, "claim") == "ok"
    for _ in range(50):
        assert house.try_out(payload, "claim") == "replayed"
        assert house.try_out(b"{}", "claim") == "not_signed"
    assert house.try_out(house.payload(Role.KIOSK, verb="claim"), "claim") == "ok"


@settings(max_examples=200)
@given(st.lists(st.floats(0.0, 3.0), max_size=100))
def test_a_bucket_gives_its_burst_and_its_rate_and_no_more(pauses: list[float]) -> None:
    bucket, now_s, taken = TokenBucket(), 50.0, []
    for pause in pauses:
        now_s += pause
        if bucket.take(now_s):
            taken.append(now_s)
    for first, start_s in enumerate(taken):
        for last in range(first, len(taken)):
            span_s = taken[last] - start_s
            assert last - first + 1 <= BURST + PER_S * span_s + 1e-6


def test_a_bucket_whose_clock_stands_still_gives_its_burst() -> None:
    bucket = TokenBucket(burst=3, per_s=1)
    assert [bucket.take(7.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [bucket.take(8.0) for _ in range(2)] == [True, False]


def test_a_verb_reads_its_arguments_strictly() -> None:
    assert text_of({"id": "ada"}, "id") == "ada"
    for args in ({}, {"id": ""}, {"id": 5}, {"id": "x" * 201}, {"id": None}):
        with pytest.raises(CommandRefusedError, match="'id' has to be a text"):
            text_of(args, "id")
    only({"id": "ada"}, "id", "name")
    with pytest.raises(CommandRefusedError, match="'open' is none of: id"):
        only({"open": True}, "id")


def test_the_writers_commands_are_good_and_never_alike() -> None:
    house = House()
    writer = CommandWriter(TOPICS, "administrator", KEYS[Role.ADMINISTRATOR], lambda: house.wall)
    first, second = writer.write("reload"), writer.write("reload")
    assert first != second
    assert [house.try_out(first), house.try_out(second)] == ["ok", "ok"]


@pytest.mark.parametrize(
    "args",
    [{"Bad": 1}, {"x": float("nan")}, {"x": 10**400}, {f"a{n}": n for n in range(9)}, {"x": {}}],
    ids=str,
)
def test_the_writer_refuses_what_no_command_can_carry(args: dict[str, Any]) -> None:
    writer = CommandWriter(TOPICS, "me", Ed25519PrivateKey.generate())
    with pytest.raises(MessageError, match="no valid command: args"):
        writer.write("reload", **args)


def test_the_writer_keeps_values_out_of_its_errors_and_commands_small() -> None:
    writer = CommandWriter(TOPICS, "me", Ed25519PrivateKey.generate())
    with pytest.raises(MessageError) as caught:
        writer.write("claim", pin=("739154",) * 9)
    assert "739154" not in str(caught.value)
    with pytest.raises(MessageError, match="smaller photograph"):
        writer.write("enrol", photos=("x" * MAX_COMMAND_BYTES,))


def test_an_order_says_what_was_asked() -> None:
    house = House()
    payload = house.payload(Role.KIOSK, verb="claim", args={"pin": "1234", "n": 1, "l": ("a",)})
    order = house.authority.admit("claim", payload)
    assert isinstance(order, Order)
    assert order.args == {"pin": "1234", "n": 1, "l": ("a",)}
    assert Command.model_fields["args"].is_required()
