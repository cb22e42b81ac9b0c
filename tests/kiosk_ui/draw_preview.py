"""Run as a child: the live picture in a real window; prints what came of it.

`python draw_preview.py FOLDER WIDTHxHEIGHT PICTURE.jpg X Y W H`: a face's box in the picture.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneglance.contract.messages import FaceBox, Hint, Step
from oneglance.contract.preview_jpeg import jpeg_size
from oneglance.contract.preview_lease import Shot
from oneglance.kiosk_ui.kivy_window import open_window
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.words import HINTS, STEPS, WORDS

LOOK = ScreenState(Kind.LOOK_HERE, WORDS[Kind.LOOK_HERE][0], HINTS[Hint.COME_CLOSER], 0.0)
CHECKING = ScreenState(Kind.CHECKING, *WORDS[Kind.CHECKING], 0.0, progress=0.6)
ASKED = ScreenState(
    *(Kind.CHALLENGE, *STEPS[Step.TURN_LEFT], 0.0),
    progress=0.7,
    step=Step.TURN_LEFT,
    number=1,
    steps=2,
)
IDLE = ScreenState(Kind.IDLE, *WORDS[Kind.IDLE], 0.0)


def main(folder: str, size: str, picture: str, *box: str) -> None:
    width, height = map(int, size.split("x"))
    window = open_window((width, height), fullscreen=False)
    from kivy.base import EventLoop

    from oneglance.kiosk_ui.preview_view import LivePicture
    from oneglance.kiosk_ui.view import KioskView

    view, live = KioskView(), LivePicture()
    live.under(view)
    window.add_widget(view)
    EventLoop.window = window
    EventLoop.start()
    jpeg = Path(picture).read_bytes()
    x, y, w, h = map(float, box)
    face = FaceBox(x=x, y=y, width=w, height=h)
    numbers = iter(range(1, 100))

    def shot(age_s: float = 0.0, data: bytes = jpeg) -> Shot:
        return Shot(next(numbers), data, jpeg_size(jpeg), face, age_s)

    frozen = shot(0.8)

    told: dict[str, Any] = {}
    for name, state, seen in (
        ("look", LOOK, shot()),
        ("checking", CHECKING, shot()),
        ("challenge", ASKED, shot()),
        ("older", LOOK, frozen),
        ("old", LOOK, replace(frozen, age_s=1.2)),
        ("damaged", LOOK, shot(data=jpeg[:200])),
        ("gone", LOOK, None),
        ("idle", IDLE, shot()),
    ):
        for _ in range(3):
            view.show(state, 2.0, animated=False)
            live.show(seen, state)
            EventLoop.idle()
        Path(window.screenshot(name=str(Path(folder) / "taken.png"))).replace(
            Path(folder) / f"{name}.png"
        )
        told[name] = {
            "visible": live.visible,
            "outline": [min(live.outline[::2]), max(live.outline[::2])] if live.outline else None,
            "age": live.ids.age.text,
            "symbol": view.ids.symbol.opacity,
            "parts_of_symbol": len(view.ids.symbol.canvas.children),
            "words_top": view.ids.title.ink[1] + view.ids.title.ink[3],
        }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
