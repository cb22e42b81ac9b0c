"""Run as a child: draw states in a real window, save the pictures, print what the window measured.

`python measure_window.py STATES.jsonl FOLDER WIDTHxHEIGHT`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from oneglance.kiosk_ui.screen import ScreenState
from oneglance.kiosk_ui.snapshot import draw


def measured(label: Any) -> dict[str, Any]:
    return {
        "text": label.text,
        "texture_size": list(label.texture.size),
        # With text_size unset the texture is as large as the text itself.
        "ink_size": ink_size(label),
        "size": list(label.size),
        "pos": list(label.pos),
        "font_px": label.font_size,
    }


def ink_size(label: Any) -> list[int]:
    from kivy.core.text import Label

    free = Label(
        text=label.text, font_size=label.font_size, font_name=label.font_name, bold=label.bold
    )
    free.refresh()
    return list(free.texture.size)


def main() -> None:
    listed, folder, size = sys.argv[1:]
    width, height = map(int, size.split("x"))
    lines = Path(listed).read_text(encoding="utf-8").splitlines()
    states = [ScreenState.from_json(line) for line in lines]
    rows = []
    for file, view in draw(states, Path(folder), (width, height)):
        ids = view.ids
        rows.append(
            {
                "file": str(file),
                "view": list(view.size),
                "title": measured(ids.title),
                "line": measured(ids.line),
                "symbol": [*ids.symbol.pos, *ids.symbol.size],
            }
        )
    foreign = (
        "numpy",
        "cv2",
        "tensorflow",
        "oneglance.faces",
        "oneglance.daemon",
        "oneglance.door",
    )
    loaded = [name for name in foreign if name in sys.modules]
    sys.stdout.write(json.dumps({"rows": rows, "loaded": loaded}))


if __name__ == "__main__":
    main()
