"""`oneglance doctor` looks at what the configuration speaks of, and at nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mosquitto_fixture import Mosquitto, make_certificates

from oneglance.cli.audit_log import open_gallery
from oneglance.cli.doctor import Finding, Verdict, examine
from oneglance.cli.init import init
from oneglance.config import MqttConfig, load_config
from oneglance.contract.keyring import Role, entry
from oneglance.contract.keyring_file import read_keyring, write_keyring
from oneglance.contract.signing import load_public_key
from oneglance.daemon.gallery.sharing import Applied, write_applied
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import load_model
from oneglance.key_files import create_key_pair, create_sealing_key


def looked_at(config: Path) -> dict[tuple[str, str], Finding]:
    """What is found because of the configuration."""
    findings = list(examine(config))
    at = next(i for i, finding in enumerate(findings) if finding.what == "configuration")
    return {(finding.part, finding.what): finding for finding in findings[at + 1 :]}


def broken(found: dict[tuple[str, str], Finding]) -> set[tuple[str, str]]:
    return {place for place, finding in found.items() if finding.verdict is Verdict.BROKEN}


def mqtt_section(broker: MqttConfig) -> str:
    return f'[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n'


@pytest.fixture
def house(tmp_path: Path, broker: MqttConfig) -> Path:
    """The configuration of a whole new door, whose camera is a folder that is not there."""
    init(tmp_path / "house", None, "home", "front", str(tmp_path / "gone"))
    file = tmp_path / "house" / "oneglance.toml"
    file.write_text(file.read_text().replace("port = 1883", f"port = {broker.port}"))
    return file


def test_of_a_whole_door_every_part_is_looked_at(house: Path) -> None:
    found = looked_at(house)
    assert broken(found) == {("daemon", "camera front")}
    assert {part for part, _ in found} == {"daemon", "door", "kiosk", "commands", "broker"}


def test_who_may_give_commands_is_told(house: Path) -> None:
    ring = house.with_name("keyring.json")
    told = looked_at(house)["daemon", "may give commands"]
    assert (told.verdict, told.detail) == (Verdict.GOOD, "1 kiosk, 1 administrator")
    write_keyring(ring, read_keyring(ring).changed("daemon", revoked_at=datetime.now(UTC)))
    found = looked_at(house)
    assert {("daemon", "may give commands"), ("door", "public key")} <= broken(found)
    assert "oneglance keys rotate" in found["daemon", "may give commands"].fix
    # As a house from before keyrings is: nothing is broken in it.
    ring.unlink()
    house.write_text(house.read_text().replace("keyring.json", "signing.pub", 3))
    text = house.read_text().replace('keyring_file = "signing.pub"', 'keyring_file = "none.json"')
    house.write_text(text)
    found = looked_at(house)
    assert found["daemon", "may give commands"].verdict is Verdict.MISSING
    assert broken(found) == {("daemon", "camera front")}


def test_a_lock_on_a_machine_of_its_own_is_whole_without_a_daemon(
    tmp_path: Path, broker: MqttConfig, key_files: tuple[Path, Path]
) -> None:
    file = tmp_path / "door.toml"
    state = tmp_path / "state" / "sequence"
    file.write_text(
        mqtt_section(broker)
        + f'[door]\npublic_key_file = "{key_files[1]}"\nstate_file = "{state}"\n'
        + 'pin_factory = "mock"\n'
    )
    found = looked_at(file)
    assert set(found) == {
        ("door", "public key"),
        ("door", "memory"),
        ("door", "pin factory"),
        ("broker", "connection"),
    }
    assert broken(found) == set()
    assert found["door", "public key"].detail.startswith("SHA256:")
    state.parent.mkdir()
    state.write_text("damaged")
    key_files[1].unlink()
    assert broken(looked_at(file)) == {("door", "public key"), ("door", "memory")}


def test_a_pin_factory_that_cannot_work_here_is_found(
    tmp_path: Path, broker: MqttConfig, key_files: tuple[Path, Path]
) -> None:
    file = tmp_path / "door.toml"
    file.write_text(
        mqtt_section(broker)
        + f'[door]\npublic_key_file = "{key_files[1]}"\npin_factory = "pigpio"\n'
        + f'state_file = "{tmp_path / "state"}"\n'
    )
    assert broken(looked_at(file)) == {("door", "pin factory")}


@pytest.mark.parametrize(("days", "verdict"), [(20, Verdict.MISSING), (22, Verdict.GOOD)])
def test_how_long_the_brokers_certificate_counts_is_told(
    mosquitto: Mosquitto, tmp_path: Path, days: int, verdict: Verdict
) -> None:
    mosquitto.stop()
    make_certificates(mosquitto.folder, days=days)
    mosquitto.start()
    mqtt, file = mosquitto.mqtt("lock"), tmp_path / "lock.toml"
    file.write_text(
        mqtt_section(mqtt)
        + f'tls = true\nca_file = "{mqtt.ca_file}"\n'
        + f'user = "{mqtt.user}"\npassword_file = "{mqtt.password_file}"\n'
    )
    found = looked_at(file)
    assert found["broker", "connection"].verdict is Verdict.GOOD
    told = found["broker", "certificate"]
    assert told.verdict is verdict
    ends = datetime.strptime(told.detail, "until %Y-%m-%d").replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) + timedelta(days=days) - ends < timedelta(days=2)
    assert bool(told.fix) is (verdict is Verdict.MISSING)


@pytest.mark.parametrize("section", ["door", "kiosk"])
def test_who_only_listens_needs_the_public_key_and_the_broker(
    section: str, tmp_path: Path, broker: MqttConfig, key_files: tuple[Path, Path]
) -> None:
    file = tmp_path / "listener.toml"
    file.write_text(mqtt_section(broker) + f'[{section}]\npublic_key_file = "{key_files[1]}"\n')
    found = looked_at(file)
    assert set(found) == {(section, "public key"), ("broker", "connection")}
    assert broken(found) == set()
    key_files[1].write_text("no key")
    assert broken(looked_at(file)) == {(section, "public key")}


def test_a_damaged_sequence_and_a_gallery_of_another_model_are_found_and_named(
    house: Path,
) -> None:
    state = house.parent / "state"
    (state / "sequence").write_text("damaged")
    key = load_key(house.parent / "gallery.key")
    with Gallery.open(state / "gallery.db", key, create=True) as gallery:
        template = np.eye(1, 192, dtype=np.float32)
        gallery.enrol(
            "Ada", template, "other:1", consent_at=datetime(2026, 1, 1, tzinfo=UTC), source="test"
        )
    found = looked_at(house)
    assert broken(found) >= {("daemon", "sequence"), ("daemon", "gallery")}
    assert "another model" in found["daemon", "gallery"].detail
    assert "(ada)" in found["daemon", "gallery"].detail


def test_a_gallery_put_back_a_log_cut_off_and_liveness_turned_off_are_found(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(house)
    assert "none yet" in looked_at(house)["daemon", "audit log"].detail
    assert not config.audit_folder.exists()
    with open_gallery(config, create=True) as gallery:
        assert gallery.list_people() == []
        former = config.gallery.path.read_bytes()
        gallery.enrol(
            "Ada",
            np.eye(1, 192, dtype=np.float32),
            load_model().model_id,
            consent_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="test",
        )
    found = looked_at(house)
    assert broken(found) == {("daemon", "camera front")}
    assert found["daemon", "gallery's witness"].detail == "generation 2 was seen"
    assert "2 entries" in found["daemon", "audit log"].detail
    assert found["daemon", "liveness"] == Finding(
        "daemon", "liveness", Verdict.GOOD, config.liveness.policy
    )
    assert found["daemon", "badges and PINs"].detail == "of 0 people"

    config.gallery.path.write_bytes(former)
    config.credentials_file.write_bytes(b"damaged")
    config.credentials_file.chmod(0o600)
    house.write_text(house.read_text().replace('policy = "passive"', 'policy = "off"'))
    found = looked_at(house)
    assert found["daemon", "liveness"].verdict is Verdict.MISSING
    assert "photograph" in found["daemon", "liveness"].detail
    assert ("daemon", "badges and PINs") in broken(found)
    assert "accept-restore" in found["daemon", "gallery"].detail

    (segment,) = config.audit_folder.glob("*.jsonl")
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(b'"generation":1', b'"generation":7'))
    assert {("daemon", "audit log"), ("daemon", "gallery")} <= broken(looked_at(house))
    segment.write_bytes(whole)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=99 * 2**20))
    assert "MiB are left" in looked_at(house)["daemon", "audit log"].detail


def test_a_gallery_that_may_not_be_looked_for_is_a_finding(house: Path) -> None:
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    hidden = "x" * 300
    file = house.with_name("hidden.toml")
    file.write_text(house.read_text().replace("gallery.db", hidden))
    assert "cannot look for the gallery" in looked_at(file)["daemon", "gallery"].detail


def test_a_record_that_is_none_is_found_as_the_daemon_would_find_it(house: Path) -> None:
    gallery_file = house.parent / "state" / "gallery.db"
    with Gallery.open(gallery_file, load_key(house.parent / "gallery.key"), create=True) as gallery:
        gallery.enrol(
            "Ada",
            np.eye(1, 192, dtype=np.float32),
            load_model().model_id,
            consent_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="test",
        )
    database = sqlite3.connect(gallery_file)
    database.execute("UPDATE person SET sealed = x'00'")
    database.commit()
    database.close()
    assert "tampered with" in looked_at(house)["daemon", "gallery"].detail


def test_the_gallery_that_a_door_takes_over_is_looked_at(house: Path) -> None:
    assert "sharing" not in {part for part, _ in looked_at(house)}
    house.write_text(house.read_text() + "[sharing]\nreceive = true\n")
    key, ring = house.with_name("sharing.key"), house.with_name("keyring.json")
    found = looked_at(house)
    assert broken(found) >= {("sharing", "door's key"), ("sharing", "who may share")}
    assert found["sharing", "door's key"].fix == "make one with 'oneglance keys door'"
    assert found["sharing", "shared gallery"].verdict is Verdict.MISSING
    create_sealing_key(key)
    key.chmod(0o644)
    assert "can be read by others" in looked_at(house)["sharing", "door's key"].detail
    # What stands in place of a key that the service has not got.
    key.write_text("none")
    key.chmod(0o600)
    assert "not an X25519 private key" in looked_at(house)["sharing", "door's key"].detail
    key.unlink()
    create_sealing_key(key)
    create_key_pair(house.with_name("house.key"), house.with_name("house.pub"))
    public = load_public_key(house.with_name("house.pub"))
    trusted = entry("house", Role.GALLERY, public, datetime(2026, 1, 1, tzinfo=UTC))
    write_keyring(ring, read_keyring(ring).with_entry(trusted))
    config = load_config(house)
    sealer, now = load_key(config.gallery.key_file), datetime.now(UTC)
    for days, verdict in ((1, Verdict.GOOD), (8, Verdict.BROKEN)):
        applied = Applied(7, now - timedelta(days=days), (), "", "", "")
        write_applied(config.sharing_file, sealer, applied)
        found = looked_at(house)
        assert found["sharing", "who may share"].detail == "house"
        assert "version 7, of " in found["sharing", "shared gallery"].detail
        assert found["sharing", "shared gallery"].verdict is verdict
    config.sharing_file.write_bytes(b"?")
    assert "cannot be read" in looked_at(house)["sharing", "shared gallery"].detail
