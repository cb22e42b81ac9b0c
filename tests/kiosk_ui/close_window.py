"""Run as a child: the real app, full screen; its window is closed after the first frame.

`python close_window.py CONFIG`. Prints how large the screen was.
"""

from __future__ import annotations

import sys
from pathlib import Path

from oneglance.config import load_config
from oneglance.errors import OneglanceError
from oneglance.kiosk_ui.app import KioskApp
from oneglance.kiosk_ui.stage import open_stage
from oneglance.sdnotify import Notifier


class Closer(Notifier):
    """Closes the window as soon as it is told that it is there."""

    def ready(self) -> None:
        from kivy.base import stopTouchApp
        from kivy.core.window import Window

        sys.stdout.write(f"{Window.width}x{Window.height}")
        stopTouchApp()


def main() -> int:
    try:
        config = load_config(Path(sys.argv[1]))
        KioskApp(config, Closer({})).run(open_stage(config))
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
