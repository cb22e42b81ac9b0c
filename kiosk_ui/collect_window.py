"""The collecting window: shows the latest screen until it is closed or everything is done."""

from __future__ import annotations

from collections.abc import Callable

from oneglance.kiosk_ui.collect_screen import CollectScreen
from oneglance.kiosk_ui.kivy_window import FRAMES_PER_S, open_window


def run_window(
    latest: Callable[[], CollectScreen | None],
    finished: Callable[[], bool],
    size_px: tuple[int, int] = (960, 720),
) -> None:
    """Show `latest()` many times a second, until `finished()` or until somebody closes the window.

    Escape closes it too. Raises MissingPartError without Kivy, OneglanceError without a display.
    """
    window = open_window(size_px, fullscreen=False)
    from kivy.base import runTouchApp, stopTouchApp
    from kivy.clock import Clock

    from oneglance.kiosk_ui.collect_view import CollectView

    window.set_title("oneglance collect")
    view = CollectView()

    def frame(_: float) -> None:
        if finished():
            stopTouchApp()
            return
        screen = latest()
        if screen is not None:
            view.show(screen)

    tick = Clock.schedule_interval(frame, 1 / FRAMES_PER_S)
    try:
        runTouchApp(view)
    finally:
        tick.cancel()
        window.close()
