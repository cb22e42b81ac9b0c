"""The house for `fleet.py`: a gallery of made-up people, and what `people sync` does with it."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_doors import MODEL_ID, TEMPLATE_SIZE

from oneglance.cli.audit_log import open_gallery
from oneglance.cli.people.shared_plan import SharedDoor, Sharer
from oneglance.cli.people.sync import connected, share
from oneglance.config import Config, GalleryConfig, SiteConfig
from oneglance.contract.messages import parse
from oneglance.contract.sharing import GalleryState
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.key_files import create_sealing_key
from oneglance.link import Arrival, Link

if TYPE_CHECKING:
    from fleet import Broker

PICTURES = 3
# A busy machine takes a while to play a thousand doors.
WAIT_S = 300.0


class House:
    """It enrols this many `people`, and makes the keys that each door needs."""

    def __init__(
        self, broker: Broker, doors: Sequence[str], key: Ed25519PrivateKey, people: int
    ) -> None:
        folder = broker.folder / "house"
        folder.mkdir()
        create_key(folder / "gallery.key")
        site = "fleet"
        self._config = Config(
            site=SiteConfig(name=site, door="house"),
            mqtt=broker.mqtt("oneglance-admin"),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
        )
        secret = load_key(self._config.gallery.key_file).secret(b"sharing")
        self._sharer = Sharer(site, "house", key, secret)
        self._doors = [_door(broker.folder / name, name) for name in doors]
        self.people = people
        rng = np.random.default_rng(7)
        now = datetime.now(UTC)
        with open_gallery(self._config, create=True) as gallery:
            for number in range(people):
                rows = rng.normal(size=(PICTURES, TEMPLATE_SIZE)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                gallery.enrol(f"Person {number}", rows, MODEL_ID, consent_at=now, source="made")

    def delete_one(self) -> dict[str, Any]:
        """Delete one person, and share that."""
        with open_gallery(self._config) as gallery:
            gallery.delete(gallery.list_people()[0].person_id)
        return self.share()

    def share(self) -> dict[str, Any]:
        """Publish; when each door proves that it has this version, in s from the start."""
        proved: dict[str, tuple[float, int]] = {}
        lock = threading.Lock()

        def heard(arrival: Arrival) -> None:
            door = arrival.topic.split("/")[3]
            state = parse(arrival.payload, GalleryState)
            if not arrival.retained and self._sharer.proves(door, state):
                with lock:
                    proved[door] = time.monotonic(), state.version

        link = Link(
            self._config.mqtt,
            "stopwatch",
            subscriptions=((f"oneglance/v1/{self._sharer.site}/+/gallery/state", 0),),
            on_message=heard,
        )
        link.start()
        if not link.wait_connected(30):
            raise SystemExit("the stopwatch cannot connect")
        began_s = time.monotonic()
        with connected(self._config, self._sharer.site) as broker:
            done = share(self._config, self._doors, self._sharer, broker, WAIT_S)
        link.stop()
        with lock:
            newest = [at for at, version in proved.values() if version == done.version]
        took_s = sorted(at - began_s for at in newest)
        return {
            "parts": done.parts,
            "new_parts": done.new_parts,
            "confirmed": len(done.confirmed),
            "half_s": _at(took_s, 0.5),
            "p99_s": _at(took_s, 0.99),
            "last_s": _at(took_s, 1.0),
            "timed": len(took_s),
        }


def _door(folder: Path, name: str) -> SharedDoor:
    folder.mkdir()
    create_key(folder / "gallery.key")
    public = create_sealing_key(folder / "sharing.key")
    return SharedDoor(name=name, key=base64.b64encode(public).decode())


def _at(ordered: Sequence[float], share: float) -> float:
    place = min(len(ordered) - 1, int(share * len(ordered)))
    return round(ordered[place], 2) if ordered else float("nan")
