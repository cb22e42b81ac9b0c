"""The administration at the screen: its pages, in the order of the menu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oneglance.kiosk_ui.admin_desk import Asks, Desk, Do, in_a_thread
from oneglance.kiosk_ui.admin_enrol import EnrolPages
from oneglance.kiosk_ui.admin_facts import House
from oneglance.kiosk_ui.admin_house import DECISIONS, SYSTEM, TEST_LOCK, HousePages
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.admin_people import PEOPLE, PeoplePages
from oneglance.kiosk_ui.admin_photo import PhotoPages
from oneglance.kiosk_ui.admin_pin import PinPages
from oneglance.kiosk_ui.admin_screen import THIS_SCREEN, ScreenPages
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost
from oneglance.kiosk_ui.kept import Kept
from oneglance.kiosk_ui.language import N_, Language

_ENROL = N_("Enrol somebody")


def administration(
    file: Path,
    connect: Callable[[AdminKey], Asks],
    clock_s: Callable[[], float],
    *,
    house: Callable[[], House],
    kept: Callable[[], Kept],
    keep: Callable[[Kept], bool],
    anew: Do,
    photo_folders: Sequence[Path] = (),
    work: Callable[[Do], None] = in_a_thread,
    cost: Cost | None = None,
    language: Language | None = None,
) -> Desk:
    """A closed desk with all pages. `file` holds the key with which `connect` asks the daemon.

    `house` returns what has been heard so far; `kept` is what staff chose for this screen, and
    `keep` applies and stores another choice, False if it is not stored; `anew` restarts the live
    picture. Photographs are looked for below `photo_folders`.
    """
    desk = Desk(clock_s, work, language)
    pin = PinPages(desk, file, connect, clock_s, cost)
    here, photo = EnrolPages(desk), PhotoPages(desk, photo_folders)
    rooms = HousePages(desk, house, clock_s)
    screen = ScreenPages(desk, kept, keep, pin.change, anew)

    def enrol() -> None:
        say = desk.say
        items = (
            Item("here", say(N_("At this door's camera")), say(N_("five looks, on this screen"))),
            Item("photo", say(N_("From a photograph")), say(N_("on a USB stick"))),
        )
        page = Page(say(_ENROL), items=items, buttons=(desk.back_button(),))
        desk.show(page, {"here": here.begin, "photo": photo.show, "back": desk.menu})

    desk.offer(Item("people", PEOPLE, N_("list, rename, groups, delete")), PeoplePages(desk).show)
    desk.offer(Item("enrol", _ENROL, N_("here, or from a photograph")), enrol)
    desk.offer(Item("decisions", DECISIONS, N_("who came, and who did not")), rooms.decisions)
    desk.offer(Item("system", SYSTEM, N_("daemon, cameras, model, disk")), rooms.system)
    desk.offer(Item("lock", TEST_LOCK, N_("the door stays shut")), rooms.lock)
    desk.offer(Item("screen", THIS_SCREEN, N_("language, brightness, PIN")), screen.show)
    return desk
