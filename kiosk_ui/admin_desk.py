"""The administration at the screen: which page is open, what its keys do, what is asked for.

No window and no broker of its own: time, the link and the thread that computes are passed in.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from oneglance.contract.commands import Arg, Code
from oneglance.errors import ConfigError, OneglanceError
from oneglance.kiosk_ui import admin_secret
from oneglance.kiosk_ui.admin_attempts import AdminAttempts
from oneglance.kiosk_ui.admin_enrol import CONSENT, CONSENT_LINES, POSES, advice
from oneglance.kiosk_ui.admin_page import DELETE, SHIFT, Item, Keys, Page
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost
from oneglance.kiosk_ui.names import clean_name

log = logging.getLogger(__name__)

# Who walks away leaves nothing open behind them.
IDLE_S, IDLE_ENROLLING_S = 60.0, 180.0
# How often the daemon is asked for a pose: it takes two commands a second.
LOOK_EVERY_S = 0.7
# How long a pose that was taken is praised before the next is asked for.
TAKEN_S = 1.0
_LONGEST_ENTRY = 40
# By their place on the keyboard, see `pin_pad`.
_ENTER, _ESCAPE, _BACKSPACE = {40, 88}, 41, 42
_DOT = "\N{BULLET}"

_BACK = Item("back", "Back")
_CLOSE = Item("close", "Close")


class Asks(Protocol):
    """The administrator's way to the daemon: `AdminLink`."""

    @property
    def connected(self) -> bool:
        """Whether something can be asked."""

    def ask(self, verb: str, then: Callable[[str, str], None], /, **args: Arg) -> None:
        """Ask for something; `then` hears the answer's code and text."""

    def turn(self) -> None:
        """Hand out the answers."""

    def stop(self) -> None:
        """Hang up."""


def in_a_thread(work: Callable[[], None]) -> None:
    """Compute beside the window's thread."""
    threading.Thread(target=work, name="admin", daemon=True).start()


class AdminDesk:
    """`open` shows the PIN's page; `press` hears keys, `turn` is called once a frame.

    `page` is what is to be shown, None while the administration is closed. `facts` tells of the
    system and `decisions` of the last ones; `anew` has the live picture begin anew.
    """

    def __init__(
        self,
        file: Path,
        connect: Callable[[AdminKey], Asks],
        clock_s: Callable[[], float],
        *,
        facts: Callable[[], Sequence[Item]] = tuple,
        decisions: Callable[[], Sequence[Item]] = tuple,
        anew: Callable[[], None] = lambda: None,
        work: Callable[[Callable[[], None]], None] = in_a_thread,
        cost: Cost | None = None,
    ) -> None:
        self._file = file
        self._connect = connect
        self._clock_s = clock_s
        self._facts, self._decisions, self._anew = facts, decisions, anew
        self._work, self._cost = work, cost
        self._attempts = AdminAttempts(file.with_name(f"{file.name}.attempts"), clock_s())
        self._computed: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._key: AdminKey | None = None
        self._link: Asks | None = None
        self._page: Page | None = None
        self._on: dict[str, Callable[[], None]] = {}
        self._entry = ""
        self._shift = False
        self._touched_s = -math.inf
        # Counts the pages: an answer that comes for one that was left means nothing.
        self._number = 0
        self._poses: list[str] = []
        # Whether the daemon has looks of somebody who is not saved yet.
        self._enrolling = False
        self._look_s = math.inf
        self._pose_s = math.inf

    @property
    def page(self) -> Page | None:
        """What is to be shown."""
        page = self._page
        if page is None or page.entry is None:
            return page
        secret = page.keys is Keys.DIGITS
        return replace(page, entry=_DOT * len(self._entry) if secret else self._entry)

    @property
    def shifted(self) -> bool:
        """Whether the next letter is a capital."""
        return self._shift

    def open(self) -> None:
        """Somebody wants in."""
        if self._page is None:
            self._touched_s = self._clock_s()
            self._attempts.refresh(self._touched_s)
            self._ask_pin()

    def close(self) -> None:
        """End it: key and link are gone, and so is what was typed."""
        if self._link is not None:
            self._give_up()
            self._link.stop()
        self._key, self._link, self._page = None, None, None
        self._entry, self._on = "", {}
        self._look_s = math.inf
        self._number += 1

    def press(self, key: str) -> None:
        """A key or button of the page was pressed, by a finger or on a keyboard."""
        page = self._page
        if page is None:
            return
        self._touched_s = self._clock_s()
        if key in self._on:
            self._on[key]()
        elif page.entry is not None and page.keys is not Keys.NONE:
            self._type(page, key)

    def type(self, place: int, text: str, *, shift: bool) -> None:
        """A keyboard's key, by its place and by what it writes."""
        page = self._page
        if page is None:
            return
        if place in _ENTER:
            strong = [button.key for button in page.buttons if button.strong]
            self.press(strong[0] if strong else "")
        elif place == _ESCAPE:
            self.press("back" if "back" in self._on else "close")
        elif place == _BACKSPACE:
            self.press(DELETE)
        elif text.isprintable() and page.entry is not None:
            self._shift = self._shift or shift
            self.press(text)

    def turn(self) -> None:
        """Take in what was computed and answered, and end what nobody touches."""
        while not self._computed.empty():
            self._computed.get()()
        if self._link is not None:
            self._link.turn()
        if self._page is None:
            return
        now_s = self._clock_s()
        if now_s - self._touched_s >= (IDLE_ENROLLING_S if self._enrolling else IDLE_S):
            self.close()
            return
        if now_s >= self._look_s:
            self._look()
        if self._key is None and self._page.keys is Keys.NONE and "wait" in self._on:
            self._ask_pin()

    # --- typing ------------------------------------------------------------------------------

    def _type(self, page: Page, key: str) -> None:
        if key == DELETE:
            self._entry = self._entry[:-1]
        elif key == SHIFT:
            self._shift = not self._shift
            return
        elif len(key) == 1 and key.isprintable():
            if page.keys is Keys.DIGITS and not key.isdecimal():
                return
            longest = admin_secret.MOST_DIGITS if page.keys is Keys.DIGITS else _LONGEST_ENTRY
            self._entry = (self._entry + (key.upper() if self._shift else key))[:longest]
            # A name begins with a capital, and so does what follows a space.
            self._shift = page.keys is Keys.LETTERS and key == " "

    def _show(self, page: Page, on: dict[str, Callable[[], None]], entry: str = "") -> None:
        self._number += 1
        self._page, self._on, self._entry = page, on, entry
        self._shift = page.keys is Keys.LETTERS and not entry
        self._look_s = math.inf

    def _tell(self, title: str, line: str, then: Callable[[], None], *, error: bool = True) -> None:
        """One sentence, and a button."""
        word = "Back" if error else "Done"
        page = Page(title, line, buttons=(Item("back", word, strong=True), _CLOSE))
        self._show(page, {"back": then, "close": self.close})

    def _busy(self, title: str) -> None:
        self._show(Page(title, "One moment", buttons=(_CLOSE,)), {"close": self.close})

    # --- the PIN -----------------------------------------------------------------------------

    def _ask_pin(self, said: str = "") -> None:
        wait_s = math.ceil(self._attempts.wait_s(self._clock_s()))
        if wait_s > 0:
            line = f"Too many wrong PINs: wait {wait_s // 60}:{wait_s % 60:02d}"
            if self._page is not None and self._page.line == line:
                return
            page = Page("Staff", line, buttons=(_CLOSE,))
            self._show(page, {"wait": lambda: None, "close": self.close})
            return
        page = Page(
            *("Staff", said or "Enter the administrator's PIN", ""),
            keys=Keys.DIGITS,
            buttons=(Item("unlock", "Unlock", strong=True), _CLOSE),
        )
        self._show(page, {"unlock": self._unlock, "close": self.close})

    def _unlock(self) -> None:
        pin = self._entry
        if len(pin) < admin_secret.FEWEST_DIGITS:
            return
        try:
            self._attempts.begin(self._clock_s())
        except ConfigError as error:
            log.error("%s", error)
            self._tell("Staff", "This screen cannot count wrong PINs: see its log", self.close)
            return
        self._busy("Staff")
        number = self._number

        def compute() -> None:
            try:
                data = admin_secret.read(self._file)
                found = admin_secret.opened(data, pin, str(self._file))
            except ConfigError as error:
                log.error("%s", error)
                self._computed.put(lambda: self._no_key(number))
                return
            self._computed.put(lambda: self._unlocked(found, number))

        self._work(compute)

    def _no_key(self, number: int) -> None:
        if number == self._number:
            self._tell("Staff", "No PIN is set: oneglance kiosk set-pin", self.close)

    def _unlocked(self, key: AdminKey | None, number: int) -> None:
        now_s = self._clock_s()
        if key is None:
            self._attempts.failed(now_s)
        else:
            self._attempts.succeeded()
        if number != self._number:
            # Who closed the page meanwhile wanted out.
            return
        if key is None:
            self._ask_pin("That was not it: try again")
            return
        try:
            self._link = self._connect(key)
        except OneglanceError as error:
            log.error("%s", error)
            self._tell("Staff", "The broker cannot be used: see the log", self.close)
            return
        self._key = key
        log.info("the administration was opened with the key %s", key.key_id)
        self._menu()

    # --- menu --------------------------------------------------------------------------------

    def _menu(self) -> None:
        # Whatever led back here, nothing of an enrolment is to be left.
        self._give_up()
        items = (
            Item("people", "People", "list, search, rename, delete"),
            Item("enrol", "Enrol somebody", "five looks, on this screen"),
            Item("decisions", "Last decisions", "since this screen started"),
            Item("system", "System", "daemon, model, broker"),
            Item("picture", "Restart the live picture", "if it hangs"),
            Item("pin", "Change the PIN", "of this screen"),
        )
        on = {
            "people": self._people,
            "enrol": self._enrol_name,
            "decisions": lambda: self._list("Last decisions", self._decisions()),
            "system": lambda: self._list("System", self._facts()),
            "picture": self._picture_anew,
            "pin": self._new_pin,
            "close": self.close,
        }
        self._show(Page("Administration", items=items, buttons=(_CLOSE,)), on)

    def _list(self, title: str, items: Sequence[Item]) -> None:
        page = Page(title, "" if items else "Nothing yet", items=tuple(items), buttons=(_BACK,))
        self._show(page, {"back": self._menu})

    def _picture_anew(self) -> None:
        self._anew()
        self._tell("Live picture", "It begins anew", self._menu, error=False)

    def _asked(self, title: str, verb: str, then: Callable[[str], None], /, **args: Arg) -> None:
        """Ask the daemon, and go on with the answer's text; what it refuses is shown."""
        if self._link is None:
            return
        self._busy(title)
        number = self._number

        def answered(code: str, text: str) -> None:
            if number != self._number:
                return
            if code == Code.OK:
                then(text)
            else:
                said = f"{text[:160]}" if code else "The daemon did not answer"
                self._tell(title, said or code, self._menu)

        self._link.ask(verb, answered, **args)

    # --- people ------------------------------------------------------------------------------

    def _people(self, search: str = "") -> None:
        args: dict[str, Arg] = {"search": search} if search else {}
        self._asked("People", "list", lambda text: self._found(text, search), **args)

    def _found(self, text: str, search: str) -> None:
        items, on = [], {"back": self._menu, "search": self._search}
        for line in text.splitlines():
            person_id, gap, name = line.partition("  ")
            if not gap:
                items.append(Item("", line))
                continue
            key = f"person {person_id}"
            items.append(Item(key, clean_name(name), person_id))
            on[key] = lambda i=person_id, n=name: self._person(i, n)  # type: ignore[misc]
        line = f'With "{search}"' if search else ""
        buttons = (Item("search", "Search", strong=True), _BACK)
        self._show(Page("People", line, items=tuple(items), buttons=buttons), on)

    def _search(self) -> None:
        self._ask_text("Search", "Part of a name", "Find", self._people)

    def _ask_text(
        self,
        title: str,
        line: str,
        word: str,
        then: Callable[[str], None],
        entry: str = "",
    ) -> None:
        def done() -> None:
            text = " ".join(self._entry.split())
            if text:
                then(text)

        page = Page(title, line, "", Keys.LETTERS, (), (Item("done", word, strong=True), _BACK))
        self._show(page, {"done": done, "back": self._menu}, entry)

    def _person(self, person_id: str, name: str) -> None:
        items = (
            Item("rename", "Rename", "what the screen greets with"),
            Item("delete", "Delete", "for good: templates, badge, PIN", danger=True),
        )
        on = {
            "rename": lambda: self._ask_text(
                *("Rename", f"Now: {clean_name(name)}", "Save"),
                lambda new: self._renamed(person_id, new),
                clean_name(name),
            ),
            "delete": lambda: self._sure(person_id, name),
            "back": self._people,
        }
        self._show(Page(clean_name(name), person_id, items=items, buttons=(_BACK,)), on)

    def _renamed(self, person_id: str, name: str) -> None:
        self._asked("Rename", "rename", self._done("Rename"), id=person_id, name=name)

    def _sure(self, person_id: str, name: str) -> None:
        page = Page(
            *(f"Delete {clean_name(name)}?", "This cannot be undone"),
            buttons=(Item("yes", "Delete", danger=True), Item("back", "Keep", strong=True)),
        )
        on = {
            "yes": lambda: self._asked("Delete", "delete", self._done("Delete"), id=person_id),
            "back": self._people,
        }
        self._show(page, on)

    def _done(self, title: str) -> Callable[[str], None]:
        return lambda text: self._tell(title, text[:160], self._people, error=False)

    # --- another PIN -------------------------------------------------------------------------

    def _new_pin(self, first: str = "", said: str = "") -> None:
        def once() -> None:
            try:
                pin = admin_secret.check_pin(self._entry)
            except ConfigError as error:
                self._new_pin(first, error.what)
                return
            if not first:
                self._new_pin(pin)
            elif pin != first:
                self._new_pin("", "They were not alike: once more")
            else:
                self._seal(pin)

        fewest, most = admin_secret.FEWEST_DIGITS, admin_secret.MOST_DIGITS
        line = said or ("Once more" if first else f"{fewest} to {most} digits")
        page = Page(
            *("New PIN", line, ""),
            keys=Keys.DIGITS,
            buttons=(Item("done", "Next", strong=True), _BACK),
        )
        self._show(page, {"done": once, "back": self._menu})

    def _seal(self, pin: str) -> None:
        key = self._key
        if key is None:
            return
        self._busy("New PIN")
        number = self._number

        def compute() -> None:
            try:
                admin_secret.write(self._file, admin_secret.sealed(key, pin, self._cost))
                said, error = "It counts from now on", False
            except ConfigError as problem:
                log.error("%s", problem)
                said, error = "It could not be kept, and the old one counts: see the log", True
            self._computed.put(lambda: self._sealed(said, number, error=error))

        self._work(compute)

    def _sealed(self, said: str, number: int, *, error: bool) -> None:
        if number == self._number:
            self._tell("New PIN", said, self._menu, error=error)

    # --- enrolment ---------------------------------------------------------------------------

    def _enrol_name(self) -> None:
        self._ask_text("Enrol", "The person's name", "Next", self._consent)

    def _consent(self, name: str) -> None:
        page = Page(
            f"Does {clean_name(name)} agree?",
            items=tuple(Item("", line) for line in CONSENT_LINES),
            buttons=(Item("agree", "I agree", strong=True), Item("back", "No")),
        )
        on = {"agree": lambda: self._begin(name), "back": self._menu}
        self._show(page, on)

    def _begin(self, name: str) -> None:
        self._poses, self._enrolling = list(POSES), True
        self._asked(
            *("Enrol", "enrol-begin", lambda _text: self._pose()),
            name=name,
            consent=True,
            consent_text=CONSENT,
        )

    def _pose(self, said: str = "") -> None:
        done = len(POSES) - len(self._poses)
        if not self._poses:
            self._review()
            return
        title = POSES[self._poses[0]]
        page = Page(
            *(title, said or f"Look {done + 1} of {len(POSES)}"),
            buttons=(Item("cancel", "Cancel"),),
            picture=True,
            progress=done / len(POSES),
        )
        self._show(page, {"cancel": self._menu})
        self._look_s = self._clock_s() + (TAKEN_S if not said else LOOK_EVERY_S)

    def _look(self) -> None:
        self._look_s = math.inf
        if self._link is None or not self._poses:
            return
        number, pose = self._number, self._poses[0]

        def answered(code: str, text: str) -> None:
            if number != self._number:
                return
            if code == Code.OK:
                self._poses.pop(0)
                self._pose()
            elif not code:
                # It may be busy: one answer that is missing ends nobody's enrolment.
                self._pose("The daemon did not answer")
            elif code in ("rate_limited", "busy"):
                self._look_s = self._clock_s() + 1.0
            elif (said := advice(code)) is not None:
                self._pose(said)
            else:
                self._give_up()
                self._tell("Enrol", text[:160] or "The daemon did not answer", self._menu)

        self._link.ask("enrol-look", answered, pose=pose)

    def _review(self) -> None:
        page = Page(
            *("Five good looks", "Save them, or take them once more"),
            buttons=(
                Item("save", "Save", strong=True),
                Item("again", "Once more"),
                Item("cancel", "Cancel"),
            ),
            picture=True,
            progress=1.0,
        )

        def again() -> None:
            self._poses = list(POSES)
            self._pose()

        def save() -> None:
            self._asked("Enrol", "enrol-finish", self._enrolled)

        self._show(page, {"save": save, "again": again, "cancel": self._menu})

    def _enrolled(self, text: str) -> None:
        self._enrolling = False
        self._tell("Welcome aboard", text[:160], self._menu, error=False)

    def _give_up(self) -> None:
        """Have the daemon forget an enrolment that was not saved."""
        if self._enrolling and self._link is not None:
            self._link.ask("enrol-cancel", lambda *_: None)
        self._poses, self._enrolling = [], False
