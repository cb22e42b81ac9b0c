"""Enrolment of somebody who is absent, from a photograph on a USB stick, with name and consent."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from oneglance.kiosk_ui.admin_desk import Desk, Do
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.photo_shelf import Photo, photos_below, read_photo
from oneglance.kiosk_ui.photo_shrink import Fault, shrunk

_TITLE = N_("From a photograph")
# What the absent person agreed to; it stands in the daemon's audit log by its hash.
ABSENT_LINES = (
    N_("This person knows that the door will recognise their face, and wants it."),
    N_("Numbers that describe it are kept, encrypted, on the door's own machine, and no picture."),
    N_("They can have them deleted at any time."),
)
_FAULTS = {
    Fault.TOO_LARGE: N_("This picture is too large: at most 50 megapixels and 100 MB"),
    Fault.NO_PICTURE: N_("This is no JPEG or PNG picture, or a damaged one"),
    Fault.UNREADABLE: N_("This picture cannot be read: is the stick still there?"),
}


class PhotoPages:
    """`show` lists the photographs below `folders`."""

    def __init__(self, desk: Desk, folders: Sequence[Path]) -> None:
        self._desk = desk
        self._folders = tuple(folders)

    def show(self) -> None:
        """Look for photographs on whatever is plugged in."""
        desk = self._desk
        desk.busy(desk.say(_TITLE))
        desk.compute(lambda: photos_below(self._folders), self._listed)

    def _listed(self, photos: tuple[Photo, ...], here: bool) -> None:
        desk, say = self._desk, self._desk.say
        if not here:
            return
        items = []
        on: dict[str, Do] = {"again": self.show, "back": desk.menu}
        for i, photo in enumerate(photos):
            when = photo.changed_at.strftime("%Y-%m-%d %H:%M")
            name, folder = clean_name(photo.name), clean_name(photo.folder)
            items.append(Item(f"photo {i}", name, f"{when} · {folder}" if folder else when))
            on[f"photo {i}"] = partial(self._read, photo.path)
        line = "" if photos else say(N_("Put in a USB stick with a photograph, JPEG or PNG"))
        buttons = (Item("again", say(N_("Look again")), strong=not photos), desk.back_button())
        desk.show(Page(say(_TITLE), line, items=tuple(items), buttons=buttons), on)

    def _read(self, path: Path) -> None:
        def read() -> bytes | Fault:
            data = read_photo(path)
            return data if isinstance(data, Fault) else shrunk(data)

        self._desk.busy(self._desk.say(_TITLE))
        self._desk.compute(read, self._seen)

    def _seen(self, found: bytes | Fault, here: bool) -> None:
        desk, say = self._desk, self._desk.say
        if not here:
            return
        if isinstance(found, Fault):
            desk.tell(say(_TITLE), say(_FAULTS[found]), self.show)
            return
        page = Page(
            say(N_("Is this the person?")),
            photo=found,
            buttons=(
                Item("take", say(N_("Take it")), strong=True),
                Item("back", say(N_("Another one"))),
            ),
        )

        def take() -> None:
            line, word = say(N_("The person's name")), say(N_("Next"))
            desk.ask_text(say(_TITLE), line, word, partial(self._consent, found))

        desk.show(page, {"take": take, "back": self.show})

    def _consent(self, photo: bytes, name: str) -> None:
        desk, say = self._desk, self._desk.say
        lines = [say(line) for line in ABSENT_LINES]
        page = Page(
            say(N_("Has {name} agreed?"), name=clean_name(name)),
            items=tuple(Item("", line) for line in lines),
            buttons=(
                Item("agreed", say(N_("They agreed")), strong=True),
                Item("back", say(N_("No"))),
            ),
        )
        on = {"agreed": lambda: self._enrol(photo, name, " ".join(lines)), "back": desk.menu}
        desk.show(page, on)

    def _enrol(self, photo: bytes, name: str, consent: str) -> None:
        desk, say = self._desk, self._desk.say
        done = say(N_("From now on this door knows {name}"), name=clean_name(name))

        def enrolled(text: str) -> None:
            # What the daemon says of a picture that is less than good.
            note = " ".join(text.splitlines()[1:])
            desk.tell(say(N_("Enrolled")), done, desk.menu, error=False, note=note)

        desk.ask(
            *(say(_TITLE), "enrol", enrolled),
            name=name,
            photos=base64.b64encode(photo).decode(),
            consent=True,
            consent_text=consent,
        )
