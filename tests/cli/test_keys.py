"""`oneglance keys` and `oneglance command`: from making a key to revoking it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_desk import serving
from typer.testing import CliRunner
from wire_samples import make_decision

from oneglance.audit.log import Audit
from oneglance.audit.segments import entries
from oneglance.cli import command, keys
from oneglance.cli.init import init
from oneglance.config import Config, load_config
from oneglance.contract.commands import Args
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import PinnedKeys, read_keyring, read_pins
from oneglance.contract.signing import load_public_key, load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.verbs import Sender, Verb
from oneglance.errors import BrokerError, ConfigError, MessageError, OneglanceError

TOPICS = Topics("home", "front")
RUNNER = CliRunner()


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The configuration of a new house."""
    init(tmp_path / "house", None, "home", "front", "0")
    return tmp_path / "house" / "oneglance.toml"


def run(house: Path, *words: str, answer: str = "") -> str:
    result = RUNNER.invoke(keys.app, [*words, "-c", str(house)], input=answer)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def listed(house: Path) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in json.loads(run(house, "list", "--json"))["keys"]}


def opens(house: Path, private: Path) -> bool:
    """Whether the house's lock believes a decision of this key."""
    now = datetime.now(UTC)
    gate = Gate(TOPICS, read_pins(load_config(house).door.public_key_file), lambda: now, lambda: 0)
    payload = sign(
        make_decision(1, issued_at=now, expires_at=now + timedelta(seconds=5)),
        load_signing_key(private),
    )
    try:
        gate.admit(payload, retained=False)
    except MessageError:
        return False
    return True


def test_where_there_is_an_audit_log_changes_of_keys_stand_in_it(
    house: Path, tmp_path: Path
) -> None:
    folder = load_config(house).audit_folder
    assert "the key 'reader' of the role reader;" in run(house, "make", "reader")
    assert not folder.exists()
    Audit(folder, lambda: datetime.now(UTC)).append("enrolment", {})
    run(house, "make", "kiosk", "--id", "hall")
    # A keyring elsewhere is none of this house's.
    RUNNER.invoke(keys.app, ["make", "kiosk", "--keyring", str(tmp_path / "ring.json")])
    run(house, "trust", str(tmp_path / "kiosk.pub"), "--role", "kiosk", "--id", "again")
    run(house, "revoke", "hall", "--yes")
    run(house, "rotate")
    said = [entry.body for entry in entries(folder) if entry.kind == "key_change"]
    assert [(body["action"], body["id"], body["role"]) for body in said] == [
        ("made", "hall", "kiosk"),
        ("trusted", "again", "kiosk"),
        ("revoked", "hall", "kiosk"),
        ("rotated", "daemon-2", "daemon"),
    ]
    (segment,) = folder.glob("*.jsonl")
    segment.chmod(0o644)
    assert "not in the audit log" in run(house, "revoke", "again", "--yes")
    assert listed(house)["again"]["standing"] == "revoked"


def test_a_new_house_has_one_key_for_each_who_needs_one(house: Path) -> None:
    found = listed(house)
    assert {key["id"]: key["role"] for key in found.values()} == {
        "daemon": "daemon",
        "administrator": "administrator",
        "kiosk": "kiosk",
    }
    assert {key["standing"] for key in found.values()} == {"valid"}
    table = run(house, "list")
    assert all(key["fingerprint"] in table for key in found.values())
    assert opens(house, house.with_name("signing.key"))


def test_a_key_is_made_whole_and_once(house: Path) -> None:
    run(house, "make", "reader", "--id", "gate", "--days", "30")
    private = house.with_name("gate.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = listed(house)["gate"]
    assert (key["role"], key["revoked_at"]) == ("reader", None)
    assert key["not_after"] > datetime.now(UTC).isoformat()
    before = private.read_bytes()
    with pytest.raises(ConfigError, match="a key 'administrator' in the keyring already"):
        run(house, "make", "administrator")
    with pytest.raises(ConfigError, match="'gate' in the keyring already"):
        run(house, "make", "kiosk", "--id", "gate")
    assert private.read_bytes() == before
    with pytest.raises(ConfigError, match="cannot name a key"):
        run(house, "make", "kiosk", "--id", "../gate")


def test_no_key_is_left_behind_when_the_keyring_cannot_be_written(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ConfigError("cannot write the keyring: No space left on device")

    monkeypatch.setattr("oneglance.contract.keyring_file.write_keyring", full)
    with pytest.raises(ConfigError, match="No space left"):
        run(house, "make", "reader", "--id", "gate")
    assert not list(house.parent.glob("gate.*"))


def test_a_public_key_made_elsewhere_is_trusted(house: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = RUNNER.invoke(
        keys.app, ["make", "kiosk", "--id", "hall", "--keyring", str(elsewhere / "keyring.json")]
    )
    assert made.exit_code == 0
    told = json.loads(run(house, "trust", str(elsewhere / "hall.pub"), "--role", "kiosk", "--json"))
    assert told["fingerprint"] == listed(house)["hall"]["fingerprint"]
    with pytest.raises(ConfigError, match="already"):
        run(house, "trust", str(elsewhere / "hall.pub"), "--role", "reader", "--id", "other")
    with pytest.raises(ConfigError, match="not an Ed25519 public key"):
        run(house, "trust", str(elsewhere / "hall.key"), "--role", "kiosk", "--id", "third")


def test_a_rotation_overlaps_and_then_the_old_key_is_over(house: Path) -> None:
    private, old = house.with_name("signing.key"), house.with_name("signing.old.key")
    before = private.read_bytes()
    former = os.umask(0o077)
    try:
        told = json.loads(run(house, "rotate", "--overlap", "3", "--json"))
    finally:
        os.umask(former)
    assert (told["old"], told["new"]) == ("daemon", "daemon-2")
    assert old.read_bytes() == before != private.read_bytes()
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in (private, old, *(one.with_suffix(".pub") for one in (private, old)))
    }
    # Locks and screens on this machine are other users, whoever rotates with whatever umask.
    modes["keyring.json"] = stat.S_IMODE(house.with_name("keyring.json").stat().st_mode)
    assert modes == {
        "signing.key": 0o600,
        "signing.old.key": 0o600,
        "signing.pub": 0o644,
        "signing.old.pub": 0o644,
        "keyring.json": 0o644,
    }
    # What 'oneglance audit accept-key' asks for, if the old one is revoked too early.
    assert load_public_key(old.with_suffix(".pub")) == load_signing_key(old).public_key()
    assert load_public_key(private.with_suffix(".pub")) == load_signing_key(private).public_key()
    assert opens(house, private)
    assert opens(house, old)
    ring = read_keyring(house.with_name("keyring.json"))
    later = datetime.now(UTC) + timedelta(days=3, seconds=1)
    assert [key.id for key in ring.valid(Role.DAEMON, later)] == ["daemon-2"]
    run(house, "revoke", "daemon", "--yes")
    assert opens(house, private)
    assert not opens(house, old)


def test_a_house_from_before_keyrings_can_rotate_too(house: Path) -> None:
    house.with_name("keyring.json").unlink()
    text = house.read_text()
    house.write_text(
        text.replace('public_key_file = "keyring.json"', 'public_key_file = "signing.pub"')
    )
    assert opens(house, house.with_name("signing.key"))
    said = run(house, "rotate")
    assert "door.public_key_file" in said
    assert "kiosk.public_key_file" in said
    house.write_text(text)
    assert opens(house, house.with_name("signing.key"))
    assert opens(house, house.with_name("signing.old.key"))


def test_revoking_asks_first_and_cannot_be_undone(house: Path) -> None:
    refused = RUNNER.invoke(keys.app, ["revoke", "kiosk", "-c", str(house)], input="n\n")
    assert refused.exit_code == 1
    assert listed(house)["kiosk"]["standing"] == "valid"
    run(house, "revoke", "kiosk", answer="y\n")
    revoked = listed(house)["kiosk"]
    assert revoked["standing"] == "revoked"
    run(house, "revoke", "kiosk")
    assert listed(house)["kiosk"] == revoked, "not from a later day on"
    with pytest.raises(ConfigError, match="in the keyring already"):
        run(house, "make", "kiosk")
    with pytest.raises(ConfigError, match="no key 'nobody'"):
        run(house, "revoke", "nobody", "--yes")
    assert "nobody gets in" in run(house, "revoke", "daemon", "--yes")


def desk(config: Config, verb: str, does: Callable[[Args, Sender], str]) -> Any:
    """A desk with one verb of its own, on the configuration's broker."""
    verbs = {verb: Verb(frozenset({Role.ADMINISTRATOR}), does)}
    ring = PinnedKeys(config.keyring_file, read_keyring)
    return serving(config.mqtt, verbs, ring.current, config.nonce_file)


@pytest.fixture
def connected(house: Path, broker: Any) -> Path:
    """The same house, whose broker runs."""
    house.write_text(house.read_text().replace("port = 1883", f"port = {broker.port}"))
    return house


def ask(house: Path, *words: str) -> tuple[int, str]:
    result = RUNNER.invoke(_command_app(), [*words, "-c", str(house)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _command_app() -> Any:
    import typer

    app = typer.Typer()
    app.command()(command.command)
    return app


def test_a_command_is_sent_and_its_answer_printed(connected: Path) -> None:
    heard: list[Args] = []

    def rename(args: Args, _sender: Sender) -> str:
        heard.append(args)
        return "is now called\nAda \x1b[31m"

    with desk(load_config(connected), "rename", rename):
        words = ("rename", "id=ada", "name=Ada King", "sure=true", "n:=5", "tags=a", "tags=b")
        code, said = ask(connected, *words)
        assert (code, said) == (0, "is now called\nAda \\x1b[31m\n")
        assert heard == [
            {"id": "ada", "name": "Ada King", "sure": True, "n": 5, "tags": ("a", "b")}
        ]
        code, said = ask(connected, "rename", "--json")
        assert (code, json.loads(said)["code"]) == (0, "ok")
        code, said = ask(connected, "fly")
        assert code == 1
        assert said.startswith("unknown_command: this daemon knows: rename")
        run(connected, "revoke", "administrator", "--yes")
        code, said = ask(connected, "rename")
        assert (code, said) == (1, "revoked: the key administrator was revoked\n")


def test_without_an_answer_it_says_so(connected: Path) -> None:
    with pytest.raises(OneglanceError, match=r"did not answer within 0\.5 s"):
        ask(connected, "reload", "--seconds", "0.5")


def test_without_a_key_or_a_broker_it_says_what_to_do(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CONNECT_S", 0.3)
    house.write_text(house.read_text().replace("port = 1883", "port = 1"))
    with pytest.raises(BrokerError):
        ask(house, "reload")
    house.with_name("administrator.key").unlink()
    with pytest.raises(ConfigError, match="oneglance keys make administrator"):
        ask(house, "reload")


@pytest.mark.parametrize("word", ["photo", "=x", "x:={", 'x:={"a":1}', "x:=1"])
def test_arguments_that_are_none_are_wrong_usage(connected: Path, word: str) -> None:
    words = (word, "x=2") if word == "x:=1" else (word,)
    result = RUNNER.invoke(_command_app(), ["reload", *words, "-c", str(connected)])
    assert result.exit_code == 2


@pytest.mark.parametrize("word", ["pin=271828", "pin:=271828"])
def test_a_pin_is_no_argument_of_a_command_line(connected: Path, word: str) -> None:
    result = RUNNER.invoke(_command_app(), ["claim", word, "-c", str(connected)])
    assert result.exit_code == 2
    assert "a PIN is never an argument" in result.output
    assert "271828" not in result.output
