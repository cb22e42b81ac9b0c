"""Run as a child: the real kiosk, and hands that touch, type at and look at it as told by stdin.

`python kiosk_hands.py CONFIG WIDTHxHEIGHT`; one JSON object a line, each answered by one.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from oneglance.config import load_config
from oneglance.kiosk_ui.app import KioskApp
from oneglance.kiosk_ui.stage import open_stage


class Hands:
    """What is told is done in the window's own thread, between two frames."""

    def __init__(self, app: KioskApp) -> None:
        self.app = app
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._touched: list[bool] = []

    def listen(self) -> None:
        """Read what is told."""
        for line in sys.stdin:
            self.told.put(json.loads(line))

    def work(self) -> None:
        """Do what was told by now."""
        from kivy.core.window import Window

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

        found = [w for w in self.app._stage.walk() if isinstance(w, KioskLabel) and w.text]
        return [label for label in found if label.opacity > 0]

    def look(self, _window: Any) -> dict[str, Any]:
        """What is on the screen."""
        return {
            "kind": self.app.state.screen.kind,
            "title": self.app.state.screen.title,
            "texts": [label.text.replace("\n", " ") for label in self.labels()],
            "picture": self.app._live.visible,
            "oval": bool(self.app._live.outline),
        }

    def touch(self, window: Any, text: str) -> bool:
        """Touch the middle of what bears this text; False if nothing does."""
        for label in reversed(self.labels()):
            if label.text.replace("\n", " ") == text:
                for event in ("on_mouse_down", "on_mouse_up"):
                    window.dispatch(
                        event, label.center_x, window.height - label.center_y, "left", set()
                    )
                return True
        return False

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
