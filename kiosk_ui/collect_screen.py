"""What the collecting window shows at one moment. Plain data: no Kivy, no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class CollectScreen:
    """The picture and what to do.

    `pixels` are BGR, 8 bits, top row first, already mirrored, as people know themselves. `face` is
    the face's box (x, y, width, height) in shares of the picture from its upper left corner; None
    unless there is exactly one face. `good` says that the picture can be taken; `kept` counts the
    pictures taken so far, and `progress` (0..1) is their share of all.
    """

    pixels: bytes
    width_px: int
    height_px: int
    face: tuple[float, float, float, float] | None
    good: bool
    text: str
    advice: str
    kept: int
    progress: float

    def __post_init__(self) -> None:
        if len(self.pixels) != 3 * self.width_px * self.height_px:
            raise ValueError(
                f"{len(self.pixels)} bytes are no {self.width_px} x {self.height_px} BGR picture"
            )
