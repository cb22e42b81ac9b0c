"""Lines and curves for the symbols: plain points, no Kivy.

Coordinates are those of a symbol's box: x to the right and y up, each from -1 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
_SHARP_DEG = 20.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line with round ends. `strength` mixes its colour: 0 is the background, 1 the accent."""

    points: tuple[Point, ...]
    width: float
    closed: bool = False
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Disc:
    """A filled ellipse."""

    centre: Point
    radius_x: float
    radius_y: float
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled convex area with hard edges, for a stroke to lie on."""

    points: tuple[Point, ...]
    strength: float = 1.0


Shape = Stroke | Disc | Fill


def arc(
    centre: Point, radius_x: float, radius_y: float, from_deg: float, to_deg: float
) -> tuple[Point, ...]:
    """Points along an ellipse, counter-clockwise if `to_deg` > `from_deg`; 0 points right."""
    steps = max(16, math.ceil(abs(to_deg - from_deg) / 3))
    angles = (math.radians(from_deg + (to_deg - from_deg) * i / steps) for i in range(steps + 1))
    return tuple(
        (centre[0] + radius_x * math.cos(angle), centre[1] + radius_y * math.sin(angle))
        for angle in angles
    )


def ring(centre: Point, radius_x: float, radius_y: float) -> tuple[Point, ...]:
    """Points of a whole ellipse, to be drawn closed."""
    return arc(centre, radius_x, radius_y, 90, 450)[:-1]


def rounded_box(
    left: float, bottom: float, right: float, top: float, radius: float
) -> tuple[Point, ...]:
    """Points of a box with round corners, to be drawn closed."""
    corners = (
        ((right - radius, top - radius), 0),
        ((left + radius, top - radius), 90),
        ((left + radius, bottom + radius), 180),
        ((right - radius, bottom + radius), 270),
    )
    return tuple(
        point
        for centre, start_deg in corners
        for point in arc(centre, radius, radius, start_deg, start_deg + 90)
    )


def turned(points: Iterable[Point], degrees: float) -> tuple[Point, ...]:
    """The points turned counter-clockwise around the middle."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return tuple((x * cos - y * sin, x * sin + y * cos) for x, y in points)


def beginning(points: tuple[Point, ...], share: float) -> tuple[Point, ...]:
    """The first `share` (0..1) of a line by length: a line that is being drawn."""
    left = share * sum(math.dist(a, b) for a, b in pairwise(points))
    drawn = [points[0]]
    for start, end in pairwise(points):
        length = math.dist(start, end)
        if length >= left:
            part = left / length if length else 0.0
            drawn.append(
                (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
            )
            break
        drawn.append(end)
        left -= length
    return tuple(drawn)


def smooth_pieces(path: tuple[Point, ...]) -> list[tuple[Point, ...]]:
    """An open line cut at its sharp corners."""
    pieces = []
    start = 0
    for i in range(1, len(path) - 1):
        if _turn_deg(path[i - 1], path[i], path[i + 1]) > _SHARP_DEG:
            pieces.append(path[start : i + 1])
            start = i
    return [*pieces, path[start:]]


def _turn_deg(before: Point, here: Point, after: Point) -> float:
    come = math.atan2(here[1] - before[1], here[0] - before[0])
    go = math.atan2(after[1] - here[1], after[0] - here[0])
    return abs((math.degrees(go - come) + 180) % 360 - 180)


def ribbon(points: tuple[Point, ...], half_width: float, *, closed: bool) -> list[float]:
    """A smooth line as a triangle strip of vertices (x, y, u, v), to be covered with a disc.

    u runs from 0 to 1 across the line. v is 0.5 along it, and runs to 0 and 1 in one more step
    beyond the ends of an open line, so that the disc's halves become its round ends.
    """
    # A closed line comes back to its first point; each end's direction needs a neighbour.
    path = (points[-1], *points, points[0], points[1]) if closed else points
    last = len(path) - 1
    vertices: list[float] = []
    for i in range(1, last) if closed else range(last + 1):
        x, y = path[i]
        before, after = path[max(0, i - 1)], path[min(last, i + 1)]
        length = math.dist(before, after) or 1.0
        dx = (after[0] - before[0]) / length * half_width
        dy = (after[1] - before[1]) / length * half_width
        if i == 0:
            vertices += _across(x - dx, y - dy, dx, dy, 0.0)
        vertices += _across(x, y, dx, dy, 0.5)
        if i == last:
            vertices += _across(x + dx, y + dy, dx, dy, 1.0)
    return vertices


def _across(x: float, y: float, dx: float, dy: float, v: float) -> list[float]:
    return [x - dy, y + dx, 0.0, v, x + dy, y - dx, 1.0, v]
