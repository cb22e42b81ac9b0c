"""Kivy on a short leash: no files in HOME, no command line, no log of its own, one window.

Kivy reads its settings when it is first imported, so nothing may import kivy before `open_window`.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oneglance.errors import MissingPartError, OneglanceError

log = logging.getLogger(__name__)

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
    "KIVY_AUDIO": "sdl2",
}
_NO_DISPLAY_FIX = (
    "start it inside a graphical session, or on a console where it may use /dev/dri; "
    "without a screen, run it under 'xvfb-run'"
)


def open_window(
    size_px: tuple[int, int], *, fullscreen: bool, touch: bool = False, escape: bool | None = None
) -> Any:
    """Open the one window of this process and return Kivy's Window; with `touch` it can be touched.

    `fullscreen` covers the display whatever `size_px` says. `escape` lets that key close the
    window, by default only if it is not full screen.

    Raises MissingPartError without Kivy, OneglanceError without a display.
    """
    os.environ.update(_ENVIRONMENT)
    # Left to choose, SDL ends up with a driver that draws nowhere, and the kiosk seems to work.
    driver = os.environ.get("SDL_VIDEODRIVER") or _video_driver()
    os.environ["SDL_VIDEODRIVER"] = driver
    try:
        _load_no_styles()
        from kivy.config import Config
    except ModuleNotFoundError:
        raise MissingPartError(
            "the screen's toolkit Kivy is not installed", fix="pip install 'oneglance[kiosk]'"
        ) from None
    if fullscreen and driver == "x11":
        # Without a window manager nothing enlarges the window after it has opened.
        size_px = _x_display_px() or size_px
    Config.set("graphics", "width", size_px[0])
    Config.set("graphics", "height", size_px[1])
    Config.set("graphics", "fullscreen", "auto" if fullscreen else "0")
    Config.set("graphics", "multisamples", 0)
    Config.set("graphics", "maxfps", FRAMES_PER_S)
    Config.set("graphics", "allow_screensaver", 0)
    Config.set("graphics", "show_cursor", 0 if fullscreen else 1)
    Config.set("kivy", "exit_on_escape", int(not fullscreen if escape is None else escape))
    # Without input devices nobody can touch anything. SDL turns touches into mouse clicks, so the
    # mouse is all that is needed.
    for device in Config.options("input"):
        Config.remove_option("input", device)
    if touch:
        Config.set("input", "mouse", "mouse,disable_multitouch,disable_hover")
    if driver == "x11":
        _end_with_the_display()
    with silent_kivy():
        from kivy.core.window import Window
    if Window is None:
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or ""
        raise OneglanceError(
            f"the display cannot be used ({' '.join((driver, display)).strip()})",
            where="kiosk",
            fix=_NO_DISPLAY_FIX,
        )
    return Window


def _load_no_styles() -> None:
    """Keep Kivy from parsing the styles of its own widgets, a tenth of the start: we use none."""
    import kivy

    folder, kivy.kivy_data_dir = kivy.kivy_data_dir, str(Path(__file__).with_name("no_styles"))
    try:
        import kivy.lang.builder
    finally:
        kivy.kivy_data_dir = folder


@contextmanager
def silent_kivy() -> Iterator[None]:
    """While Kivy looks for its parts it logs missing ones as errors, at length."""
    logger = logging.getLogger("kivy")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def _display_gone(_display: int | None) -> int:
    log.error(
        "kiosk: the display is gone, so this ends; as a service it comes back with the display"
    )
    # Xlib would end the process itself, with two cryptic lines; the process cannot go on.
    os._exit(1)


# Kept for as long as the process lives, as Xlib holds no reference to it.
_DISPLAY_GONE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_display_gone)


def _end_with_the_display() -> None:
    """One clear line if the X server ends, or a compositor whose screen was unplugged."""
    try:
        ctypes.CDLL("libX11.so.6").XSetIOErrorHandler(_DISPLAY_GONE)
    except (OSError, AttributeError):
        return


def _x_display_px() -> tuple[int, int] | None:
    """The size of the X display; None if its library does not say."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        display = x11.XOpenDisplay(None)
        if not display:
            return None
        handle = ctypes.c_void_p(display)
        size_px = x11.XDisplayWidth(handle, 0), x11.XDisplayHeight(handle, 0)
        x11.XCloseDisplay(handle)
    except (OSError, AttributeError):
        return None
    return size_px


def _video_driver() -> str:
    if os.environ.get("DISPLAY"):
        return "x11"
    if os.environ.get("WAYLAND_DISPLAY"):
        return "wayland"
    if Path("/dev/dri").is_dir():
        return "kmsdrm"
    raise OneglanceError("there is no display to draw on", where="kiosk", fix=_NO_DISPLAY_FIX)
