"""Run as a child: the administration's pages, drawn; prints where all stands.

`python draw_admin.py WIDTHxHEIGHT... [--pictures FOLDER] [--languages en,de]`. Pictures are of the
first size.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from admin_walk import walk

from oneglance.kiosk_ui.admin_page import Keys, Page
from oneglance.kiosk_ui.kivy_window import open_window
from oneglance.kiosk_ui.language import LANGUAGES, language


def standing(view: Any, stage: Any, page: Page, *, keys: bool) -> dict[str, Any]:
    """Where the page's parts stand; of a keyboard only if asked for."""
    view.show(page, stage, None, shifted=False)
    tiles = view.tiles
    labels = [view.ids[name] for name in ("title", "line", "note", "entry")]
    for tile in tiles:
        if keys or len(tile.item.key) > 1:
            labels += [tile.ids.text, tile.ids.more]
    return {
        "tiles": [[t.item.key, *t.pos, *t.size] for t in tiles],
        "labels": [[x.text, *x.pos, *x.size, *x.ink, x.font_px] for x in labels if x.text],
        "sign": [*view.ids.sign.pos, *view.ids.sign.size] if page.sign is not None else None,
        "even": [t.ids.text.font_px for t in tiles if t.item.text and not t.item.more],
        "titles": [t.ids.text.font_px for t in tiles if t.item.more],
        "prints": [t.ids.more.font_px for t in tiles if t.item.more],
        "buttons": [t.ids.text.font_px for t in tiles[: len(page.buttons)]],
        "said": [page.title, page.line, page.note, page.entry or ""],
        "typed": page.keys is not Keys.NONE,
    }


def turned_over(view: Any, stage: Any, page: Page) -> list[list[str]]:
    """Which people a long list shows, page by page, until it begins again."""
    view.show(page, stage, None, shifted=False)
    pages: list[list[str]] = []
    for _ in range(100):
        tiles = view.tiles
        pages.append([t.item.key for t in tiles if t.item.key.startswith("person ")])
        next(t for t in tiles if t.item.key == "more").on_press()
        view.show(page, stage, None, shifted=False)
        if len(pages) > 1 and pages[-1] == pages[0]:
            break
    return pages[:-1]


def pixels(window: Any, loop: Any) -> bytes:
    """What the window shows."""
    from kivy.graphics.opengl import GL_RGB, GL_UNSIGNED_BYTE, glReadPixels

    for _ in range(2):
        loop.idle()
    return bytes(glReadPixels(0, 0, *window.size, GL_RGB, GL_UNSIGNED_BYTE))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="+")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    given = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes]
    window = open_window(sizes[0], fullscreen=False)
    from kivy.base import EventLoop
    from kivy.uix.floatlayout import FloatLayout

    from oneglance.kiosk_ui.admin_view import AdminView

    window.children[:] = []
    shown = FloatLayout(size=sizes[0])
    window.add_widget(shown)
    EventLoop.window = window
    EventLoop.start()
    told: dict[str, Any] = {}
    views = {size: AdminView(lambda _key: None) for size in sizes}
    for code in given.languages.split(","):
        for name, page in walk(language(code)):
            if code != "en" and name in ("search", "rename"):
                # The same keys as under "name".
                continue
            for size, view in views.items():
                at = f"{size[0]}x{size[1]}"
                first = size == sizes[0]
                stage = shown if first else FloatLayout(size=size)
                view.language = language(code)
                told[f"{at} {code} {name}"] = standing(view, stage, page, keys=code == "en")
                if name == "people" and code == "en":
                    told[f"{at} all"] = turned_over(view, stage, page)
                if given.pictures is not None and first:
                    for _ in range(2):
                        EventLoop.idle()
                    taken = Path(window.screenshot(name=str(given.pictures / "taken.png")))
                    taken.replace(given.pictures / f"{at}-{code}-{name}.png")
                if name == "nobody" and code == "en" and first:
                    fresh = AdminView(lambda _key: None)
                    seen = pixels(window, EventLoop)
                    stage.remove_widget(view)
                    fresh.show(page, stage, None, shifted=False)
                    told["leaves nothing behind"] = seen == pixels(window, EventLoop)
                    fresh.show(None, stage, None, shifted=False)
                if not first:
                    stage.remove_widget(view)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
