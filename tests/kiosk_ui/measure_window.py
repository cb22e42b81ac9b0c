"""Run as a child: draw states in a real window, save the pictures, print what the window measured.

`python measure_window.py STATES.jsonl FOLDER WIDTHxHEIGHT`. Texts are measured in every language,
pictures are drawn in English alone.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from oneglance.kiosk_ui.language import LANGUAGES, language
from oneglance.kiosk_ui.screen import ScreenState
from oneglance.kiosk_ui.snapshot import draw

LABELS = ("title", "line", "date", "door", "note")
# The longest date of a year in most languages.
WALL = datetime(2026, 9, 30, 20, 58)


def measured(label: Any) -> dict[str, Any]:
    return {
        "text": label.text,
        "ink": list(label.ink),
        "size": list(label.size),
        "pos": list(label.pos),
        "font_px": label.font_px,
    }


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
                **{name: measured(ids[name]) for name in LABELS},
                "symbol": [*ids.symbol.pos, *ids.symbol.size],
            }
        )
    said = []
    for code in LANGUAGES:
        view.language = language(code)
        for state in states:
            view.show(state, 2.0, WALL, animated=False)
            said.append([code, *(measured(view.ids[name]) for name in LABELS)])
    foreign = (
        "numpy",
        "cv2",
        "tensorflow",
        "oneglance.faces",
        "oneglance.daemon",
        "oneglance.door",
        # The first picture waits for what its view loads.
        "paho",
        "cryptography",
    )
    loaded = [name for name in foreign if name in sys.modules]
    from oneglance.kiosk_ui.screen import PICTURED
    from oneglance.kiosk_ui.verify_view import BAR, BAR_UPRIGHT

    # Least room is left between a live picture and the Verify button.
    view.pictured, view.size_hint = True, (None, None)
    view.size = width, (1 - (BAR_UPRIGHT if height > width else BAR)) * height
    squeezed = []
    for code in LANGUAGES:
        view.language = language(code)
        for state in states:
            if state.kind in PICTURED:
                view.show(state, 2.0, animated=False)
                squeezed.append([code, *(measured(view.ids[name]) for name in LABELS[:2])])
    sys.stdout.write(
        json.dumps({"rows": rows, "said": said, "squeezed": squeezed, "loaded": loaded})
    )


if __name__ == "__main__":
    main()
