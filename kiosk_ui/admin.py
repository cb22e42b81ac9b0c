"""The administration at the screen: its pages, in the order in which the menu has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oneglance.kiosk_ui.admin_desk import Asks, Desk, Do, in_a_thread
from oneglance.kiosk_ui.admin_enrol import EnrolPages
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.admin_people import PEOPLE, PeoplePages
from oneglance.kiosk_ui.admin_pin import PinPages
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost
from oneglance.kiosk_ui.language import N_, Language, Say

_DECISIONS = N_("Last decisions")
_SYSTEM = N_("System")


def administration(
    file: Path,
    connect: Callable[[AdminKey], Asks],
    clock_s: Callable[[], float],
    *,
    facts: Callable[[Say], Sequence[Item]] = lambda _say: (),
    decisions: Callable[[Say], Sequence[Item]] = lambda _say: (),
    anew: Do = lambda: None,
    work: Callable[[Do], None] = in_a_thread,
    cost: Cost | None = None,
    language: Language | None = None,
) -> Desk:
    """A desk with all pages, closed. `file` holds the key that `connect` asks the daemon with.

    `facts` tells of the system and `decisions` of the last ones; `anew` has the live picture begin
    anew.
    """
    desk = Desk(clock_s, work, language)
    pin = PinPages(desk, file, connect, clock_s, cost)

    def listed(title: str, items: Sequence[Item]) -> None:
        line = "" if items else desk.say(N_("Nothing yet"))
        page = Page(desk.say(title), line, items=tuple(items), buttons=(desk.back_button(),))
        desk.show(page, {"back": desk.menu})

    def picture() -> None:
        anew()
        title, line = desk.say(N_("Live picture")), desk.say(N_("It begins anew"))
        desk.tell(title, line, desk.menu, error=False)

    desk.offer(Item("people", PEOPLE, N_("list, search, rename, delete")), PeoplePages(desk).show)
    desk.offer(
        Item("enrol", N_("Enrol somebody"), N_("five looks, on this screen")),
        EnrolPages(desk).begin,
    )
    desk.offer(
        Item("decisions", _DECISIONS, N_("since this screen started")),
        lambda: listed(_DECISIONS, decisions(desk.say)),
    )
    desk.offer(
        Item("system", _SYSTEM, N_("daemon, model, broker")),
        lambda: listed(_SYSTEM, facts(desk.say)),
    )
    desk.offer(Item("picture", N_("Restart the live picture"), N_("if it hangs")), picture)
    desk.offer(Item("pin", N_("Change the PIN"), N_("of this screen")), pin.change)
    return desk
