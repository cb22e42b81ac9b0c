"""The state of the house: last decisions, system, and a test of the lock that opens nothing."""

from __future__ import annotations

from collections.abc import Callable

from oneglance.contract.commands import Code
from oneglance.contract.messages import LockState
from oneglance.kiosk_ui.admin_desk import UNANSWERED, Desk
from oneglance.kiosk_ui.admin_facts import House, facts_of, lock_said, recent_of
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.words import tenths_of
from oneglance.schedule import zone_of

DECISIONS, SYSTEM, TEST_LOCK = N_("Last decisions"), N_("System"), N_("Test the lock")
# A decision lives five seconds, and the lock writes it down before it answers.
LOCK_ANSWER_S = 8.0
_LOOK_EVERY_S = 0.1
_TEST_LINES = (
    N_("The daemon sends the lock a decision that lets nobody in, and the lock says that it came."),
    N_("The door stays shut. Relay and wires are not tested."),
)


class HousePages:
    """`decisions`, `system` and `lock` are in the menu; `house` returns what has been heard."""

    def __init__(
        self, desk: Desk, house: Callable[[], House], clock_s: Callable[[], float]
    ) -> None:
        self._desk = desk
        self._house = house
        self._clock_s = clock_s

    def decisions(self) -> None:
        """Ask for the last decisions."""
        desk, title = self._desk, self._desk.say(DECISIONS)

        def told(text: str) -> None:
            zone = self._house().config.site.timezone
            items = recent_of(text, desk.say, zone_of(zone) if zone else None)
            line = "" if items else desk.say(N_("Nothing yet"))
            page = Page(title, line, items=items, buttons=(desk.back_button(),))
            desk.show(page, {"back": desk.menu})

        desk.ask(title, "decisions", told)

    def system(self) -> None:
        """Ask for the system's state; without an answer, show what is known here."""
        desk, say = self._desk, self._desk.say

        def told(code: str, text: str) -> None:
            ok = code == Code.OK
            items = facts_of(text if ok else "", self._house(), say)
            line = "" if ok else say(UNANSWERED)
            page = Page(say(SYSTEM), line, items=items, buttons=(desk.back_button(),))
            desk.show(page, {"back": desk.menu})

        desk.busy(say(SYSTEM))
        desk.ask_quietly("system", told)

    def lock(self) -> None:
        """Say what is tested, and what the lock says about itself."""
        desk, say = self._desk, self._desk.say
        said = lock_said(self._house().door, say)
        page = Page(
            say(TEST_LOCK),
            items=(
                *(Item("", say(line)) for line in _TEST_LINES),
                Item("", said, say(N_("the lock"))),
            ),
            buttons=(Item("test", say(N_("Test")), strong=True), desk.back_button()),
        )
        desk.show(page, {"test": self._test, "back": desk.menu})

    def _test(self) -> None:
        before = self._house().lock_test
        begun_s = self._clock_s()
        self._desk.ask(
            *(self._desk.say(TEST_LOCK), "test-lock"),
            lambda _text: self._await(before, begun_s),
        )

    def _await(self, before: str, begun_s: float) -> None:
        """Check whether the lock has named the event of a test later than `before`."""
        desk, house, lasted_s = self._desk, self._house(), self._clock_s() - begun_s
        event, door = house.lock_test, house.door
        sent = event != before
        if sent and door is not None and door.cause == event and door.state is LockState.LOCKED:
            said = N_("The lock got it, verified it and stayed shut: after {seconds} s")
            line = desk.say(said, seconds=tenths_of(f"{lasted_s:.1f}", desk.say))
            desk.tell(desk.say(TEST_LOCK), line, desk.menu, error=False)
        elif lasted_s >= LOCK_ANSWER_S:
            line = N_("The lock did not answer") if sent else N_("The daemon sent no decision")
            note = lock_said(door, desk.say) if sent else ""
            desk.tell(desk.say(TEST_LOCK), desk.say(line), desk.menu, note=note)
        else:
            desk.later(_LOOK_EVERY_S, lambda: self._await(before, begun_s))
