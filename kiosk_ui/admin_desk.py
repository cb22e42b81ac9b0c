"""The administration's desk: which page is shown, what its keys do, what the daemon is asked.

It knows no page itself: each is in a module of its own and `offer`s itself to the menu. It has no
window and no broker: time, the link and the thread that computes are passed in.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from oneglance.contract.commands import Arg, Code
from oneglance.kiosk_ui import admin_keys
from oneglance.kiosk_ui.admin_page import DELETE, LAYOUT, SHIFT, Item, Keys, Page
from oneglance.kiosk_ui.admin_secret import MOST_DIGITS
from oneglance.kiosk_ui.language import N_, Language
from oneglance.kiosk_ui.screen import Kind

# Who walks away leaves nothing open behind them; less soon in the middle of an enrolment.
IDLE_S, IDLE_UNFINISHED_S = 60.0, 180.0
LONGEST_ENTRY = 40
# As much of what the daemon says as can be read in small letters.
_LONGEST_NOTE = 160
ONE_MOMENT = N_("One moment")
UNANSWERED = N_("The daemon did not answer")
_AGAIN = N_("The door is busy: try again in a moment")
_NO_KEY = N_("The key behind this PIN is not valid: set it again on this machine")
# What an answer's code means; the daemon's own words, which are English, stand below it.
_REFUSALS: dict[str, str] = {
    "": UNANSWERED,
    **dict.fromkeys((Code.BUSY, Code.RATE_LIMITED, Code.REPLAYED), _AGAIN),
    **dict.fromkeys((Code.EXPIRED, Code.CLOCK_SET), N_("One of the two clocks is wrong")),
    **dict.fromkeys(
        (Code.UNKNOWN_KEY, Code.NOT_ALLOWED, Code.REVOKED, Code.NOT_SIGNED, Code.WRONG_DOOR),
        _NO_KEY,
    ),
    Code.UNKNOWN_COMMAND: N_("The daemon is older than this screen, and cannot do that"),
    "gallery_error": N_("The door's list of people did not accept it"),
    "image_error": N_("This picture cannot be used: it must show one face, sharp, from the front"),
    "audit_error": N_("It could not be logged, so it was not done"),
}
_NOT_DONE = N_("The daemon did not do it")
# By their place on the keyboard, see `pin_pad`.
_ENTER, _ESCAPE, _BACKSPACE = {40, 88}, 41, 42
_DOT = "\N{BULLET}"

T = TypeVar("T")
Do = Callable[[], None]


class Asks(Protocol):
    """The administrator's way to the daemon: `AdminLink`."""

    @property
    def connected(self) -> bool:
        """Whether the daemon can be asked."""

    def ask(self, verb: str, then: Callable[[str, str], None], /, **args: Arg) -> None:
        """Send a request; `then` gets the answer's code and text."""

    def turn(self) -> None:
        """Hand over answers that have come."""

    def stop(self) -> None:
        """Hang up."""


def in_a_thread(work: Do) -> None:
    """Compute in another thread than the window's."""
    threading.Thread(target=work, name="admin", daemon=True).start()


class Desk:
    """`open` shows the first page; `press` takes keys; `turn` is called once per frame.

    `page` is what to show, None while the administration is closed. `first` shows the page that
    anybody may see, and sets `link` once the menu may be seen.
    """

    def __init__(
        self,
        clock_s: Callable[[], float],
        work: Callable[[Do], None] = in_a_thread,
        language: Language | None = None,
    ) -> None:
        self.language = language or Language()
        self._clock_s = clock_s
        self._work = work
        self.first: Do = lambda: None
        self.link: Asks | None = None
        # What to do when everything is put away.
        self.on_close: list[Do] = []
        # Undoes what was begun and is not finished, when the menu or the end comes first.
        self.unfinished: Do | None = None
        self._offers: list[tuple[Item, Do]] = []
        self._computed: queue.SimpleQueue[Do] = queue.SimpleQueue()
        self._page: Page | None = None
        self._on: dict[str, Do] = {}
        self._entry = ""
        self._shift = False
        # Of a language whose letters are not Latin: these, or Latin ones.
        self._own_letters = True
        self._touched_s = -math.inf
        # Counts the pages: an answer that comes for one that was left means nothing.
        self._number = 0
        self._later_s = math.inf
        self._later: Do = lambda: None

    @property
    def page(self) -> Page | None:
        """The page to show."""
        page = self._page
        if page is None or page.entry is None:
            return page
        secret = page.keys is Keys.DIGITS
        return replace(page, entry=_DOT * len(self._entry) if secret else self._entry)

    @property
    def entry(self) -> str:
        """What has been typed so far."""
        return self._entry

    @property
    def shifted(self) -> bool:
        """Whether the next letter is a capital."""
        return self._shift

    def say(self, message: str, **values: str) -> str:
        """A message in the screen's language."""
        return self.language.say(message, **values)

    def offer(self, item: Item, then: Do) -> None:
        """Add `item` to the menu; its texts are message ids, and pressing it calls `then`."""
        self._offers.append((item, then))

    # --- what the window calls -----------------------------------------------------------------

    def open(self) -> None:
        """Start: show the first page."""
        if self._page is None:
            self._touched_s = self._clock_s()
            self.first()

    def close(self) -> None:
        """End: undo what was begun, drop the link, and forget what was typed."""
        self._undo()
        if self.link is not None:
            self.link.stop()
        for do in self.on_close:
            do()
        self.link, self._page = None, None
        self._entry, self._on = "", {}
        self._later_s = math.inf
        self._number += 1

    def press(self, key: str) -> None:
        """Handle a key or button of the page, touched or typed."""
        page = self._page
        if page is None:
            return
        self._touched_s = self._clock_s()
        if key in self._on:
            self._on[key]()
        elif page.entry is not None and page.keys is not Keys.NONE:
            self._type(page, key)

    def type(self, place: int, text: str, *, shift: bool) -> None:
        """Handle a keyboard's key, given by its position and by what it types."""
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
        """Process results and answers, and close the administration when nobody touches it."""
        while not self._computed.empty():
            self._computed.get()()
        if self.link is not None:
            self.link.turn()
        if self._page is None:
            return
        now_s = self._clock_s()
        patience_s = IDLE_S if self.unfinished is None else IDLE_UNFINISHED_S
        if now_s - self._touched_s >= patience_s:
            self.close()
        elif now_s >= self._later_s:
            self._later_s = math.inf
            self._later()

    # --- what pages call -----------------------------------------------------------------------

    def show(self, page: Page, on: dict[str, Do], entry: str = "") -> None:
        """Show `page`; `on` says what its keys do, `entry` is text already typed."""
        self._number += 1
        self._page, self._on, self._entry = page, on, entry
        self._shift = page.keys is Keys.LETTERS and not entry
        self._later_s = math.inf

    def later(self, seconds: float, then: Do) -> None:
        """Call something that much later, unless another page is shown before."""
        self._later_s, self._later = self._clock_s() + seconds, then

    def menu(self) -> None:
        """Show the menu."""
        self._undo()
        on = {item.key: then for item, then in self._offers}
        say = self.say
        items = tuple(
            replace(item, text=say(item.text), more=say(item.more)) for item, _ in self._offers
        )
        page = Page(say(N_("Administration")), items=items, buttons=(self.close_button(),))
        self.show(page, on | {"close": self.close})

    def tell(self, title: str, line: str, then: Do, *, error: bool = True, note: str = "") -> None:
        """Show one sentence, and a button that calls `then`."""
        word, sign = (N_("Back"), Kind.NOT_RECOGNISED) if error else (N_("Done"), Kind.WELCOME)
        buttons = (Item("back", self.say(word), strong=True), self.close_button())
        page = Page(title, line, note=note[:_LONGEST_NOTE], sign=sign, buttons=buttons)
        self.show(page, {"back": then, "close": self.close})

    def busy(self, title: str) -> None:
        """Show that an answer is being waited for."""
        buttons = (self.close_button(),)
        page = Page(title, self.say(ONE_MOMENT), sign=Kind.STARTING, buttons=buttons)
        self.show(page, {"close": self.close})

    def ask(self, title: str, verb: str, then: Callable[[str], None], /, **args: Arg) -> None:
        """Ask the daemon, and continue with the answer's text; a refusal is shown."""
        if self.link is None:
            return
        self.busy(title)

        def answered(code: str, text: str) -> None:
            if code == Code.OK:
                then(text)
            else:
                self.refused(title, code, text)

        self.ask_quietly(verb, answered, **args)

    def ask_quietly(self, verb: str, then: Callable[[str, str], None], /, **args: Arg) -> None:
        """Ask the daemon; `then` gets code and text, unless another page is shown before."""
        number = self._number

        def answered(code: str, text: str) -> None:
            if number == self._number:
                then(code, text)

        if self.link is not None:
            self.link.ask(verb, answered, **args)

    def refused(self, title: str, code: str, text: str) -> None:
        """Show why the daemon did not do it; without a code, that it did not answer."""
        line = self.say(_REFUSALS.get(code, _NOT_DONE))
        self.tell(title, line, self.menu, note=text or code)

    def compute(self, work: Callable[[], T], then: Callable[[T, bool], None]) -> None:
        """Compute in a thread; `then` gets the result, and whether the page is still the same."""
        number = self._number

        def compute() -> None:
            found = work()
            self._computed.put(lambda: then(found, number == self._number))

        self._work(compute)

    def ask_text(
        self, title: str, line: str, word: str, then: Callable[[str], None], entry: str = ""
    ) -> None:
        """Ask for a text, with `word` on the button that accepts it."""

        def done() -> None:
            text = " ".join(self._entry.split())
            if text:
                then(text)

        buttons = (Item("done", word, strong=True), self.back_button())
        rows = admin_keys.rows(self.language.code, own=self._own_letters)
        page = Page(title, line, entry="", keys=Keys.LETTERS, rows=rows, buttons=buttons)

        def other_letters() -> None:
            self._own_letters = not self._own_letters
            self.ask_text(title, line, word, then, self._entry)

        on = {"done": done, "back": self.menu, LAYOUT: other_letters}
        self.show(page, on, entry)

    def back_button(self) -> Item:
        """The button back to the previous page."""
        return Item("back", self.say(N_("Back")))

    def close_button(self) -> Item:
        """The button that ends the administration."""
        return Item("close", self.say(N_("Close")))

    # --- inside ----------------------------------------------------------------------------------

    def _undo(self) -> None:
        undo, self.unfinished = self.unfinished, None
        if undo is not None:
            undo()

    def _type(self, page: Page, key: str) -> None:
        if key == DELETE:
            self._entry = self._entry[:-1]
        elif key == SHIFT:
            self._shift = not self._shift
        elif len(key) == 1 and key.isprintable():
            if page.keys is Keys.DIGITS and not key.isdecimal():
                return
            longest = MOST_DIGITS if page.keys is Keys.DIGITS else LONGEST_ENTRY
            letter = admin_keys.capital(key) if self._shift else key
            self._entry = admin_keys.typed(self._entry, letter, self.language.code)[:longest]
            # A name begins with a capital, and so does what follows a space.
            self._shift = page.keys is Keys.LETTERS and key == " "
