"""The administration at the screen: its pages, in the order in which the menu has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oneglance.kiosk_ui.admin_desk import Asks, Desk, Do, in_a_thread
from oneglance.kiosk_ui.admin_enrol import EnrolPages
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.admin_people import PeoplePages
from oneglance.kiosk_ui.admin_pin import PinPages
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost


def administration(
    file: Path,
    connect: Callable[[AdminKey], Asks],
    clock_s: Callable[[], float],
    *,
    facts: Callable[[], Sequence[Item]] = tuple,
    decisions: Callable[[], Sequence[Item]] = tuple,
    anew: Do = lambda: None,
    work: Callable[[Do], None] = in_a_thread,
    cost: Cost | None = None,
) -> Desk:
    """A desk with all pages, closed. `file` holds the key that `connect` asks the daemon with.

    `facts` tells of the system and `decisions` of the last ones; `anew` has the live picture begin
    anew.
    """
    desk = Desk(clock_s, work)
    pin = PinPages(desk, file, connect, clock_s, cost)

    def listed(title: str, items: Sequence[Item]) -> None:
        line = "" if items else "Nothing yet"
        page = Page(title, line, items=tuple(items), buttons=(desk.back_button(),))
        desk.show(page, {"back": desk.menu})

    def picture() -> None:
        anew()
        desk.tell("Live picture", "It begins anew", desk.menu, error=False)

    for item, then in (
        (Item("people", "People", "list, search, rename, delete"), PeoplePages(desk).show),
        (Item("enrol", "Enrol somebody", "five looks, on this screen"), EnrolPages(desk).begin),
        (
            Item("decisions", "Last decisions", "since this screen started"),
            lambda: listed("Last decisions", decisions()),
        ),
        (Item("system", "System", "daemon, model, broker"), lambda: listed("System", facts())),
        (Item("picture", "Restart the live picture", "if it hangs"), picture),
        (Item("pin", "Change the PIN", "of this screen"), pin.change),
    ):
        desk.offer(item, then)
    return desk
