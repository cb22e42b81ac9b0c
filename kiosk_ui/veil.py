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
            self._over = Rectangle(size=(0, 0))
        self._stage = stage
        stage.bind(pos=self._move, size=self._move)

    def show(self, share: float) -> None:
        """Take this much light away."""
        self._colour.a = share
        self._move()

    def _move(self, *_: object) -> None:
        # Without a graphics card an invisible rectangle costs as much as any other.
        there = self._colour.a > 0
        self._over.pos, self._over.size = self._stage.pos, self._stage.size if there else (0, 0)
