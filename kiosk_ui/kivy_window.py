"""Kivy, kept on a short leash: no files in HOME, no command line, no log of its own, one window.

Kivy reads its settings when it is first imported, so nothing may import kivy before `open_window`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from oneglance.errors import MissingPartError, OneglanceError

FRAMES_PER_S = 30

_ENVIRONMENT = {
    "KIVY_NO_ARGS": "1",
    "KIVY_NO_CONFIG": "1",
    "KIVY_NO_FILELOG": "1",
    "KIVY_NO_CONSOLELOG": "1",
    "KIVY_LOG_MODE": "PYTHON",
    "KCFG_KIVY_LOG_LEVEL": "warning",
    "KIVY_WINDOW": "sdl2",
    "KIVY_TEXT": "sdl2",
    "KIVY_IMAGE": "sdl2",
}
_NO_DISPLAY_FIX = (
    "start it inside a graphical session, or on a console where it may use /dev/dri; "
    "without a screen, run it under 'xvfb-run'"
)


def open_window(size_px: tuple[int, int], *, fullscreen: bool) -> Any:
    """Open the one window of this process and return Kivy's Window.

    Raises MissingPartError without Kivy, OneglanceError where there is no display.
    """
    if not _may_have_display():
        raise OneglanceError("there is no display to draw on", where="kiosk", fix=_NO_DISPLAY_FIX)
    os.environ.update(_ENVIRONMENT)
    try:
        from kivy.config import Config
    except ModuleNotFoundError:
        raise MissingPartError(
            "the screen's toolkit Kivy is not installed", fix="pip install 'oneglance[kiosk]'"
        ) from None
    Config.set("graphics", "width", size_px[0])
    Config.set("graphics", "height", size_px[1])
    Config.set("graphics", "fullscreen", "auto" if fullscreen else "0")
    Config.set("graphics", "multisamples", 0)
    Config.set("graphics", "maxfps", FRAMES_PER_S)
    Config.set("graphics", "allow_screensaver", 0)
    Config.set("graphics", "show_cursor", 0 if fullscreen else 1)
    Config.set("kivy", "exit_on_escape", 0 if fullscreen else 1)
    # The screen only shows. Without input devices nobody can touch, type or plug in anything.
    for device in Config.options("input"):
        Config.remove_option("input", device)
    from kivy.core.window import Window

    if Window is None:
        raise OneglanceError("the display cannot be used", where="kiosk", fix=_NO_DISPLAY_FIX)
    return Window


def _may_have_display() -> bool:
    named = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return any(os.environ.get(name) for name in named) or Path("/dev/dri").is_dir()
