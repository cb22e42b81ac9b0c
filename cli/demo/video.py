"""The demo's film: real photographs walk up to a made-up door, look, and leave.

A photograph is cut out softly round the head and moved over a drawn hallway: scale, place, light,
blur and camera noise change from frame to frame, so that no two frames show the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import CameraError
from oneglance.faces.find.boxes import Box

WIDTH, HEIGHT, FPS = 640, 480, 12
APPROACH_S, LOOK_S, LEAVE_S, PAUSE_S = 1.5, 2.5, 1.0, 2.5
# Face height in the frame, far away and in front of the door.
FAR_PX, NEAR_PX = 55.0, 165.0
CUT_OUT_PX = 180.0

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Visitor:
    """One walk to the door: who it is, their picture (BGR) and the face in it."""

    name: str
    picture: Image
    face: Box
    from_left: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Who walks up in the film, from which frame on."""

    name: str
    first_frame: int


def write_film(file: Path, visitors: Sequence[Visitor], rng: np.random.Generator) -> list[Scene]:
    """Write the film (Motion JPEG in AVI); returns who walks up when. CameraError if it fails."""
    writer = cv2.VideoWriter(
        str(file), cv2.VideoWriter.fourcc(*"MJPG"), float(FPS), (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise CameraError("OpenCV cannot write a Motion JPEG film", where=str(file))
    hallway = _hallway()
    scenes, index = [], 0

    def put(frame: NDArray[np.float32]) -> None:
        nonlocal index
        noisy = frame + rng.normal(0.0, 3.0, frame.shape).astype(np.float32)
        writer.write(np.clip(noisy, 0, 255).astype(np.uint8))
        index += 1

    for _ in range(round(PAUSE_S * FPS)):
        put(hallway)
    for visitor in visitors:
        scenes.append(Scene(visitor.name, index))
        for frame in _walk(visitor, hallway, rng):
            put(frame)
        for _ in range(round(PAUSE_S * FPS)):
            put(hallway)
    writer.release()
    return scenes


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


def _walk(
    visitor: Visitor, hallway: NDArray[np.float32], rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    person = _cut_out(visitor)
    side = -1.0 if visitor.from_left else 1.0
    sway = rng.uniform(0.0, 2.0 * np.pi)
    total_s = APPROACH_S + LOOK_S + LEAVE_S
    for step in range(round(total_s * FPS)):
        at_s = step / FPS
        if at_s < APPROACH_S:
            near = _ease(at_s / APPROACH_S)
            aside, moving = (1.0 - near) * side, 1.0
        elif at_s < APPROACH_S + LOOK_S:
            near, aside, moving = 1.0, 0.0, 0.0
        else:
            gone = _ease((at_s - APPROACH_S - LOOK_S) / LEAVE_S)
            near, aside, moving = 1.0 - 0.6 * gone, -gone * side, 1.0
        face_px = FAR_PX + (NEAR_PX - FAR_PX) * near
        x = WIDTH * (0.45 + 0.62 * aside) + 6.0 * np.sin(2.1 * at_s + sway)
        y = HEIGHT * (0.36 + 0.08 * near) + 4.0 * np.sin(3.7 * at_s + sway)
        light = 0.62 + 0.38 * near + 0.05 * np.sin(1.3 * at_s)
        yield _paste(hallway, person, face_px, (float(x), float(y)), light, 5 if moving else 0)


def _ease(part: float) -> float:
    return part * part * (3.0 - 2.0 * part)


@dataclass(frozen=True, slots=True, eq=False)
class _CutOut:
    """A visitor once for all frames: BGR and soft mask, float32 (H, W, 4), and the face in it."""

    layers: NDArray[np.float32]
    face: Box


def _cut_out(visitor: Visitor) -> _CutOut:
    scale = CUT_OUT_PX / visitor.face.height
    picture = cv2.resize(
        visitor.picture,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC,
    )
    box = visitor.face
    face = Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale)
    mask = _silhouette(picture.shape[:2], face)
    layers = np.dstack([picture.astype(np.float32), mask]).astype(np.float32)
    return _CutOut(layers, face)


def _paste(
    hallway: NDArray[np.float32],
    person: _CutOut,
    face_px: float,
    centre: tuple[float, float],
    light: float,
    smear_px: int,
) -> NDArray[np.float32]:
    """The visitor's head and shoulders over the hallway, the face centred at `centre`."""
    scale = face_px / person.face.height
    face_x, face_y = person.face.centre
    to_frame = np.array(
        [[scale, 0, centre[0] - scale * face_x], [0, scale, centre[1] - scale * face_y]]
    )
    layers = person.layers
    # Shrinking by more than half would alias: blur to the frame's grain first.
    if scale < 0.5:
        layers = np.asarray(cv2.GaussianBlur(layers, (0, 0), 0.4 / scale), np.float32)
    placed = cv2.warpAffine(layers, to_frame, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    if smear_px:
        placed = cv2.blur(placed, (smear_px, 1))
    alpha = placed[..., 3:]
    blended: NDArray[np.float32] = hallway * (1.0 - alpha) + placed[..., :3] * light * alpha
    return blended


def _silhouette(size: tuple[int, int], face: Box) -> NDArray[np.float32]:
    """A soft mask float32 (H, W) in 0..1: head and shoulders."""
    x, y = face.centre
    side = face.height
    mask = np.zeros(size, np.float32)
    head = (round(x), round(y)), (round(0.68 * side), round(0.88 * side))
    cv2.ellipse(mask, *head, 0, 0, 360, 1.0, -1)
    shoulders = (round(x), round(y + 1.75 * side)), (round(1.25 * side), round(0.95 * side))
    cv2.ellipse(mask, *shoulders, 0, 0, 360, 1.0, -1)
    edge = max(3, round(0.06 * side))
    mask[:edge] = mask[-edge:] = 0.0
    mask[:, :edge] = mask[:, -edge:] = 0.0
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.05 * side), np.float32)
