"""One door that takes over a shared gallery, and the house that shares: both real, hand in hand.

What lies at the broker is a dict here, so that each test can say what comes when; a real broker and
whole daemons are in test_shared_house.py.
"""

from __future__ import annotations

import base64
import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.audit.generations import Generations
from oneglance.audit.log import Audit
from oneglance.audit.segments import entries
from oneglance.cli.people.shared_plan import Plan, SharedDoor, Sharer, plan
from oneglance.clocks import Clocks
from oneglance.config import Config, GalleryConfig, SharingConfig, SigningConfig, SiteConfig
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.sharing import GalleryState, part_topic
from oneglance.contract.topics import Topics
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import Person, person_id_from
from oneglance.faces.gallery.rows import Record, TemplateNote, to_text
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.key_files import create_sealing_key, load_sealing_key
from oneglance.link import Arrival

MODEL, SIZE, SITE = "test-1", 8, "test"
KEY = Ed25519PrivateKey.generate()
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
RING = Keyring(keys=(entry("house", Role.GALLERY, KEY.public_key(), BEGINNING),))


def template(row: int) -> np.ndarray:  # type: ignore[type-arg]
    """One of eight templates, float32 (1, 8)."""
    return np.eye(SIZE, dtype=np.float32)[row : row + 1]


class House:
    """Who is enrolled in the house, and what it has published: `retained`, by topic."""

    def __init__(self) -> None:
        self.sharer = Sharer(SITE, "house", KEY, b"a secret that guards nobody here")
        self.doors: list[SharedDoor] = []
        self.people: dict[str, tuple[Record, np.ndarray]] = {}  # type: ignore[type-arg]
        self.retained: dict[str, bytes] = {}
        self.version = int(time.time() * 1000)

    def enrol(self, name: str, row: int, *, model: str = MODEL, **more: Any) -> None:
        """Somebody with one template."""
        person_id = person_id_from(name)
        person = Person(person_id, name, datetime.now(UTC), BEGINNING, None, 1, ())
        note = TemplateNote(secrets.token_bytes(16), model, to_text(BEGINNING), "t")
        record = Record.of(replace(person, **more), [note])
        self.people[person_id] = record, template(row)

    def edit(self, person_id: str, **changes: Any) -> None:
        """Something else is said of somebody."""
        record, rows = self.people[person_id]
        self.people[person_id] = replace(record, person=replace(record.person, **changes)), rows

    def delete(self, person_id: str) -> None:
        """Somebody is gone."""
        del self.people[person_id]

    def ready(self) -> Plan:
        """The next version's messages."""
        self.version += 1
        contents = [self.people[one] for one in sorted(self.people)]
        return plan(contents, self.doors, self.sharer, self.version, datetime.now(UTC))

    def publish(self) -> Plan:
        """Leave them at the broker."""
        ready = self.ready()
        for part_id, payload in ready.parts.items():
            self.retained[part_topic(SITE, part_id)] = payload
        for door, payload in ready.doors.items():
            self.retained[Topics(SITE, door).gallery] = payload
        return ready


class Door:
    """A door's gallery, its audit log, and who takes over what the house publishes."""

    def __init__(
        self,
        folder: Path,
        house: House,
        name: str = "front",
        *,
        model: str = MODEL,
        **sharing: object,
    ) -> None:
        folder.mkdir()
        self.model = model
        self.house = house
        self.topics = Topics(SITE, name)
        values = {"receive": True, "key_file": folder / "sharing.key", **sharing}
        self.config = Config(
            site=SiteConfig(name=SITE, door=name),
            signing=SigningConfig(
                key_file=folder / "signing.key", sequence_file=folder / "sequence"
            ),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
            sharing=SharingConfig(**values),
        )
        create_key(self.config.gallery.key_file)
        self.public = create_sealing_key(self.config.sharing.key_file)
        self.ring = RING
        self.offset = timedelta(0)
        self.elapsed_s = 0.0
        self.clocks = Clocks(lambda: datetime.now(UTC) + self.offset, lambda: self.elapsed_s)
        self.log = Audit(
            self.config.audit_folder,
            self.clocks.wall,
            sealer=load_key(self.config.gallery.key_file),
        )
        self.states: list[GalleryState] = []
        self.asked: list[str] = []
        self.connected = True
        self.begin()

    def begin(self) -> None:
        """The daemon starts (again), and hears what is retained for it."""
        sealer = load_key(self.config.gallery.key_file)
        self.sharing = Sharing(
            self.config,
            self.topics,
            load_sealing_key(self.config.sharing.key_file),
            sealer,
            CredentialFile(self.config.credentials_file, sealer),
            self.log,
            model_id=self.model,
            template_size=SIZE,
            keys=lambda: self.ring,
            clocks=self.clocks,
            hear=self._hear,
            unhear=lambda _topics: None,
            say=self._say,
            changed=lambda: None,
        )
        self.hear_news()

    def hear_news(self) -> None:
        """What is retained for this door now comes to it."""
        payload = self.house.retained.get(self.topics.gallery)
        if payload is not None:
            self.arrive(self.topics.gallery, payload)

    def arrive(self, topic: str, payload: bytes) -> None:
        """Something comes."""
        self.sharing.arrived(Arrival(topic, payload, True, None, None))

    def work(self, turns: int = 12, seconds: float = 0.0) -> None:
        """So many turns of the gallery's thread, so long after the last."""
        self.elapsed_s += seconds
        for _ in range(turns):
            self.elapsed_s += 0.1
            self.sharing.work()

    def take_over(self) -> None:
        """Hear what the house has published, and work until there is no more to do."""
        self.hear_news()
        self.work()

    def people(self) -> dict[str, bool]:
        """Who is enrolled here, and whether by the house."""
        with self.gallery() as gallery:
            return {person.person_id: person.shared for person in gallery.list_people()}

    def gallery(self) -> Gallery:
        """The door's gallery, to be closed again."""
        return open_configured(self.config.gallery, create=True, log=Generations(self.log))

    def logged(self, *kinds: str) -> list[tuple[str, bool]]:
        """The entries of these kinds, and whether they speak of the shared gallery."""
        return [
            (one.kind, "shared" in one.body)
            for one in entries(self.config.audit_folder)
            if one.kind in kinds
        ]

    def sealed(self, *tables: str) -> list[bytes]:
        """What is sealed in these tables of the gallery's file."""
        with closing(sqlite3.connect(self.config.gallery.path)) as database:
            return [
                blob
                for table in tables
                for (blob,) in database.execute(f"SELECT sealed FROM {table}")  # noqa: S608
            ]

    def bytes_on_disk(self) -> bytes:
        """All of the gallery's files."""
        path = self.config.gallery.path
        return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))

    def _hear(self, topics: Sequence[str]) -> bool:
        if not self.connected:
            return False
        self.asked += topics
        for topic in topics:
            if topic in self.house.retained:
                self.arrive(topic, self.house.retained[topic])
        return True

    def _say(self, state: GalleryState) -> bool:
        if self.connected:
            self.states.append(state)
        return self.connected


def listed(door: Door, groups: tuple[str, ...] | None = None) -> SharedDoor:
    """The door, as it stands in the house's file of doors."""
    key = base64.b64encode(door.public).decode()
    return SharedDoor(name=door.topics.door, key=key, groups=groups)
