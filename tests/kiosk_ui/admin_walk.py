"""A walk through every page of the administration, with a daemon that says what is told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.config import Config
from oneglance.contract.messages import DoorState, LockState, ServiceState, Status
from oneglance.kiosk_ui import admin_photo
from oneglance.kiosk_ui.admin import administration
from oneglance.kiosk_ui.admin_attempts import FREE
from oneglance.kiosk_ui.admin_facts import House
from oneglance.kiosk_ui.admin_house import LOCK_ANSWER_S
from oneglance.kiosk_ui.admin_page import Page
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost, sealed, write
from oneglance.kiosk_ui.kept import Kept
from oneglance.kiosk_ui.language import Language
from oneglance.kiosk_ui.photo_shrink import shrunk

# A walk in another language has the same photographs.
admin_photo.shrunk = cache(shrunk)

PIN, WRONG = "27182818", "31415926"
CHEAP = Cost(kib=64, passes=1, lanes=1)
KEY = AdminKey("hall-admin", Ed25519PrivateKey.generate(), "oneglance-admin", "a password")
SEALED = sealed(KEY, PIN, CHEAP)
LONG = "Maximiliane Konstantinopoulos-Szczepańska"
REFUSAL = (
    "look_straight and turn_left do not look like one person (score 0.12, at least 1.10 is needed)."
    " leave one of them out"
)
DECISIONS = (
    f"2026-11-29T17:42:00+00:00  accepted  face+badge  {LONG}",
    "2026-11-29T17:41:00+00:00  accepted  face",
    "2026-11-29T17:40:00+00:00  rejected  challenge_not_shown",
    "2026-11-29T17:39:00+00:00  rejected  presentation_attack",
    "2026-11-29T17:38:00+00:00  rejected  factor_missing",
    "2026-11-29T17:37:00+00:00  rejected  not_recognised",
    "2026-11-29T17:36:00+00:00  rejected  ambiguous",
    "2026-11-29T17:35:00+00:00  rejected  poor_quality",
    "2026-11-29T17:34:00+00:00  rejected  challenge_ignored",
    "2026-11-29T17:33:00+00:00  rejected  not_permitted",
    "2026-11-29T17:32:00+00:00  rejected  lock_test",
)
SYSTEM = (
    "software  0.1.0",
    "model  mobileface-2 float32",
    "people  1234",
    "camera  front  ok",
    "camera  side  camera_lost",
    "temperature  57.9",
    "disk  12345  64321",
)


class Daemon:
    """What is asked of it, and what it says."""

    connected = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.says: dict[str, tuple[str, str]] = {}
        self.waiting: list[Callable[[], None]] = []
        self.stopped = False

    def ask(self, verb: str, then: Callable[[str, str], None], /, **args: Any) -> None:
        self.asked.append((verb, args))
        self.waiting.append(lambda: then(*self.says.get(verb, ("ok", "done"))))

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for answer in waiting:
            answer()

    def stop(self) -> None:
        self.stopped = True


class Screen:
    """The administration, its clock, and who touches it."""

    def __init__(self, folder: Path, language: Language | None = None, **given: Any) -> None:
        self.now_s = 1000.0
        self.file = folder / "admin"
        write(self.file, SEALED)
        self.daemon = Daemon()
        self.keys: list[AdminKey] = []
        self.house = House(config=Config())
        self.kept = Kept()
        self.anew = 0
        self._given: dict[str, Any] = {
            "language": language,
            "house": lambda: self.house,
            "kept": lambda: self.kept,
            "keep": self.keep,
            "anew": self.restart_picture,
            "photo_folders": (folder / "media",),
        } | given
        self.begin()

    def begin(self, work: Callable[[Callable[[], None]], None] = lambda work: work()) -> None:
        self.desk = administration(
            *(self.file, self._connect, lambda: self.now_s), work=work, cost=CHEAP, **self._given
        )

    def keep(self, kept: Kept) -> bool:
        self.kept = kept
        return True

    def restart_picture(self) -> None:
        self.anew += 1

    def _connect(self, key: AdminKey) -> Daemon:
        self.keys.append(key)
        self.daemon.stopped = False
        return self.daemon

    def press(self, *keys: str, passed_s: float = 0.0) -> str:
        """Press keys, let some time pass; the title of the page, "" if it is closed."""
        for key in keys:
            self.desk.press(key)
        self.now_s += passed_s
        for _ in range(3):
            self.desk.turn()
        return "" if self.desk.page is None else self.desk.page.title

    def enter(self, pin: str) -> str:
        self.desk.open()
        return self.press(*pin, "unlock")

    @property
    def page(self) -> Page:
        assert self.desk.page is not None
        return self.desk.page

    @property
    def line(self) -> str:
        return self.page.line


def walk(language: Language) -> Iterator[tuple[str, Page]]:
    """Every page, by a name, with the longest that may stand on it."""
    with tempfile.TemporaryDirectory() as folder:
        screen = Screen(Path(folder), language)
        daemon = screen.daemon

        def at(name: str, *keys: str, passed_s: float = 0.0) -> tuple[str, Page]:
            screen.press(*keys, passed_s=passed_s)
            return name, screen.page

        screen.desk.open()
        yield at("pin", *PIN, *"2718")
        screen.press("close")
        screen.enter(WRONG)
        yield at("pin-wrong")
        for _ in range(FREE - 1):
            screen.enter(WRONG)
        yield at("pin-wait")
        screen.press("close")
        screen.now_s += 100.0
        screen.enter(PIN)
        yield at("menu")
        people = "\n".join(f"maximiliane-{i}  {LONG}" for i in range(40))
        daemon.says["list"] = ("ok", f"{people}\nand 3 more: 'oneglance people list'")
        yield at("people", "people")
        yield at("search", "search", *"maximil")
        daemon.says["list"] = ("ok", "nobody has such a name")
        yield at("nobody", "done")
        daemon.says["list"] = ("ok", people)
        screen.press("back", "people")
        yield at("person", "person maximiliane-1")
        daemon.says["groups"] = ("ok", "this door knows no groups")
        yield at("no-groups", "groups")
        groups = ("+ family", "- cleaning-service-at-weekends", "- staff", "+ volunteers")
        daemon.says["groups"] = ("ok", "\n".join(groups))
        yield at("groups", "back", "groups")
        yield at("rename", "back", "rename")
        yield at("renamed", "done")
        screen.press("back")
        yield at("delete", "person maximiliane-1", "delete")
        yield at("deleted", "yes")
        screen.press("back", "back")
        daemon.says["list"] = ("gallery_error", REFUSAL)
        yield at("refused", "people")
        daemon.says["list"] = ("", "")
        yield at("unanswered", "back", "people")
        yield at("enrol", "back", "enrol")
        yield at("name", "here", *"Maximiliane")
        yield at("consent", "done")
        daemon.says["enrol-look"] = ("pose", "")
        screen.press("agree")
        yield at("pose", passed_s=2.0)
        daemon.says["enrol-look"] = ("ok", "")
        yield at("pose-two", passed_s=2.0)
        for _ in range(20):
            screen.press(passed_s=1.0)
        yield at("review")
        yield at("enrolled", "save")
        yield at("no-photos", "back", "enrol", "photo")
        put_photos(Path(folder) / "media")
        yield at("photos", "again")
        yield at("photo-damaged", "photo 0")
        screen.press("back")
        yield at("photo", "photo 1")
        screen.press("take", *"Maximiliane", "done")
        yield at("photo-consent")
        daemon.says["enrol"] = ("image_error", "photo 1: 2 faces were found. use another one")
        yield at("photo-refused", "agreed")
        daemon.says["decisions"] = ("ok", "nobody came yet")
        yield at("no-decisions", "back", "decisions")
        daemon.says["decisions"] = ("ok", "\n".join(DECISIONS))
        yield at("decisions", "back", "decisions")
        daemon.says["system"] = ("ok", "\n".join(SYSTEM))
        now = datetime(2026, 11, 29, tzinfo=UTC)
        reasons = ("camera_lost:side", "credentials_restored")
        status = Status(issued_at=now, state=ServiceState.DEGRADED, reasons=reasons, software="1")
        door = DoorState(issued_at=now, state=LockState.FAULT, cause="connection lost")
        screen.house = replace(screen.house, status=status, door=door)
        yield at("system", "back", "system")
        yield at("lock", "back", "lock")
        screen.press("test")
        yield at("lock-no-decision", passed_s=LOCK_ANSWER_S)
        screen.press("back", "lock", "test")
        screen.house = replace(screen.house, lock_test="e1")
        yield at("lock-silent", passed_s=LOCK_ANSWER_S)
        screen.press("back", "lock", "test")
        door = DoorState(issued_at=now, state=LockState.LOCKED, cause="e2")
        screen.house = replace(screen.house, lock_test="e2", door=door)
        yield at("lock-well", passed_s=1.2)
        yield at("screen", "back", "screen")
        yield at("languages", "language")
        yield at("brightness", "back", "brightness")
        yield at("picture", "back", "picture")
        yield at("new-pin", "back", "pin", *"1111")
        yield at("new-pin-refused", *"1111", "done")
        yield at("new-pin-once-more", *"16180339", "done")
        yield at("new-pin-counts", *"16180339", "done")


def put_photos(folder: Path) -> None:
    """A stick with two photographs, the newer of which is damaged."""
    stick = folder / "STICK" / "DCIM"
    stick.mkdir(parents=True)
    picture = np.full((480, 640, 3), 200, np.uint8)
    cv2.circle(picture, (320, 240), 150, (90, 120, 160), -1)
    (stick / "IMG_20261129_174200.JPG").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    damaged = stick / "IMG_20261129_174201.JPG"
    damaged.write_bytes(b"\xff\xd8 no picture")
    for number, file in enumerate(sorted(stick.iterdir())):
        os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))
