"""The demo's film: people walk up to a door, and one photograph is held up to it.

Each visit is made from one photograph by the renderer with which liveness is measured: a head with
relief that turns, blinks and walks up before a room, or a sheet of paper in somebody's hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import CameraError
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import JUDGE

WIDTH, HEIGHT, FPS = 640, 480, 12
VISIT_S, PAUSE_S = 3.5, 2.0
VISIT, PHOTOGRAPH = "visit", "print_shaken"


@dataclass(frozen=True, slots=True, eq=False)
class Visitor:
    """Who comes: name, picture, and whether they come in person or as a photograph."""

    name: str
    portrait: Portrait
    kind: str = VISIT


@dataclass(frozen=True, slots=True)
class Scene:
    """Who walks up in the film, from which frame on."""

    name: str
    first_frame: int
    live: bool


def write_film(file: Path, visitors: Sequence[Visitor], rng: np.random.Generator) -> list[Scene]:
    """Write the film (Motion JPEG in AVI); returns who walks up when. CameraError if it fails."""
    writer = cv2.VideoWriter(
        str(file), cv2.VideoWriter.fourcc(*"MJPG"), float(FPS), (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise CameraError("OpenCV cannot write a Motion JPEG film", where=str(file))
    hallway = _hallway()
    pause = round(PAUSE_S * FPS)
    scenes, index = [], pause

    def put(frame: NDArray[np.float32]) -> None:
        noisy = frame + rng.normal(0.0, 3.0, frame.shape).astype(np.float32)
        writer.write(np.clip(noisy, 0, 255).astype(np.uint8))

    for _ in range(pause):
        put(hallway)
    for visitor in visitors:
        others = [other.portrait for other in visitors if other.name != visitor.name]
        shown = render(
            visitor.kind, [visitor.portrait], others, JUDGE, rng, seconds=VISIT_S, fps=float(FPS)
        )
        scenes.append(Scene(visitor.name, index, shown.live))
        index += len(shown.frames) + pause
        for frame in shown.frames:
            writer.write(full_height(frame))
        for _ in range(pause):
            put(hallway)
    writer.release()
    return scenes


def full_height(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A renderer's frame made (HEIGHT, WIDTH, 3): what it lacks in height is mirrored."""
    lacks = HEIGHT - frame.shape[0]
    above, below = lacks // 2, lacks - lacks // 2
    return np.asarray(
        cv2.copyMakeBorder(frame, above, below, 0, 0, cv2.BORDER_REFLECT_101), np.uint8
    )


def _hallway() -> NDArray[np.float32]:
    """A plain wall with a door frame and a lamp, float32 (H, W, 3) BGR."""
    rows = np.linspace(0.0, 1.0, HEIGHT, dtype=np.float32)[:, None, None]
    wall = np.array([118, 126, 132], np.float32) * (1.0 - 0.35 * rows)
    image = np.broadcast_to(wall, (HEIGHT, WIDTH, 3)).copy()
    cv2.rectangle(image, (0, 400), (WIDTH, HEIGHT), (70, 78, 88), -1)
    cv2.rectangle(image, (430, 60), (590, 400), (62, 84, 110), -1)
    cv2.rectangle(image, (430, 60), (590, 400), (48, 62, 80), 6)
    cv2.circle(image, (570, 240), 7, (150, 190, 210), -1)
    glow = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.circle(glow, (200, 40), 60, 1.0, -1)
    lamp = 55.0 * cv2.GaussianBlur(glow, (0, 0), 70)[..., None]
    return np.asarray(image + lamp, np.float32)
