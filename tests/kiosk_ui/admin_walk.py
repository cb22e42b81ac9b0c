"""A walk through every page of the administration, with a daemon that says what is told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.kiosk_ui.admin import administration
from oneglance.kiosk_ui.admin_attempts import FREE
from oneglance.kiosk_ui.admin_page import Page
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost, sealed, write
from oneglance.kiosk_ui.language import Language

PIN, WRONG = "27182818", "31415926"
CHEAP = Cost(kib=64, passes=1, lanes=1)
KEY = AdminKey("hall-admin", Ed25519PrivateKey.generate(), "oneglance-admin", "a password")
SEALED = sealed(KEY, PIN, CHEAP)
LONG = "Maximiliane Konstantinopoulos-Szczepańska"
REFUSAL = (
    "look_straight and turn_left do not look like one person (score 0.12, at least 1.10 is needed)."
    " leave one of them out"
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
        self._given: dict[str, Any] = {"language": language} | given
        self.begin()

    def begin(self, work: Callable[[Callable[[], None]], None] = lambda work: work()) -> None:
        self.desk = administration(
            *(self.file, self._connect, lambda: self.now_s), work=work, cost=CHEAP, **self._given
        )

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
        daemon.says["list"] = ("ok", "nobody is called so")
        yield at("nobody", "done")
        daemon.says["list"] = ("ok", people)
        screen.press("back", "people")
        yield at("person", "person maximiliane-1")
        yield at("rename", "rename")
        yield at("renamed", "done")
        screen.press("back")
        yield at("delete", "person maximiliane-1", "delete")
        yield at("deleted", "yes")
        screen.press("back", "back")
        daemon.says["list"] = ("gallery_error", REFUSAL)
        yield at("refused", "people")
        daemon.says["list"] = ("", "")
        yield at("unanswered", "back", "people")
        yield at("name", "back", "enrol", *"Maximiliane")
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
        yield at("decisions", "back", "decisions")
        yield at("system", "back", "system")
        yield at("picture", "back", "picture")
        yield at("new-pin", "back", "pin", *"1111")
        yield at("new-pin-refused", *"1111", "done")
        yield at("new-pin-once-more", *"16180339", "done")
        yield at("new-pin-counts", *"16180339", "done")
