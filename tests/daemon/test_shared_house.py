"""A house and its doors at a real mosquitto: whole daemons, a real face, and the command."""

from __future__ import annotations

import json
import sqlite3
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from mosquitto_fixture import ROLES, Mosquitto
from people_on_stage import face_of
from typer.testing import CliRunner

from oneglance.cli.audit_log import open_gallery
from oneglance.cli.main import app
from oneglance.cli.people import sync
from oneglance.cli.people.shared_plan import Sharer
from oneglance.cli.people.sync import FAR_AHEAD_MS, WINDOW, next_version
from oneglance.config import (
    CameraConfig,
    Config,
    DecisionConfig,
    DoorConfig,
    GalleryConfig,
    LivenessConfig,
    SharingConfig,
    SigningConfig,
    SiteConfig,
)
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import Status, parse
from oneglance.contract.sharing import GalleryState, part_topic
from oneglance.contract.signing import load_public_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.gallery import sharing
from oneglance.errors import MessageError
from oneglance.faces.gallery.vault import create_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.key_files import create_key_pair, create_sealing_key
from oneglance.link import Arrival, Link

Wait = Callable[..., None]
SITE = "test"


class Place:
    """A machine with a gallery: the house, which signs, or a door, which receives."""

    def __init__(self, folder: Path, mosquitto: Mosquitto, door: str, house: Path | None) -> None:
        folder.mkdir()
        self.folder = folder
        self.topics = Topics(SITE, door)
        create_key(folder / "gallery.key")
        create_key_pair(folder / "signing.key", folder / "signing.pub")
        self.sealed_to = create_sealing_key(folder / "sharing.key")
        self.config = Config(
            site=SiteConfig(name=SITE, door=door),
            mqtt=mosquitto.mqtt("daemon"),
            signing=SigningConfig(
                key_file=folder / "signing.key", sequence_file=folder / "sequence"
            ),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
            sharing=SharingConfig(receive=house is not None, key_file=folder / "sharing.key"),
            door=DoorConfig(public_key_file=folder / "signing.pub"),
            decision=DecisionConfig(patience_s=1.0),
            liveness=LivenessConfig(policy="off"),
        )
        if house is not None:
            key = load_public_key(house / "house.pub")
            beginning = datetime(2026, 1, 1, tzinfo=UTC)
            ring = Keyring(keys=(entry("house", Role.GALLERY, key, beginning),))
            write_keyring(folder / "keyring.json", ring)

    def seeing(self, source: str | Path) -> Config:
        """Its configuration, with a camera."""
        camera = CameraConfig(name="cam", source=str(source), pace="every")
        return self.config.model_copy(update={"camera": (camera,)})

    def people(self) -> set[str]:
        """Who is in its gallery."""
        with open_gallery(self.config, create=True) as gallery:
            return {person.person_id for person in gallery.list_people()}

    def sealed_rows(self) -> list[bytes]:
        """What is sealed in its gallery, row by row."""
        query = "SELECT sealed FROM template UNION ALL SELECT sealed FROM person"
        with closing(sqlite3.connect(self.config.gallery.path)) as database:
            return [row[0] for row in database.execute(query)]

    def on_disk(self) -> bytes:
        """All bytes of its gallery's files."""
        files = sorted(self.folder.glob("gallery.db*"))
        return b"".join(file.read_bytes() for file in files)

    def accepts(self, film: Path) -> int:
        """How many of a film's visitors its daemon lets in."""
        return Daemon(self.seeing(film)).run().accepted


@contextmanager
def watching(place: Place, source: str) -> Iterator[None]:
    """Its daemon, in a thread of its own."""
    daemon = Daemon(place.seeing(source))
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield
    finally:
        daemon.stop()
        thread.join(60)
        assert not thread.is_alive()


class Ears:
    """What the doors say of the shared gallery and of themselves."""

    def __init__(self, mosquitto: Mosquitto) -> None:
        self.heard: list[Arrival] = []
        self.link = Link(
            mosquitto.mqtt("admin"),
            "ears",
            subscriptions=((f"oneglance/v1/{SITE}/#", 1), (part_topic(SITE, "+"), 1)),
            on_message=self.heard.append,
        )

    def version(self, place: Place) -> int:
        """The door's newest word on its gallery."""
        found = [a for a in list(self.heard) if a.topic == place.topics.gallery_state]
        return parse(found[-1].payload, GalleryState).version if found else 0

    def reasons(self, place: Place) -> tuple[str, ...]:
        """Of its newest status."""
        found = [a for a in list(self.heard) if a.topic == place.topics.status]
        return parse(found[-1].payload, Status).reasons if found else ()


def test_from_an_enrolment_in_the_house_to_its_deletion_at_the_doors(
    tmp_path: Path,
    mosquitto: Mosquitto,
    network_camera: Any,
    walk_up: Callable[..., Path],
    photos: Path,
    model: FaceModel,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = Place(tmp_path / "house", mosquitto, "front", None)
    create_key_pair(house.folder / "house.key", house.folder / "house.pub")
    back, lab = (Place(tmp_path / name, mosquitto, name, house.folder) for name in ("back", "lab"))
    doors = house.folder / "doors.toml"
    lines = [
        f'[[door]]\nname = "{place.topics.door}"\nkey = "{b64encode(place.sealed_to).decode()}"\n'
        for place in (back, lab)
    ]
    doors.write_text("".join(lines) + 'groups = ["staff"]\n')
    (house.folder / "admin.toml").write_text(
        f'site.name = "{SITE}"\nsite.door = "front"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\ntls = true\n'
        f'ca_file = "{mosquitto.folder}/ca.crt"\nuser = "{ROLES["admin"]}"\n'
        f'password_file = "{mosquitto.folder}/admin.password"\n'
        '[gallery]\npath = "gallery.db"\nkey_file = "gallery.key"\n'
    )

    def synced(*options: str) -> tuple[int, dict[str, Any]]:
        command = ["people", "sync", str(doors), "--key", str(house.folder / "house.key"), "--json"]
        config = ["--config", str(house.folder / "admin.toml")]
        done = CliRunner().invoke(app, [*command, *config, *options])
        assert done.exit_code in (0, 1), done.output
        return done.exit_code, json.loads(done.stdout.splitlines()[-1])

    def enrol(name: str, templates: Any, *groups: str) -> None:
        with open_gallery(house.config, create=True) as gallery:
            now = datetime.now(UTC)
            gallery.enrol(
                name, templates, model.model_id, consent_at=now, groups=groups, source="test"
            )

    ears = Ears(mosquitto)
    ears.link.start()
    assert ears.link.wait_connected(60)
    film = walk_up("obama2.jpg", frames=12)
    enrol("Barack Obama", face_of(photos / "obama.jpg").template[np.newaxis])
    enrol("Zoe", np.eye(256, dtype=np.float32)[:1], "staff")
    with watching(back, network_camera.url), watching(lab, network_camera.url):
        code, told = synced("--seconds", "60")
        assert (code, set(told["confirmed"]), told["open"]) == (0, {"back", "lab"}, [])
        wait_until(lambda: "gallery_stale" not in ears.reasons(back), "the news is told")
    assert (back.people(), lab.people()) == ({"barack-obama", "zoe"}, {"zoe"})
    assert back.accepts(film) == house.accepts(film) == 1
    assert lab.accepts(film) == 0

    rows = back.sealed_rows()
    with open_gallery(house.config) as gallery:
        gallery.delete("barack-obama")
    with watching(back, network_camera.url):
        # The lab's daemon is off: it is named, and hears of it when it is back.
        version = synced("--seconds", "0")[1]["version"]
        wait_until(lambda: ears.version(back) == version, "it takes it over")
        code, told = synced("--status", "--seconds", "60")
        assert (code, told["confirmed"], told["open"]) == (1, ["back"], ["lab"])
        assert back.people() == {"zoe"}
        # Neither in the database nor in its write-ahead log, while the daemon has both open.
        assert sum(row in back.on_disk() for row in rows) == 2
    assert back.accepts(film) == 0
    old = next(a for a in ears.heard if a.topic == back.topics.gallery)

    # The broker forgets all that it had; the doors forget nobody, and the house publishes it again.
    mosquitto.stop()
    mosquitto.start()
    with watching(back, network_camera.url), watching(lab, network_camera.url):
        wait_until(lambda: ears.link.connected, "the ears are back")
        code, told = synced("--seconds", "60")
        assert (code, told["new_parts"]) == (0, told["parts"])
        assert back.people() == lab.people() == {"zoe"}
        assert synced("--status", "--seconds", "60")[0] == 0
        # And an old message, in which who was deleted is still there, opens nothing again.
        ears.link.publish(old.topic, old.payload, qos=1, retain=True)
        wait_until(lambda: "sharing_replayed" in ears.reasons(back), "it is told")
        assert back.people() == {"zoe"}
        # A door that has to begin anew misses what somebody has taken from the broker, until the
        # next `sync` hears that.
        assert synced("--seconds", "60")[0] == 0
        back.config.sharing_file.unlink()
        parts = {a.topic for a in ears.heard if a.topic.startswith("oneglance/parts/")}
        parts -= {part_topic(SITE, "index")}
        for part in parts:
            ears.link.publish(part, b"", qos=1, retain=True)
        wait_until(
            lambda: parts <= {a.topic for a in list(ears.heard) if not a.payload}, "they are gone"
        )
    monkeypatch.setattr(sharing, "WAIT_S", 0.0)
    with watching(back, network_camera.url):
        wait_until(lambda: "sharing_incomplete" in ears.reasons(back), "it misses a part")
        code, told = synced("--seconds", "2")
        assert (told["new_parts"], told["parts"]) == (2, 2)
        code, told = synced("--status", "--seconds", "60")
        assert told["confirmed"] == ["back"]
    ears.link.stop()
    # The broker has forgotten how many were shared, but not the house.
    mosquitto.stop()
    mosquitto.start()
    with open_gallery(house.config) as gallery:
        gallery.delete("zoe")
    config = ["--config", str(house.folder / "admin.toml")]
    command = ["people", "sync", str(doors), "--key", str(house.folder / "house.key"), *config]
    done = CliRunner().invoke(app, command, input="n\n")
    assert done.exit_code == 1
    assert "1 people were shared before, and now 0" in done.output


def test_what_the_broker_had_no_room_for_is_asked_for_again() -> None:
    """Of many doors that speak at once, some are not heard before their word is asked for anew."""
    sharer = Sharer(SITE, "house", Ed25519PrivateKey.generate(), b"a secret")
    doors = [f"door-{number}" for number in range(WINDOW + 3)]

    class Full:
        def __init__(self) -> None:
            self.link = self
            self.asked: list[str] = []
            self.held: list[Arrival] = []

        def hear(self, topics: list[str]) -> bool:
            for topic in topics:
                name = topic.split("/")[3]
                self.asked.append(name)
                if name.endswith("7") and self.asked.count(name) == 1:
                    continue
                proof = sharer.receipt(name, 5).hex()
                now = datetime.now(UTC)
                state = GalleryState(issued_at=now, version=5, receipt=proof, problem="")
                self.held.append(Arrival(topic, state.to_payload(), True, None, None))
            return True

        def next(self, _seconds: float) -> Arrival | None:
            return self.held.pop(0) if self.held else None

    broker: Any = Full()
    heard = sync.hear_doors(broker, sharer, doors, 20.0, 5, window_s=0.05, again_s=0.05)
    assert set(heard) == set(doors)
    assert broker.asked[len(doors) :] == [name for name in doors if name.endswith("7")]


@given(clock=st.integers(0, 2**42), own=st.integers(0, 2**42), left=st.integers(0, 2**53 - 1))
def test_the_next_version_is_above_all_others_and_never_used_up(
    clock: int, own: int, left: int
) -> None:
    now = datetime.fromtimestamp(clock / 1000, UTC)
    if left > max(clock, own) + FAR_AHEAD_MS:
        with pytest.raises(MessageError, match="somebody else signs"):
            next_version(now, own, left)
    else:
        version = next_version(now, own, left)
        assert max(own, left) < version <= max(clock, own) + FAR_AHEAD_MS + 1


def test_what_the_command_refuses(tmp_path: Path, mosquitto: Mosquitto) -> None:
    house = Place(tmp_path / "house", mosquitto, "front", None)
    create_key_pair(house.folder / "house.key", house.folder / "house.pub")
    key = b64encode(house.sealed_to).decode()
    doors = house.folder / "doors.toml"
    for text, why in (
        ("", "door: Field required"),
        ('[[door]]\nname = "a/b"\n', "door.0.name"),
        ('[[door]]\nname = "a"\nkey = "abc"\n', "door.0.key"),
        (f'[[door]]\nname = "a"\nkey = "{key}"\ngroups = ["A B"]\n', "'A B' cannot be a group"),
        (f'[[door]]\nname = "a"\nkey = "{key}"\n' * 2, "two doors have the same name"),
        ("[[door]", "not valid TOML"),
    ):
        doors.write_text(text)
        (house.folder / "admin.toml").write_text("")
        command = ["people", "sync", str(doors), "--key", str(house.folder / "house.key")]
        done = CliRunner().invoke(app, [*command, "--config", str(house.folder / "admin.toml")])
        assert done.exit_code != 0
        assert why in f"{done.output} {done.exception}"


@pytest.mark.parametrize("again", [False, True])
def test_a_doors_key_is_made_once_and_its_line_shown_again(tmp_path: Path, again: bool) -> None:
    config = tmp_path / "oneglance.toml"
    config.write_text('[site]\ndoor = "lab"\n')
    shown = [
        CliRunner().invoke(app, ["keys", "door", "--config", str(config)]).stdout
        for _ in range(1 + again)
    ]
    assert len(set(shown)) == 1
    assert shown[0].startswith('[[door]]\nname = "lab"\nkey = "')
    assert (tmp_path / "sharing.key").stat().st_mode & 0o777 == 0o600
