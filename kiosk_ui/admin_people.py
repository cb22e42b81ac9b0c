"""Who is enrolled: list, search, rename, put into groups, delete. The daemon does the work."""

from __future__ import annotations

import re
from functools import partial

from oneglance.contract.commands import Arg, Code
from oneglance.kiosk_ui.admin_desk import Desk, Do
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.screen import Kind

PEOPLE = N_("People")
_RENAME, _DELETE, _SEARCH = N_("Rename"), N_("Delete"), N_("Search")
_GROUPS = N_("Groups")
# The daemon's last line of a list that is too long for one answer.
_MORE = re.compile(r"and ([0-9]+) more\b")


class PeoplePages:
    """`show` lists everybody, or those whom `search` finds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, search: str = "") -> None:
        """Ask who is enrolled."""
        args: dict[str, Arg] = {"search": search} if search else {}
        title = self._desk.say(PEOPLE)
        self._desk.ask(title, "list", lambda text: self._listed(text, search), **args)

    def _listed(self, text: str, search: str) -> None:
        desk, say = self._desk, self._desk.say
        items: list[Item] = []
        on: dict[str, Do] = {"back": desk.menu, "search": self._search}
        for line in text.splitlines():
            person_id, gap, name = line.partition("  ")
            if gap:
                key = f"person {person_id}"
                items.append(Item(key, clean_name(name), person_id))
                on[key] = partial(self._person, person_id, clean_name(name))
            elif (more := _MORE.match(line)) is not None:
                said = say(N_("Not shown: {count} more. Use the search"), count=more[1])
                items.append(Item("", said))
        line = say(N_('With "{text}"'), text=search) if search else ""
        if not items:
            line = say(N_("Nobody has that name")) if search else say(N_("Nobody is enrolled"))
        buttons = (Item("search", say(_SEARCH), strong=True), desk.back_button())
        desk.show(Page(say(PEOPLE), line, items=tuple(items), buttons=buttons), on)

    def _search(self) -> None:
        say = self._desk.say
        line, word = say(N_("Part of a name")), say(N_("Find"))
        self._desk.ask_text(say(_SEARCH), line, word, self.show)

    def _person(self, person_id: str, name: str) -> None:
        desk, say = self._desk, self._desk.say
        items = (
            Item("rename", say(_RENAME), say(N_("what the screen greets with"))),
            Item("groups", say(_GROUPS), say(N_("what the door's times depend on"))),
            Item("delete", say(_DELETE), say(N_("for good: face, badge and PIN")), danger=True),
        )
        on = {
            "rename": lambda: self._rename(person_id, name),
            "groups": lambda: self._groups(person_id, name),
            "delete": lambda: self._sure(person_id, name),
            "back": self.show,
        }
        desk.show(Page(name, person_id, items=items, buttons=(desk.back_button(),)), on)

    def _rename(self, person_id: str, name: str) -> None:
        desk, say = self._desk, self._desk.say
        line, word = say(N_("Now: {name}"), name=name), say(N_("Save"))

        def renamed(new: str) -> None:
            said = say(N_("From now on: {name}"), name=clean_name(new))
            desk.ask(
                *(say(_RENAME), "rename", lambda _text: self._done(_RENAME, said)),
                id=person_id,
                name=new,
            )

        desk.ask_text(say(_RENAME), line, word, renamed, name)

    def _groups(self, person_id: str, name: str) -> None:
        title = self._desk.say(_GROUPS)
        self._desk.ask(
            *(title, "groups", lambda text: self._grouped(person_id, name, text)), id=person_id
        )

    def _grouped(self, person_id: str, name: str, text: str) -> None:
        """Show the person's groups, from the daemon's lines "+ family" and "- staff"."""
        desk, say = self._desk, self._desk.say
        items: list[Item] = []
        on: dict[str, Do] = {"back": lambda: self._person(person_id, name)}
        for line in text.splitlines():
            sign, _, group = line.partition(" ")
            if sign in ("+", "-"):
                key, member = f"group {group}", sign == "+"
                items.append(Item(key, group, chosen=member))
                on[key] = partial(self._regroup, person_id, name, group, not member)
        line = say(N_("Groups of {name}"), name=name)
        if not items:
            line = say(N_("This door has no groups: see access.groups"))
        page = Page(say(_GROUPS), line, items=tuple(items), buttons=(desk.back_button(),))
        desk.show(page, on)

    def _regroup(self, person_id: str, name: str, group: str, member: bool) -> None:
        desk = self._desk

        def answered(code: str, text: str) -> None:
            if code == Code.OK:
                self._grouped(person_id, name, text)
            else:
                desk.refused(desk.say(_GROUPS), code, text)

        # The page stays meanwhile: nobody wants it to flicker at each touch.
        desk.ask_quietly("regroup", answered, id=person_id, group=group, member=member)

    def _sure(self, person_id: str, name: str) -> None:
        desk, say = self._desk, self._desk.say
        page = Page(
            say(N_("Delete {name}?"), name=name),
            say(N_("This cannot be undone")),
            sign=Kind.NOT_SURE,
            buttons=(
                Item("yes", say(_DELETE), danger=True),
                Item("back", say(N_("Keep")), strong=True),
            ),
        )

        def delete() -> None:
            said = say(N_("{name} is deleted for good"), name=name)
            desk.ask(
                *(say(_DELETE), "delete", lambda _text: self._done(_DELETE, said)), id=person_id
            )

        desk.show(page, {"yes": delete, "back": self.show})

    def _done(self, title: str, line: str) -> None:
        self._desk.tell(self._desk.say(title), line, self.show, error=False)
