"""Darkness over everything in a window, for a panel whose backlight cannot be set.

Import this only after `kivy_window.open_window`.
"""

from __future__ import annotations

from typing import Any

from kivy.graphics import Color, Rectangle


class Veil:
    """Lies over `stage`; `show` says how much light it takes away, from 0 to 1."""

    def __init__(self, stage: Any) -> None:
        with stage.canvas.after:
            self._colour = Color(0, 0, 0, 0)
            self._over = Rectangle(pos=stage.pos, size=stage.size)
        stage.bind(pos=self._move, size=self._move)

    def show(self, share: float) -> None:
        """Take this much light away."""
        self._colour.a = share

    def _move(self, stage: Any, *_: object) -> None:
        self._over.pos, self._over.size = stage.pos, stage.size
