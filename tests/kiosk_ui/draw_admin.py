"""Run as a child: the administration's pages, drawn at several sizes; prints where all stands.

`python draw_admin.py WIDTHxHEIGHT...`
"""

from __future__ import annotations

import json
import sys
from typing import Any

from oneglance.kiosk_ui.admin_enrol import CONSENT_LINES
from oneglance.kiosk_ui.admin_page import Item, Keys, Page
from oneglance.kiosk_ui.kivy_window import open_window

LONG = "Maximiliane Konstantinopoulos-Szczepańska"
REFUSAL = (
    "look_straight and turn_left do not look like one person (score 0.12, at least 1.10 is needed)."
    " leave one of them out"
)
CLOSE, BACK = Item("close", "Close"), Item("back", "Back")
PAGES = {
    "pin": Page(
        *("Staff", "Too many wrong PINs: wait 59:59", 12 * "\N{BULLET}"),
        keys=Keys.DIGITS,
        buttons=(Item("unlock", "Unlock", strong=True), CLOSE),
    ),
    "name": Page(
        *("Rename", f"Now: {LONG}", LONG, Keys.LETTERS),
        buttons=(Item("done", "Save", strong=True), BACK),
    ),
    "people": Page(
        "People",
        items=tuple(Item(f"person {i}", LONG, f"maximiliane-{i}") for i in range(40)),
        buttons=(Item("search", "Search", strong=True), BACK),
    ),
    "consent": Page(
        f"Does {LONG} agree?",
        items=tuple(Item("", line) for line in CONSENT_LINES),
        buttons=(Item("agree", "I agree", strong=True), Item("back", "No")),
    ),
    "told": Page("Enrol", REFUSAL, buttons=(Item("back", "Back", strong=True), CLOSE)),
}


def main(sizes: list[str]) -> None:
    open_window((800, 480), fullscreen=False)
    from kivy.uix.floatlayout import FloatLayout

    from oneglance.kiosk_ui.admin_view import AdminView, Tile

    told: dict[str, Any] = {}
    for size in sizes:
        pressed: list[str] = []
        stage = FloatLayout(size=tuple(map(int, size.split("x"))))
        view = AdminView(pressed.append)
        for name, page in PAGES.items():
            view.show(page, stage, None, shifted=False)
            seen = [label for label in view.walk() if getattr(label, "text", "")]
            told[f"{size} {name}"] = {
                "tiles": [
                    [t.item.key, *t.pos, *t.size] for t in view.children if isinstance(t, Tile)
                ],
                "labels": [[x.text, *x.pos, *x.size, *x.ink, x.font_px] for x in seen],
            }
        view.show(PAGES["people"], stage, None, shifted=False)
        pages = []
        for _ in range(100):
            tiles = [t for t in view.children if isinstance(t, Tile)]
            pages.append([t.item.key for t in tiles if t.item.key.startswith("person ")])
            next(t for t in tiles if t.item.key == "more").on_press()
            view.show(PAGES["people"], stage, None, shifted=False)
            if len(pages) > 1 and pages[-1] == pages[0]:
                break
        told[f"{size} all"] = pages[:-1]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
