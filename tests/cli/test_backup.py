"""A door is put away in one sealed file, and comes back whole elsewhere, but shut at first."""

from __future__ import annotations

import io
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.audit.pseudonyms import PEOPLE_FILE
from oneglance.audit.segments import entries
from oneglance.cli.audit_log import open_audit, open_gallery
from oneglance.cli.backup import sealed
from oneglance.cli.backup.command import backup
from oneglance.cli.backup.contents import name_of, place_of
from oneglance.cli.backup.restore import restore
from oneglance.cli.backup.sealed import BackupError, OpeningReader, SealingWriter
from oneglance.cli.command import command
from oneglance.cli.init import init
from oneglance.cli.people.command import accept_restore
from oneglance.config import Config, MqttConfig, load_config
from oneglance.errors import BrokerError
from oneglance.faces.gallery.witness import RestoredGalleryError
from oneglance.faces.model.face_model import load_model
from oneglance.whole_file import write_new

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SealingWriter.__init__, "__defaults__", (sealed.COSTS[0],))


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    write_new(tmp_path / "passphrase", PASSPHRASE.encode(), 0o600)
    return tmp_path / "passphrase"


def enrol(config: Config, name: str) -> None:
    model = load_model()
    template = np.zeros((1, model.template_size), np.float32)
    template[0, len(name)] = 1.0
    with open_gallery(config, create=True) as gallery:
        gallery.enrol(name, template, model.model_id, consent_at=datetime.now(UTC), source="photo")
    open_audit(config).append("enrolment", {}, person_id=name.lower())


def names(config: Config) -> list[str]:
    with open_gallery(config) as gallery:
        return [person.name for person in gallery.list_people()]


@pytest.fixture
def house(tmp_path: Path) -> Config:
    """A door whose camera has a password in a file of its own, and whose lock has a memory."""
    folder = tmp_path / "house"
    init(folder, None, "home", "front", "rtsp://camera/1")
    write_new(tmp_path / "camera.password", b"hunter2", 0o600)
    file = folder / "oneglance.toml"
    text = file.read_text()
    line = 'source = "rtsp://camera/1"'
    login = f'user = "ada"\npassword_file = "{tmp_path / "camera.password"}"'
    assert line in text
    file.write_text(text.replace(line, f"{line}\n{login}\n"))
    config = load_config(file)
    enrol(config, "Ada")
    config.door.state_file.parent.mkdir(exist_ok=True)
    config.door.state_file.write_text("7\n")
    return config


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_door_comes_back_whole_elsewhere_and_counts_once_its_owner_says_so(
    house: Config, passphrase: Path, tmp_path: Path
) -> None:
    away, there = tmp_path / "usb" / "door.backup", tmp_path / "other machine"
    away.parent.mkdir()
    backup(away, tmp_path / "house", passphrase)
    assert away.stat().st_mode & 0o777 == 0o600
    # Nothing of it can be read without the passphrase.
    assert b"hunter2" not in away.read_bytes()
    assert b"signing" not in away.read_bytes()
    enrol(house, "Grace")

    restore(away, there, None, passphrase)
    config = load_config(there / "oneglance.toml")
    before, after = tree(tmp_path / "house"), tree(there)
    assert "state/door/sequence" in before
    # An older memory would let the lock act twice.
    assert "state/door/sequence" not in after
    for key in ("signing.key", "gallery.key", "administrator.key", "kiosk.key", "keyring.json"):
        assert after[key] == before[key]
        assert (there / key).stat().st_mode & 0o777 == (
            tmp_path / "house" / key
        ).stat().st_mode & 0o777
    password_file = config.camera[0].password_file
    assert password_file is not None
    assert password_file.is_relative_to(there)
    assert password_file.read_bytes() == b"hunter2"
    # What was not there yet, or stayed behind, is not looked for in the other house.
    assert str(tmp_path / "house") not in (there / "oneglance.toml").read_text()
    told = [entry.kind for entry in entries(config.audit_folder)]
    assert told.count("enrolment") == 1
    assert (config.audit_folder / PEOPLE_FILE).exists()

    with pytest.raises(RestoredGalleryError, match="an older copy of the gallery"):
        names(config)
    accept_restore(yes=True, config=there)
    assert names(config) == ["Ada"]
    assert names(house) == ["Ada", "Grace"]
    # What was put back counts further than any copy that was seen.
    restored, accepted = (
        entry.body
        for entry in entries(config.audit_folder)
        if {"restored", "accepts"} & entry.body.keys()
    )
    assert restored["generation"] > restored["restored"]
    assert accepted["accepts"] == restored["restored"]

    with pytest.raises(BackupError, match="nothing is overwritten"):
        restore(away, there, None, passphrase)
    with pytest.raises(BackupError, match="never overwritten"):
        backup(away, tmp_path / "house", passphrase)
    # Where it was, it still is.
    with pytest.raises(BackupError, match="nothing is overwritten"):
        restore(away, None, None, passphrase)


ADMIN = """\
[site]
name = "home"
[mqtt] # the house's
port = {port}
[commands]
key_file = "{house}/administrator.key"
[door]
public_key_file = "keyring.json"
"""
LOCK = """\
[door]
public_key_file = "{house}/keyring.json"
state_file = "/var/lib/oneglance-door/sequence"
pin_factory = "mock"
"""


@pytest.fixture
def whole_house(house: Config, broker: MqttConfig, tmp_path: Path) -> Config:
    """The same, on a broker, with configurations of an administrator and of a lock, and a theme."""
    folder = tmp_path / "house"
    file = folder / "oneglance.toml"
    file.write_text(file.read_text().replace("port = 1883", f"port = {broker.port}"))
    for name, text in (("admin.toml", ADMIN), ("door.toml", LOCK)):
        (folder / name).write_text(text.format(house=folder, port=broker.port))
    (folder / "theme.toml").write_text(f'logo = "{folder}/logo.png"\n')
    return load_config(file)


def test_every_configuration_of_a_door_that_is_tried_elsewhere_is_of_the_copy(
    whole_house: Config,
    passphrase: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = tmp_path / "there"
    backup(tmp_path / "away", tmp_path / "house", passphrase)
    restore(tmp_path / "away", there, None, passphrase)
    out = capsys.readouterr().out
    assert "It reaches no broker" in out
    assert "still names" not in out
    for name in ("oneglance.toml", "admin.toml", "door.toml"):
        config = load_config(there / name)
        counted = config.gallery.path, config.signing.sequence_file, config.door.state_file
        keys = config.command_key_file, config.keyring_file, config.gallery.key_file
        assert all(path.is_relative_to(there / "state") for path in counted), name
        assert all(path.is_relative_to(there) for path in keys), name
        assert str(tmp_path / "house") not in (there / name).read_text()
    assert f"{there}/logo.png" in (there / "theme.toml").read_text()

    # With the administrator's configuration, too, it is the copy that counts.
    before = tree(tmp_path / "house")
    accept_restore(yes=True, config=there / "admin.toml")
    assert names(load_config(there / "admin.toml")) == ["Ada"]
    assert tree(tmp_path / "house") == before

    # Its keys are the door's, so a command would be done there.
    monkeypatch.setattr("oneglance.cli.command.CONNECT_S", 0.5)
    for name in ("admin.toml", "oneglance.toml"):
        with pytest.raises(BrokerError, match="cannot connect"):
            command("reload", config=there / name)


def test_a_door_that_moves_for_good_keeps_its_broker(
    whole_house: Config, passphrase: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    backup(tmp_path / "away", tmp_path / "house", passphrase)
    restore(tmp_path / "away", there, None, passphrase, same_broker=True)
    assert "no broker" not in capsys.readouterr().out
    for name in ("oneglance.toml", "admin.toml"):
        assert load_config(there / name).mqtt == whole_house.mqtt
    # Where it was before, nothing is changed at all.
    before = {name: data for name, data in tree(tmp_path / "house").items() if ".toml" in name}
    (tmp_path / "house").rename(tmp_path / "lost")
    restore(tmp_path / "away", None, None, passphrase)
    after = tree(tmp_path / "house")
    assert {name: after[name] for name in before} == before


def test_what_a_copy_still_names_elsewhere_is_told(
    whole_house: Config, passphrase: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "house"
    (folder / "admin.toml").write_text(
        'mqtt = { host = "broker.example" }\n[commands]\nkey_file = "/root/my.key"\n'
    )
    (folder / "theme.toml").write_text('logo = "/srv/logo.png"\n')
    (folder / "reader.toml").write_text('[reader]\nkey_file = "../reader.key"\n')
    backup(tmp_path / "away", folder, passphrase)
    restore(tmp_path / "away", tmp_path / "there", None, passphrase)
    out = capsys.readouterr().out
    there = tmp_path / "there"
    where = f"still names what is not in {there}"
    told = "broker.example:1883, the broker, /root/my.key (commands.key_file)"
    assert f"{there}/admin.toml {where}: {told}" in out
    assert f"{there}/theme.toml {where}: /srv/logo.png" in out
    assert f"{there}/reader.toml {where}: ../reader.key (reader.key_file)" in out
    assert f"{there}/oneglance.toml {where}" not in out


def test_a_door_in_which_nobody_is_enrolled_yet_comes_back_elsewhere(
    passphrase: Path, tmp_path: Path
) -> None:
    init(tmp_path / "house", None, "home", "front", "0")
    backup(tmp_path / "away", tmp_path / "house", passphrase)
    restore(tmp_path / "away", tmp_path / "there", None, passphrase)
    config = load_config(tmp_path / "there" / "oneglance.toml")
    for file in (config.gallery.path, config.signing.sequence_file, config.door.state_file):
        assert file.is_relative_to(tmp_path / "there" / "state")


def test_what_was_unsealed_on_the_way_is_overwritten(
    house: Config, passphrase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "door.backup"
    (tmp_path / "house" / "signing.key").chmod(0o400)
    backup(away, tmp_path / "house", passphrase)
    key = (tmp_path / "house" / "signing.key").read_bytes()
    with ExitStack() as opened:
        held: list[IO[bytes]] = []

        def fails(files: dict[str, Path], *_: object) -> None:
            held.extend(opened.enter_context(path.open("rb")) for path in files.values())
            assert key in {file.read() for file in held}
            raise BackupError("no room")

        monkeypatch.setattr("oneglance.cli.backup.restore._put_back", fails)
        with pytest.raises(BackupError, match="no room"):
            restore(away, tmp_path / "there", None, passphrase)
        for file in held:
            file.seek(0)
            assert not file.read().strip(b"\0")


def test_a_backup_that_cannot_be_put_back_leaves_nothing(
    house: Config, passphrase: Path, tmp_path: Path
) -> None:
    away, there = tmp_path / "door.backup", tmp_path / "there"
    backup(away, tmp_path / "house", passphrase)
    good = away.read_bytes()
    for bad, says in (
        (good[:-1], "damaged"),
        (good[:200], "damaged"),
        (b"PK" + good, "no backup"),
        (good[:-20] + bytes([good[-20] ^ 1]) + good[-19:], "damaged"),
    ):
        away.write_bytes(bad)
        with pytest.raises(BackupError, match=says):
            restore(away, there, None, passphrase)
        assert not there.exists()
    away.write_bytes(good)
    passphrase.write_text("wrong horse battery")
    with pytest.raises(BackupError, match="passphrase is wrong"):
        restore(away, there, None, passphrase)
    passphrase.write_text(PASSPHRASE)
    # A key that is there already is not put in its place, and all the rest is taken back.
    there.mkdir()
    (there / "gallery.key").write_text("another")
    with pytest.raises(BackupError, match=r"gallery\.key"):
        restore(away, there, None, passphrase)
    assert tree(there) == {"gallery.key": b"another"}


def test_a_short_passphrase_is_refused(house: Config, passphrase: Path, tmp_path: Path) -> None:
    passphrase.write_text("hunter2")
    with pytest.raises(BackupError, match="found by trying"):
        backup(tmp_path / "door.backup", tmp_path / "house", passphrase)
    # Nor is a gallery put away without its key.
    house.gallery.key_file.unlink()
    with pytest.raises(BackupError, match="cannot be read is not there"):
        backup(tmp_path / "door.backup", tmp_path / "house", passphrase)
    assert not (tmp_path / "door.backup").exists()


@settings(max_examples=25)
@given(
    st.lists(st.binary(max_size=3), max_size=6),
    st.sampled_from([0, 1, sealed.PIECE_BYTES, 2 * sealed.PIECE_BYTES]),
    st.data(),
)
def test_what_is_sealed_is_opened_and_nothing_else_is(
    pieces: list[bytes], more: int, data: st.DataObject
) -> None:
    file = io.BytesIO()
    writer = SealingWriter(file, "a", sealed.COSTS[0])
    content = b"".join(pieces) + bytes(more)
    for piece in (*pieces, bytes(more)):
        writer.write(piece)
    writer.close()
    whole = file.getvalue()
    assert OpeningReader(io.BytesIO(whole), "a", "x").read(len(content) + 1) == content
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(
        st.sampled_from([b"", bytes([whole[at] ^ 1]) + whole[at + 1 :]])
    )
    # The cost is bounded: what was changed there may only be refused.
    with pytest.raises(BackupError):
        OpeningReader(io.BytesIO(broken), "a", "x").read(len(content) + 1)


@given(st.lists(st.sampled_from(["..", "a", ".hidden", "b c"]), min_size=1, max_size=4))
def test_each_file_has_a_place_and_none_is_outside(names: list[str]) -> None:
    folder, state = Path("/etc/door"), Path("/var/lib/door")
    name = "/".join(["state", *names])
    if ".." in names:
        with pytest.raises(ValueError, match="a file called"):
            place_of(name, folder, state)
    else:
        assert name_of(place_of(name, folder, state), folder, state) == name
