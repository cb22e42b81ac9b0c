"""Who is enrolled: listed, searched, renamed, deleted. The daemon does it all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from oneglance.contract.commands import Arg
from oneglance.kiosk_ui.admin_desk import Desk, Do
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.names import clean_name


class PeoplePages:
    """`show` lists everybody, or whom `search` finds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, search: str = "") -> None:
        """Ask who is enrolled."""
        args: dict[str, Arg] = {"search": search} if search else {}
        self._desk.ask("People", "list", lambda text: self._listed(text, search), **args)

    def _listed(self, text: str, search: str) -> None:
        desk = self._desk
        items: list[Item] = []
        on: dict[str, Do] = {"back": desk.menu, "search": self._search}
        for line in text.splitlines():
            person_id, gap, name = line.partition("  ")
            if not gap:
                items.append(Item("", line))
                continue
            key = f"person {person_id}"
            items.append(Item(key, clean_name(name), person_id))
            on[key] = partial(self._person, person_id, clean_name(name))
        line = f'With "{search}"' if search else ""
        buttons = (Item("search", "Search", strong=True), desk.back_button())
        desk.show(Page("People", line, items=tuple(items), buttons=buttons), on)

    def _search(self) -> None:
        self._desk.ask_text("Search", "Part of a name", "Find", self.show)

    def _person(self, person_id: str, name: str) -> None:
        desk = self._desk
        items = (
            Item("rename", "Rename", "what the screen greets with"),
            Item("delete", "Delete", "for good: templates, badge, PIN", danger=True),
        )
        on = {
            "rename": lambda: desk.ask_text(
                *("Rename", f"Now: {name}", "Save"),
                lambda new: self._renamed(person_id, new),
                name,
            ),
            "delete": lambda: self._sure(person_id, name),
            "back": self.show,
        }
        desk.show(Page(name, person_id, items=items, buttons=(desk.back_button(),)), on)

    def _renamed(self, person_id: str, name: str) -> None:
        self._desk.ask("Rename", "rename", self._done("Rename"), id=person_id, name=name)

    def _sure(self, person_id: str, name: str) -> None:
        desk = self._desk
        page = Page(
            *(f"Delete {name}?", "This cannot be undone"),
            buttons=(Item("yes", "Delete", danger=True), Item("back", "Keep", strong=True)),
        )

        def delete() -> None:
            desk.ask("Delete", "delete", self._done("Delete"), id=person_id)

        desk.show(page, {"yes": delete, "back": self.show})

    def _done(self, title: str) -> Callable[[str], None]:
        return lambda text: self._desk.tell(title, text[:160], self.show, error=False)
