"""Run as a child: the PIN pad in a real window, touched and typed at; prints what came of it.

`python draw_pad.py FOLDER WIDTHxHEIGHT`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from oneglance.kiosk_ui.kivy_window import open_window
from oneglance.kiosk_ui.pad_keys import key_at
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.words import (
    NOT_NOW,
    NOT_SURE,
    PIN_AGAIN,
    PIN_BUSY,
    PIN_REFUSED,
    PIN_SEND,
    PIN_UNHEARD,
    PIN_WAIT,
    POOR_QUALITY,
    WORDS,
)

SAID = (
    *(PIN_AGAIN, PIN_REFUSED, PIN_UNHEARD, PIN_WAIT),
    *(WORDS[Kind.NOT_RECOGNISED], POOR_QUALITY, NOT_SURE, NOT_NOW),
)
TITLE = WORDS[Kind.PIN_PAD][0]
STATES = {
    "plain": ScreenState(Kind.IDLE, *WORDS[Kind.IDLE], 0.0),
    "offered": ScreenState(Kind.IDLE, *WORDS[Kind.IDLE], 0.0, offers_pad=True),
    "empty": ScreenState(Kind.PIN_PAD, *WORDS[Kind.PIN_PAD], 0.0),
    "full": ScreenState(Kind.PIN_PAD, TITLE, PIN_SEND, 0.0, digits=12),
    "busy": ScreenState(Kind.PIN_PAD, *PIN_BUSY, 0.0, digits=12, busy=True),
    **{f"said {said[0]}": ScreenState(Kind.PIN_PAD, *said, 0.0, digits=7) for said in SAID},
}
GRID = 8
# What is pressed on a keyboard: 1, the keypad's 0, Backspace, Enter, Escape, A.
TYPED = (30, 98, 42, 40, 41, 4)


def keys_of(view: Any) -> list[Any]:
    from oneglance.kiosk_ui.pad_view import PadKey

    return [widget for widget in view.walk() if isinstance(widget, PadKey)]


def main(folder: str, size: str) -> None:
    width, height = map(int, size.split("x"))
    window = open_window((width, height), fullscreen=False, touch=True)
    from kivy.base import EventLoop, runTouchApp

    from oneglance.kiosk_ui.view import KioskView

    touched: list[str] = []
    typed: list[str | None] = []
    view = KioskView(on_key=touched.append)
    window.bind(on_key_down=lambda _, _key, place, *_rest: typed.append(key_at(place)))
    # As the kiosk does it, input devices and all, but it returns.
    runTouchApp(view, embedded=True)

    def touch(x: float, y: float, button: str = "left") -> list[str]:
        touched.clear()
        for event in ("on_mouse_down", "on_mouse_up"):
            window.dispatch(event, x, height - 1 - y, button, set())
            EventLoop.dispatch_input()
        return list(touched)

    states: dict[str, Any] = {}
    for name, state in STATES.items():
        for _ in range(2):
            view.show(state, 2.0, animated=False)
            EventLoop.idle()
        Path(window.screenshot(name=str(Path(folder) / "taken.png"))).replace(
            Path(folder) / f"{name}.png"
        )
        keys = keys_of(view)
        states[name] = {
            "keys": {key.key: [*key.pos, *key.size] for key in keys},
            "touched": {key.key: touch(*key.center) for key in keys},
            "texts": {
                part: [view.ids[part].text, *view.ids[part].ink[2:], view.ids[part].font_px]
                for part in ("title", "line")
            },
            "labels": {
                part: [*view.ids[part].pos, *view.ids[part].size]
                for part in ("symbol", "title", "line")
            },
        }
    told: dict[str, Any] = {"states": states}
    told["right_click"] = touch(*keys_of(view)[-1].center, "right")
    # Between two keys there is no dead spot.
    told["grid"] = [
        len(touch(pad.x + pad.width * (i + 0.5) / GRID, pad.y + pad.height * (j + 0.5) / GRID))
        for pad in [view.ids.pad]
        for i in range(GRID)
        for j in range(GRID)
    ]
    for place in TYPED:
        window.dispatch("on_key_down", 0, place, None, [])
    told["typed"] = typed
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
