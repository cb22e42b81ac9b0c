"""The administrator's PIN: asking for it before anything else, and changing it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

from oneglance.errors import ConfigError, OneglanceError
from oneglance.kiosk_ui import admin_secret
from oneglance.kiosk_ui.admin_attempts import AdminAttempts
from oneglance.kiosk_ui.admin_desk import Asks, Desk
from oneglance.kiosk_ui.admin_page import Item, Keys, Page
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.words import ONCE_MORE

log = logging.getLogger(__name__)

_FEWEST, _MOST = admin_secret.FEWEST_DIGITS, admin_secret.MOST_DIGITS
_STAFF = N_("Staff")
_NEW_PIN = N_("New PIN")
_RULE = N_("{fewest} to {most} digits, not all the same, no sequence, no date")


class PinPages:
    """`enter` asks for the PIN that unseals the key in `file`, `change` for a new one.

    With the correct PIN the desk gets the link that `connect` makes with the key, until closed.
    """

    def __init__(
        self,
        desk: Desk,
        file: Path,
        connect: Callable[[AdminKey], Asks],
        clock_s: Callable[[], float],
        cost: Cost | None = None,
    ) -> None:
        self._desk = desk
        self._file = file
        self._connect = connect
        self._clock_s = clock_s
        self._cost = cost
        self._attempts = AdminAttempts(file.with_name(f"{file.name}.attempts"), clock_s())
        self._key: AdminKey | None = None
        desk.first = self._begin
        desk.on_close.append(self._forget)

    def _begin(self) -> None:
        self._attempts.refresh(self._clock_s())
        self._ask()

    def _forget(self) -> None:
        self._key = None

    def _ask(self, said: str = "") -> None:
        desk = self._desk
        wait_s = math.ceil(self._attempts.wait_s(self._clock_s()))
        if wait_s > 0:
            left = f"{wait_s // 60}:{wait_s % 60:02d}"
            line = desk.say(N_("Too many wrong PINs: wait {left}"), left=left)
            page = Page(desk.say(_STAFF), line, sign=Kind.WAIT, buttons=(desk.close_button(),))
            desk.show(page, {"close": desk.close})
            desk.later(1.0, self._ask)
            return
        page = Page(
            *(desk.say(_STAFF), desk.say(said or N_("Enter the administrator's PIN"))),
            entry="",
            keys=Keys.DIGITS,
            buttons=(Item("unlock", desk.say(N_("Unlock")), strong=True), desk.close_button()),
        )
        desk.show(page, {"unlock": self._unlock, "close": desk.close})

    def _unlock(self) -> None:
        desk, pin = self._desk, self._desk.entry
        if len(pin) < _FEWEST:
            return
        try:
            self._attempts.begin(self._clock_s())
        except ConfigError as error:
            log.error("%s", error)
            self._refuse(N_("This screen cannot count wrong PINs: see its log"))
            return

        def compute() -> AdminKey | ConfigError | None:
            try:
                return admin_secret.opened(admin_secret.read(self._file), pin, str(self._file))
            except ConfigError as error:
                return error

        desk.busy(desk.say(_STAFF))
        desk.compute(compute, self._computed)

    def _computed(self, found: AdminKey | ConfigError | None, here: bool) -> None:
        desk = self._desk
        if isinstance(found, ConfigError):
            log.error("%s", found)
            if here:
                self._refuse(N_("No PIN is set on this machine"), "oneglance kiosk set-pin")
            return
        if found is None:
            self._attempts.failed(self._clock_s())
        else:
            self._attempts.succeeded()
        if not here:
            # Who closed the page meanwhile wanted out.
            return
        if found is None:
            self._ask(N_("Wrong PIN: try again"))
            return
        try:
            desk.link = self._connect(found)
        except OneglanceError as error:
            log.error("%s", error)
            self._refuse(N_("The broker cannot be used: see the log"), error.what)
            return
        self._key = found
        log.info("the administration was opened with the key %s", found.key_id)
        desk.menu()

    def _refuse(self, line: str, note: str = "") -> None:
        desk = self._desk
        desk.tell(desk.say(_STAFF), desk.say(line), desk.close, note=note)

    def change(self, first: str = "", said: str = "") -> None:
        """Ask for a new PIN, twice."""
        desk = self._desk

        def once() -> None:
            try:
                pin = admin_secret.check_pin(desk.entry)
            except ConfigError:
                self.change(first, _RULE)
                return
            if not first:
                self.change(pin)
            elif pin != first:
                self.change("", N_("They did not match: once more"))
            else:
                self._seal(pin)

        line = said or (ONCE_MORE if first else N_("{fewest} to {most} digits"))
        page = Page(
            desk.say(_NEW_PIN),
            desk.say(line, fewest=str(_FEWEST), most=str(_MOST)),
            entry="",
            keys=Keys.DIGITS,
            buttons=(Item("done", desk.say(N_("Next")), strong=True), desk.back_button()),
        )
        desk.show(page, {"done": once, "back": desk.menu})

    def _seal(self, pin: str) -> None:
        desk, key = self._desk, self._key
        if key is None:
            return

        def compute() -> bool:
            try:
                admin_secret.write(self._file, admin_secret.sealed(key, pin, self._cost))
            except ConfigError as problem:
                log.error("%s", problem)
                return False
            return True

        def then(done: bool, here: bool) -> None:
            said = N_("It could not be saved, the old one still counts: see the log")
            if here:
                said = N_("It counts from now on") if done else said
                desk.tell(desk.say(_NEW_PIN), desk.say(said), desk.menu, error=not done)

        desk.busy(desk.say(_NEW_PIN))
        desk.compute(compute, then)
