"""Keyrings: whose signature counts when, and what a gate makes of several keys."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_samples import KEYS, make_ring
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from wire_samples import TOPICS, make_decision

from oneglance.contract.gate import Gate
from oneglance.contract.keyring import (
    MAX_KEYS,
    MAX_SKEW,
    Keyring,
    Role,
    Standing,
    entry,
    parse_keyring,
)
from oneglance.contract.keyring_file import PinnedKeys, read_keyring, read_pins, write_keyring
from oneglance.contract.signing import sign
from oneglance.errors import ConfigError, MessageError

START = datetime(2026, 11, 24, 6, tzinfo=UTC)
OLD, NEW, OTHER = (Ed25519PrivateKey.generate() for _ in range(3))
DAY = timedelta(days=1)


def rotated() -> Keyring:
    """Two keys of a daemon: the old one ends a day after START, the new one counts from START."""
    return Keyring(
        keys=(
            entry("old", Role.DAEMON, OLD.public_key(), START - 30 * DAY, START + DAY),
            entry("new", Role.DAEMON, NEW.public_key(), START),
            entry("screen", Role.KIOSK, OTHER.public_key(), START),
        )
    )


class House:
    """A gate with a keyring, and the daemons that sign for it."""

    def __init__(self, ring: Keyring, now: datetime = START) -> None:
        self.now, self.monotonic_s, self.sequence = now, 0.0, 0
        self.gate = Gate(TOPICS, ring, lambda: self.now, lambda: self.monotonic_s)

    def decide(self, key: Ed25519PrivateKey) -> None:
        self.sequence += 1
        at, until = self.now, self.now + timedelta(seconds=5)
        payload = sign(make_decision(self.sequence, issued_at=at, expires_at=until), key)
        self.gate.admit(payload, retained=False)


def test_both_keys_of_a_rotation_pass_while_they_overlap() -> None:
    house = House(rotated())
    house.decide(OLD)
    house.decide(NEW)
    house.decide(OLD)


@pytest.mark.parametrize(
    ("ring", "now", "why"),
    [
        (rotated(), START + DAY, "'old', which has expired"),
        (rotated().changed("old", revoked_at=START), START, "'old', which was revoked"),
        # What a revocation is dated is for people: it counts at once.
        (rotated().changed("old", revoked_at=START + DAY), START, "'old', which was revoked"),
        (rotated(), START - 31 * DAY, "'old', which does not count yet"),
    ],
)
def test_a_key_that_does_not_count_is_refused_by_its_id(
    ring: Keyring, now: datetime, why: str
) -> None:
    house = House(ring, now)
    with pytest.raises(MessageError, match=why):
        house.decide(OLD)


def test_a_refused_keys_decision_uses_up_no_sequence() -> None:
    house = House(rotated().changed("old", revoked_at=START))
    house.sequence = 1000
    with pytest.raises(MessageError, match="revoked"):
        house.decide(OLD)
    house.sequence = 0
    house.decide(NEW)


def test_there_is_one_sequence_over_all_keys() -> None:
    house = House(rotated())
    house.sequence = 5
    house.decide(NEW)
    house.sequence = 3
    with pytest.raises(MessageError, match="a replay"):
        house.decide(OLD)


def test_a_key_of_another_role_signs_no_decision() -> None:
    with pytest.raises(MessageError, match="does not match"):
        House(rotated()).decide(OTHER)


def test_an_expired_key_stays_expired_when_the_clock_goes_back() -> None:
    house = House(rotated(), START + 2 * DAY)
    house.gate.tick()
    house.now -= 2 * DAY
    for _ in range(40):
        house.monotonic_s += 0.5
        house.now += timedelta(seconds=0.5)
        house.gate.tick()
    with pytest.raises(MessageError, match="'old', which has expired"):
        house.decide(OLD)


MOMENTS = st.integers(-100, 100).map(lambda seconds: START + timedelta(seconds=seconds))


@settings(max_examples=200)
@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
def test_a_key_counts_between_its_times_and_never_once_revoked(
    first: datetime, last: datetime | None, revoked: datetime | None, now: datetime
) -> None:
    if last is not None and last <= first:
        with pytest.raises(ValidationError, match="must lie after"):
            entry("a", Role.DAEMON, NEW.public_key(), first, last)
        return
    key = entry("a", Role.DAEMON, NEW.public_key(), first, last)
    key = key.model_copy(update={"revoked_at": revoked})
    counts = revoked is None and first - MAX_SKEW <= now and (last is None or now < last)
    assert (key.standing(now) is Standing.VALID) == counts


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    write_keyring(path, rotated())
    assert read_keyring(path) == rotated() == read_pins(path)
    assert path.stat().st_mode & 0o777 == 0o644


def body() -> dict[str, Any]:
    ring: dict[str, Any] = json.loads(rotated().to_text())
    return ring


FIRST, SECOND = body()["keys"][:2]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"v": 2}, "v: Input should be 1"),
        ({"kind": "decision"}, "kind: Input should be 'keyring'"),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"keys": None}, "keys: Input should be a valid array"),
        ({"keys": [FIRST | {"role": "owner"}]}, "keys.0.role"),
        ({"keys": [FIRST | {"id": "a/b"}]}, "keys.0.id"),
        ({"keys": [FIRST | {"public_key": "AAAA"}]}, "raw Ed25519 public key"),
        ({"keys": [FIRST | {"public_key": "A" * 42 + "B="}]}, "raw Ed25519 public key"),
        ({"keys": [FIRST | {"not_before": "2026-01-01T00:00:00"}]}, "keys.0.not_before"),
        ({"keys": [FIRST | {"note": "mine"}]}, "keys.0.note: Extra inputs"),
        ({"keys": [{k: v for k, v in FIRST.items() if k != "revoked_at"}]}, "revoked_at: Field"),
        ({"keys": [FIRST, SECOND | {"id": "old"}]}, "the same id stands twice"),
        ({"keys": [FIRST, FIRST | {"id": "new"}]}, "the same public_key stands twice"),
        ({"keys": [FIRST] * (MAX_KEYS + 1)}, "at most 64 items"),
    ],
    ids=range(14),
)
def test_a_keyring_of_another_shape_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_keyring(json.dumps(body() | change).encode())
    assert caught.value.what.startswith("not a keyring: ")
    assert why in caught.value.what


@pytest.mark.parametrize("missing", ["v", "kind", "keys"])
def test_a_keyring_says_what_it_is(missing: str) -> None:
    ring = body()
    del ring[missing]
    with pytest.raises(ConfigError, match="not a keyring"):
        parse_keyring(json.dumps(ring).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xef\xbb\xbf{}", b"{" * 20_000, b" " * 70_000])
def test_what_is_no_keyring_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(ConfigError, match="keyring"):
        parse_keyring(data)


def test_a_member_that_stands_twice_is_refused() -> None:
    text = rotated().to_text().replace('"v": 1,', '"v": 1, "v": 1,')
    with pytest.raises(ConfigError, match="not a keyring"):
        parse_keyring(text.encode())


def test_every_beginning_of_a_keyring_is_refused() -> None:
    whole = rotated().to_text().strip().encode()
    for length in range(len(whole)):
        with pytest.raises(ConfigError):
            parse_keyring(whole[:length])


def test_a_single_public_key_is_a_daemons_without_limits(key_files: tuple[Path, Path]) -> None:
    (key,) = read_pins(key_files[1]).keys
    assert (key.id, key.role, key.not_after) == ("signing", Role.DAEMON, None)
    assert key.standing(START) is Standing.VALID


def test_a_consumer_needs_a_daemons_key(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    write_keyring(path, Keyring(keys=rotated().keys[2:]))
    with pytest.raises(ConfigError, match="no key of a daemon"):
        read_pins(path)


def test_a_key_may_have_counted_since_the_beginning_of_time(key_files: tuple[Path, Path]) -> None:
    old = entry("old", Role.DAEMON, OLD.public_key(), datetime.min.replace(tzinfo=UTC))
    assert old.standing(START) is Standing.VALID


def test_pins_that_cannot_even_be_looked_for_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / ("k" * 300)
    with pytest.raises(ConfigError, match="cannot read it"):
        read_pins(path)
    assert PinnedKeys(path).current() == Keyring()


def test_keys_that_were_never_there_are_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keyring.json"
    pins = PinnedKeys(path, read_keyring)
    assert not pins.lost
    assert caplog.records == []
    path.write_text("{")
    assert pins.lost
    write_keyring(path, rotated())
    assert not pins.lost
    path.unlink()
    assert pins.lost
    write_keyring(path, rotated())
    assert not pins.lost
    path.chmod(0o646)
    assert pins.lost


def test_keys_that_cannot_even_be_looked_for_may_be_lost(tmp_path: Path) -> None:
    assert PinnedKeys(tmp_path / ("k" * 300) / "keyring.json", read_keyring).lost
    loop = tmp_path / "keyring.json"
    loop.symlink_to(loop)
    assert PinnedKeys(loop, read_keyring).lost


def test_keys_that_everybody_can_change_count_for_nothing(
    tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    path = tmp_path / "keyring.json"
    write_keyring(path, rotated())
    pins = PinnedKeys(path)
    assert pins.current() == rotated()
    for file in (path, key_files[1]):
        file.chmod(0o646)
        with pytest.raises(ConfigError, match="everybody on this machine can change it") as told:
            read_pins(file)
        assert told.value.fix.endswith(f"chmod 644 {file}")
    assert pins.current() == Keyring()
    with pytest.raises(ConfigError, match="everybody"):
        read_keyring(path)
    path.chmod(0o664)
    assert pins.current() == rotated()


def test_one_key_stands_under_one_id() -> None:
    ring = make_ring()
    other = entry("mallory", Role.ADMINISTRATOR, KEYS[Role.KIOSK].public_key(), START)
    with pytest.raises(ConfigError, match="already, as 'kiosk'"):
        ring.with_entry(other)


def test_a_changed_file_counts_and_a_bad_one_counts_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keyring.json"
    write_keyring(path, rotated())
    pins = PinnedKeys(path)
    assert pins.current() == rotated()
    revoked = rotated().changed("old", revoked_at=START)
    write_keyring(path, revoked)
    assert pins.current() == revoked
    path.write_text("{")
    for _ in range(3):
        assert pins.current() == Keyring()
    path.unlink()
    assert pins.current() == Keyring()
    errors = [r.message for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 2
    write_keyring(path, revoked)
    assert pins.current() == revoked
