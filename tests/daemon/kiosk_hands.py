"""Run as a child: the real kiosk, and hands that touch, type at and look at it as told by stdin.

`python kiosk_hands.py CONFIG WIDTHxHEIGHT`; one JSON object a line, each answered by one.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from oneglance.config import load_config
from oneglance.kiosk_ui.app import KioskApp
from oneglance.kiosk_ui.stage import open_stage
from oneglance.kiosk_ui.symbols import SETTLED_S


class Hands:
    """What is told is done in the window's own thread, between two frames."""

    def __init__(self, app: KioskApp) -> None:
        self.app = app
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._touched: list[bool] = []
        # How often the screen was drawn.
        self.frame = 0
        # What was on the screen so far, and on which of it a picture with a face.
        self._kinds: list[str] = []
        self._pictured: list[str] = []

    def listen(self) -> None:
        """Read what is told."""
        for line in sys.stdin:
            self.told.put(json.loads(line))

    def work(self) -> None:
        """Do what was told by now."""
        from kivy.core.window import Window

        self.frame += 1
        kind = self.app.state.screen.kind
        if kind not in self._kinds:
            self._kinds.append(kind)
        if self.app.live.outline and kind not in self._pictured:
            self._pictured.append(kind)
        # Kivy takes in a touch after this, before the next frame: only then it is done, and what
        # is typed next comes after it.
        while self._touched:
            self._answer(self._touched.pop())
        while not self.told.empty() and not self._touched:
            asked = self.told.get()
            what = asked.pop("do")
            answer = getattr(self, what)(Window, **asked)
            if what == "touch":
                self._touched.append(answer)
            else:
                self._answer(answer)

    def _answer(self, answer: Any) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def labels(self) -> list[Any]:
        """Every label that says something and can be seen."""
        from oneglance.kiosk_ui.parts import KioskLabel

        found = [w for w in self.app.stage.walk() if isinstance(w, KioskLabel) and w.text]
        return [label for label in found if label.opacity > 0]

    def look(self, _window: Any) -> dict[str, Any]:
        """What is on the screen."""
        return {
            "kind": self.app.state.screen.kind,
            "title": self.app.state.screen.title,
            "step": self.app.state.screen.step,
            "texts": [label.text.replace("\n", " ") for label in self.labels()],
            "keys": [key for _, key in self._keys()],
            "picture": self.app.live.visible
            or (self.app.admin is not None and self.app.admin.live.visible),
            "frame": self.frame,
            "settled": time.monotonic() - self.app.state.screen.since_s > SETTLED_S,
            "oval": bool(self.app.live.outline),
            "kinds": self._kinds,
            "pictured": self._pictured,
        }

    def _keys(self) -> list[tuple[Any, str]]:
        """What can be touched, with the key that it stands for."""
        from oneglance.kiosk_ui.admin_tile import Tile
        from oneglance.kiosk_ui.pad_view import PadKey

        seen = [w for w in self.app.stage.walk() if isinstance(w, (Tile, PadKey)) and w.opacity]
        named = [(w, str(w.item.key if isinstance(w, Tile) else w.key)) for w in seen]
        return [(widget, key) for widget, key in named if key]

    def touch(self, window: Any, text: str = "", key: str = "") -> bool:
        """Touch the middle of what bears this text or key; False if nothing does."""
        found = [w for w in self.labels() if text and w.text.replace("\n", " ") == text]
        found += [widget for widget, its in self._keys() if its == key]
        if found:
            x, y = found[-1].center
            for event in ("on_mouse_down", "on_mouse_up"):
                window.dispatch(event, x, window.height - y, "left", set())
        return bool(found)

    def type(self, window: Any, place: int = 0, text: str = "") -> bool:
        """Press a key of the keyboard, by its place; or type a text."""
        if place:
            window.dispatch("on_key_down", 0, place, None, [])
        for letter in text:
            window.dispatch("on_key_down", 0, 0, letter, [])
        return True

    def photograph(self, window: Any, file: str) -> bool:
        """Keep a picture of the screen."""
        Path(window.screenshot(name=str(Path(file).with_name("taken.png")))).replace(file)
        return True

    def stop(self, _window: Any) -> bool:
        """End the kiosk."""
        self.app.stop()
        return True


def main(config: str, size: str) -> None:
    width, height = map(int, size.split("x"))
    settings = load_config(Path(config), "kiosk.toml")
    app = KioskApp(settings)
    hands = Hands(app)
    turn = app.turn

    def turned() -> None:
        turn()
        hands.work()

    app.turn = turned  # type: ignore[method-assign]
    threading.Thread(target=hands.listen, daemon=True).start()
    app.run(open_stage(settings, (width, height)))


if __name__ == "__main__":
    main(*sys.argv[1:])
