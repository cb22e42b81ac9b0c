"""Draw collecting screens in the real window: a child of test_collect_window.py.

`python draw_collect.py PICTURE FOLDER WIDTHxHEIGHT` draws three states and prints their measures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from oneglance.kiosk_ui.collect_screen import CollectScreen
from oneglance.kiosk_ui.kivy_window import open_window


def main(raw: str, folder: str, size: str) -> None:
    width, height = map(int, size.split("x"))
    window = open_window((width, height), fullscreen=False)
    from kivy.base import EventLoop

    from oneglance.kiosk_ui.collect_view import CollectView

    pixels = Path(raw).read_bytes()
    face = (0.25, 0.25, 0.5, 0.5)
    text = "Switch the light on or off, or turn to a window"
    states = {
        "good": CollectScreen(pixels, 64, 48, face, True, text, "Good, keep going", 3, 0.5),
        "poor": CollectScreen(pixels, 64, 48, face, False, text, "Hold still", 3, 0.5),
        "none": CollectScreen(pixels, 64, 48, None, False, text, "I cannot see you", 3, 0.5),
    }
    view = CollectView()
    window.add_widget(view)
    EventLoop.window = window
    EventLoop.start()
    measures = {}
    for name, screen in states.items():
        for _ in range(2):
            view.show(screen)
            EventLoop.idle()
        Path(window.screenshot(name=str(Path(folder) / "taken.png"))).replace(
            Path(folder) / f"{name}.png"
        )
        measures[name] = {
            "picture": [*view.picture_pos, *view.picture_size],
            "labels": {
                key: {
                    "text": " ".join(view.ids[key].text.split()),
                    "size": list(view.ids[key].size),
                    "ink": list(view.ids[key].ink[2:]),
                }
                for key in ("text", "advice")
            },
        }
    heavy = {"numpy", "cv2", "ai_edge_litert"} & {name.split(".")[0] for name in sys.modules}
    sys.stdout.write(json.dumps({"measures": measures, "loaded": sorted(heavy)}))


main(*sys.argv[1:])
