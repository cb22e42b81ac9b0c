"""The window with its first picture, before anything that connects is loaded.

Nothing here loads what talks to the daemon: the first picture waits only for what it shows.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from oneglance.config import Config
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.kept import Kept, kept_file, read_kept
from oneglance.kiosk_ui.kivy_window import open_window
from oneglance.kiosk_ui.language import language
from oneglance.kiosk_ui.palette import DEFAULT, Theme
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.symbols import SETTLED_S
from oneglance.kiosk_ui.theme_file import load_theme
from oneglance.kiosk_ui.words import WORDS
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """Kivy's window and root, the `view` on it, what it shows, and what staff chose for it."""

    window: Any
    root: Any
    view: Any
    screen: ScreenState
    kept: Kept


def is_touched(config: Config) -> bool:
    """Whether there is anything to press on the screen."""
    kiosk = config.kiosk
    return kiosk.pin_pad or kiosk.verify_button or kiosk.admin_file is not None


def open_stage(config: Config, size_px: tuple[int, int] = (800, 480)) -> Stage:
    """Open the window, and show that the door is starting.

    Raises MissingPartError without Kivy, OneglanceError without a display.
    """
    kiosk = config.kiosk
    window = open_window(
        size_px,
        fullscreen=kiosk.fullscreen,
        touch=is_touched(config),
        escape=True if kiosk.escape else None,
    )
    from kivy.base import EventLoop
    from kivy.clock import Clock
    from kivy.uix.floatlayout import FloatLayout

    from oneglance.kiosk_ui.view import KioskView

    window.set_title("oneglance")
    kept = read_kept(kept_file(kiosk.admin_file))
    view = KioskView(
        language=language(kept.language or kiosk.language),
        theme=theme_of(config),
        door=kiosk.door_name or config.site.door.replace("-", " ").capitalize(),
    )
    root = FloatLayout()
    root.add_widget(view)
    window.add_widget(root)
    # Its entrance counts as over, so that nothing fades in again when the app takes over.
    screen = ScreenState(Kind.STARTING, *WORDS[Kind.STARTING], time.monotonic() - SETTLED_S)
    # A first pass lays out, so that the second draws with the final sizes.
    view.show(screen, screen.since_s + SETTLED_S)
    Clock.tick_draw()
    view.show(screen, screen.since_s + SETTLED_S)
    EventLoop.idle()
    Notifier().status(f"shows {screen.kind.value}")
    return Stage(window, root, view, screen, kept)


def theme_of(config: Config) -> Theme:
    """The configured theme; oneglance's own if that cannot be used."""
    file = config.kiosk.theme_file
    if file is None:
        return DEFAULT
    try:
        return load_theme(file)
    except ConfigError as error:
        log.warning("the screen keeps its own look: %s", error)
        return DEFAULT
