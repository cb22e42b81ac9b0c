"""Pictures of screen states, drawn by the real window in a process of its own.

Kivy opens one window per process and never lets go of it, so pictures are drawn by a child: `python
-m oneglance.kiosk_ui.snapshot STATES.jsonl FOLDER WIDTHxHEIGHT`, one state per line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from oneglance.errors import OneglanceError
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.kivy_window import open_window
from oneglance.kiosk_ui.screen import ScreenState

_TIMEOUT_S = 120.0
# When a picture is taken: every entrance is over by then.
_SETTLED_S = 2.0
_WALL = datetime(2026, 11, 29, 17, 42)


def render_states(
    states: Sequence[ScreenState],
    folder: Path,
    size_px: tuple[int, int] = (800, 480),
    environment: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draw each state into `folder` as `00-idle.png`, `01-welcome.png`...; returns the files.

    `environment` names the display to use (see `virtual_display`); by default one is started.
    Raises MissingPartError without Kivy or any display, OneglanceError if drawing fails.
    """
    if environment is None:
        with virtual_display(size_px) as started:
            return render_states(states, folder, size_px, started)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oneglance-kiosk-") as scratch:
        listed = Path(scratch) / "states.jsonl"
        listed.write_text("".join(state.to_json() + "\n" for state in states), encoding="utf-8")
        size = f"{size_px[0]}x{size_px[1]}"
        child = [
            sys.executable,
            "-m",
            "oneglance.kiosk_ui.snapshot",
            str(listed),
            str(folder),
            size,
        ]
        try:
            result = subprocess.run(
                child,
                env=dict(environment),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OneglanceError("the window drew nothing in time", where="kiosk") from None
    files = [folder / f"{i:02d}-{state.kind.value}.png" for i, state in enumerate(states)]
    if result.returncode or not all(file.is_file() for file in files):
        said = result.stderr.strip().splitlines() or ["the window ended without a word"]
        raise OneglanceError(f"could not draw the screen: {said[-1]}", where="kiosk")
    return files


def draw(
    states: Sequence[ScreenState], folder: Path, size_px: tuple[int, int]
) -> Iterator[tuple[Path, Any]]:
    """Open the window in this process; yields each picture's file, and the view that drew it."""
    window = open_window(size_px, fullscreen=False)
    from kivy.base import EventLoop

    from oneglance.kiosk_ui.view import KioskView

    view = KioskView()
    window.add_widget(view)
    EventLoop.window = window
    EventLoop.start()
    for i, state in enumerate(states):
        # The first pass lays out, the second draws with the final sizes.
        for _ in range(2):
            view.show(state, state.since_s + _SETTLED_S, _WALL, animated=False)
            EventLoop.idle()
        taken = Path(window.screenshot(name=str(folder / "taken.png")))
        yield taken.replace(folder / f"{i:02d}-{state.kind.value}.png"), view


def main(arguments: Sequence[str]) -> int:
    """The child's side: returns 0, or the error's own exit code, with its line on stderr."""
    listed, folder, size = arguments
    width, _, height = size.partition("x")
    lines = Path(listed).read_text(encoding="utf-8").splitlines()
    states = [ScreenState.from_json(line) for line in lines]
    try:
        for _ in draw(states, Path(folder), (int(width), int(height))):
            pass
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
