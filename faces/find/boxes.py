"""Axis-aligned boxes in the pixels of a frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A box in px of the frame: `x`, `y` is its upper left corner. It may reach over the edge."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a box needs a positive size, not {self.width} x {self.height}")

    @property
    def centre(self) -> tuple[float, float]:
        """The middle (x, y) in px."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        """Area in square px."""
        return self.width * self.height

    def iou(self, other: Box) -> float:
        """Intersection over union with `other`, 0 (apart) to 1 (the same box)."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if across <= 0 or down <= 0:
            return 0.0
        shared = across * down
        return min(1.0, shared / (self.area + other.area - shared))

    def scaled(self, factor: float) -> Box:
        """The box made `factor` times as wide and high about its own centre."""
        centre_x, centre_y = self.centre
        width, height = self.width * factor, self.height * factor
        return Box(centre_x - width / 2, centre_y - height / 2, width, height)

    def moved(self, right_px: float, down_px: float) -> Box:
        """The box shifted by so many px."""
        return Box(self.x + right_px, self.y + down_px, self.width, self.height)
