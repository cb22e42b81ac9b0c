"""Films of a door for benchmarks, made from photographs and not kept.

A head is cut out softly and moved over a drawn hallway with camera noise, slow changes of light and
its own sway. It grows as it comes nearer, and turns away as a flat picture does (in perspective),
which for a while is harder to recognise than a real head, and then is no face at all.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from clips import Clip, ClipWriter, Visit, is_frontal
from numpy.typing import NDArray

from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import load_image, read_faces

Image = NDArray[np.uint8]
# The smallest usable face (the daemon's default min_face_px).
USABLE_PX = 80.0
CUT_OUT_PX = 220.0
NOISE_GREYS = 3.0
# Pictures of the empty hallway that a long film repeats between visits.
HALL_PICTURES = 16


@dataclass(frozen=True, eq=False)
class Head:
    """Head and shoulders: BGR and a soft mask, float32 (H, W, 4), and the face in it.

    `name` is that of the first photograph of the same person, `template` float32 (d,) that of this
    one.
    """

    name: str
    template: NDArray[np.float32]
    frontal: bool
    layers: NDArray[np.float32]
    face: Box


@dataclass(frozen=True)
class Pose:
    """Where a head is: the face's height and centre in px, turned away by `yaw_deg`."""

    face_px: float
    x: float
    y: float
    yaw_deg: float = 0.0
    smear_px: int = 0


def heads_in(photos: Path, model: FaceModel) -> list[Head]:
    """The heads in a folder or zip of photographs, each showing one face of some size."""
    if photos.is_dir():
        files = {p.stem: p.read_bytes() for p in sorted(photos.iterdir()) if p.is_file()}
    else:
        with zipfile.ZipFile(photos) as pack:
            files = {Path(name).stem: pack.read(name) for name in sorted(pack.namelist())}
    heads: list[Head] = []
    known: dict[str, NDArray[np.float32]] = {}
    same = model.threshold("1e-3")
    seen = set()
    detector = FaceDetector()
    for name, data in files.items():
        image = load_image(data)
        samples = read_faces(image, detector, model)
        # The same photograph may be there under two names.
        if len(samples) != 1 or samples[0].box.width < USABLE_PX or data in seen:
            continue
        seen.add(data)
        probe = samples[0].template
        scores = {who: float(model.compare(probe[None], t[None])[0, 0]) for who, t in known.items()}
        person = max(scores, key=lambda who: scores[who], default=name)
        if scores.get(person, -np.inf) < same:
            person = name
            known[name] = probe
        layers, face = _cut_out(image, samples[0].box)
        points = model.points(image, [samples[0].box])[0]
        heads.append(Head(person, probe, is_frontal(*points[:3]), layers, face))
    if not heads:
        raise ValueError(f"{photos} has no photograph of one person")
    return heads


def people(heads: Sequence[Head]) -> list[Head]:
    """One head of each person."""
    return list({head.name: head for head in reversed(heads)}.values())[::-1]


def _cut_out(image: Image, face: Box) -> tuple[NDArray[np.float32], Box]:
    scale = CUT_OUT_PX / face.height
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
    box = Box(face.x * scale, face.y * scale, face.width * scale, face.height * scale)
    x, y = box.centre
    side = box.height
    mask = np.zeros(picture.shape[:2], np.float32)
    head = (round(x), round(y)), (round(0.68 * side), round(0.88 * side))
    cv2.ellipse(mask, *head, 0, 0, 360, 1.0, -1)
    shoulders = (round(x), round(y + 1.75 * side)), (round(1.25 * side), round(0.95 * side))
    cv2.ellipse(mask, *shoulders, 0, 0, 360, 1.0, -1)
    edge = round(0.06 * side)
    mask[:edge] = mask[-edge:] = 0.0
    mask[:, :edge] = mask[:, -edge:] = 0.0
    soft = cv2.GaussianBlur(mask, (0, 0), 0.05 * side)
    layers = np.dstack([picture.astype(np.float32), soft]).astype(np.float32)
    # Nothing beyond the shoulders is needed, and each pixel costs time to warp.
    top, left = max(0, int(y - 1.2 * side)), max(0, int(x - 1.4 * side))
    layers = layers[top : int(y + 2.2 * side), left : int(x + 1.4 * side)]
    return np.ascontiguousarray(layers), box.moved(-left, -top)


class Stage:
    """A hallway of one size: draws frames with heads in it."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.size = size
        self._rng = rng
        self._hall = _hallway(size)
        width, height = size
        noise = rng.normal(0.0, NOISE_GREYS, (height + 64, width + 64, 3))
        self._noise = noise.astype(np.float32)

    def draw(self, placed: Sequence[tuple[Head, Pose]], at_s: float) -> Image:
        """One frame, uint8 (H, W, 3) BGR."""
        # Daylight that varies by a tenth within a minute.
        light = 1.0 + 0.05 * np.sin(2 * np.pi * at_s / 60)
        frame = (self._hall * light).astype(np.float32)
        for head, pose in placed:
            _paste(frame, head, pose, float(light))
        down, right = self._rng.integers(0, 64, 2)
        height, width = frame.shape[:2]
        frame += self._noise[down : down + height, right : right + width]
        return np.asarray(cv2.convertScaleAbs(np.maximum(frame, 0)), np.uint8)


def _hallway(size: tuple[int, int]) -> NDArray[np.float32]:
    width, height = size
    rows = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    wall = np.array([118, 126, 132], np.float32) * (1.0 - 0.35 * rows)
    image = np.broadcast_to(wall, (height, width, 3)).copy()
    floor, left, right = round(0.83 * height), round(0.67 * width), round(0.92 * width)
    top = round(0.12 * height)
    cv2.rectangle(image, (0, floor), (width, height), (70, 78, 88), -1)
    cv2.rectangle(image, (left, top), (right, floor), (62, 84, 110), -1)
    cv2.rectangle(image, (left, top), (right, floor), (48, 62, 80), 6)
    cv2.circle(image, (right - 20, height // 2), 7, (150, 190, 210), -1)
    glow = np.zeros((height, width), np.float32)
    cv2.circle(glow, (round(0.3 * width), round(0.08 * height)), 60, 1.0, -1)
    return np.asarray(image + 55.0 * cv2.GaussianBlur(glow, (0, 0), 70)[..., None], np.float32)


def _paste(frame: NDArray[np.float32], head: Head, pose: Pose, light: float) -> None:
    """Lay the head over the frame, in the part that it covers."""
    scale = pose.face_px / head.face.height
    face_x, face_y = head.face.centre
    yaw = np.deg2rad(pose.yaw_deg)
    # A flat picture, turned about the vertical through the face, seen from 6 face heights away.
    far = np.sin(yaw) / (6 * head.face.height)
    about_face = np.array([[1, 0, -face_x], [0, 1, -face_y], [0, 0, 1]])
    turn = np.array([[np.cos(yaw), 0, 0], [0, 1, 0], [far, 0, 1]])
    height, width = head.layers.shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    move = np.array([[scale, 0, pose.x], [0, scale, pose.y], [0, 0, 1]])
    matrix = move @ turn @ about_face
    there = cv2.perspectiveTransform(corners[None], matrix)[0]
    rows, columns = frame.shape[:2]
    left, top = np.clip(np.floor(there.min(0)).astype(int), 0, [columns, rows])
    right, bottom = np.clip(np.ceil(there.max(0)).astype(int), 0, [columns, rows])
    if right <= left or bottom <= top:
        return
    into = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    layers = head.layers
    if scale < 0.5:
        # Shrinking by more than half would alias: blur to the frame's resolution first.
        layers = np.asarray(cv2.GaussianBlur(layers, (0, 0), 0.4 / scale), np.float32)
    placed = cv2.warpPerspective(layers, into, (int(right - left), int(bottom - top)))
    if pose.smear_px:
        placed = cv2.blur(placed, (pose.smear_px, 1))
    alpha = placed[..., 3:]
    part = frame[top:bottom, left:right]
    part *= 1.0 - alpha
    part += placed[..., :3] * light * alpha


def _ease(part: float) -> float:
    part = min(1.0, max(0.0, part))
    return part * part * (3.0 - 2.0 * part)


def door_film(
    path: Path, heads: Sequence[Head], size: tuple[int, int], fps: float, seconds: float, seed: int
) -> Clip:
    """All `heads` come at once, stand side by side, look about, turn away and leave."""
    stage, clip = Stage(size, np.random.default_rng(seed)), ClipWriter(path, fps)
    count = len(heads)
    near_px = min(0.36 * size[1], 0.62 * size[0] / count)
    first: dict[int, float] = {}
    gone: dict[int, float] = {}
    for _ in range(round(seconds * fps)):
        at_s = clip.now_s
        placed = []
        for place, head in enumerate(heads):
            pose = _stroll(at_s, seconds, place, count, near_px, size)
            if pose is not None:
                placed.append((head, pose))
                if usable(pose, size):
                    first.setdefault(place, at_s)
                    gone[place] = at_s + 1 / fps
        clip.add(stage.draw(placed, at_s))
    clip.visits = [Visit(heads[p].name, first[p], gone[p]) for p in sorted(first)]
    return clip.close()


def _stroll(
    at_s: float, seconds: float, place: int, count: int, near_px: float, size: tuple[int, int]
) -> Pose | None:
    """Where one of several people is: comes for 2 s, stays, looks about, leaves in the last 2 s."""
    width, height = size
    at_s -= 0.3 + 0.25 * place
    stay_s = seconds - 2.0 - 0.3 - 0.25 * count
    if at_s < 0 or at_s > stay_s + 1.6:
        return None
    near, leaving = _ease(at_s / 2.0), _ease((at_s - stay_s) / 1.6)
    aside = width * (place + 0.5) / count
    side = -1 if place % 2 else 1
    sway_x, sway_y = 0.05 * np.sin(2.1 * at_s + place), 0.03 * np.sin(3.7 * at_s + 2 * place)
    face_px = 0.115 * height + (near_px - 0.115 * height) * near
    # They look to one side and back while they wait, and turn away before they go.
    yaw_deg = 18 * np.sin(1.5 * at_s) * near + 65 * leaving
    return Pose(
        face_px=float(face_px),
        x=float(aside + face_px * sway_x + side * leaving * 0.8 * width),
        y=float(height * (0.36 + 0.08 * near) + face_px * sway_y),
        yaw_deg=float(yaw_deg),
        smear_px=3 if at_s < 2.0 else (7 if leaving > 0 else 0),
    )


def usable(pose: Pose, size: tuple[int, int]) -> bool:
    """Whether a face can be used: whole in the picture, large enough, and not turned away."""
    half = pose.face_px / 2
    inside = half <= pose.x <= size[0] - half and half <= pose.y <= size[1] - half
    return inside and pose.face_px >= USABLE_PX and abs(pose.yaw_deg) <= 30


def hall_film(path: Path, size: tuple[int, int], fps: float, seconds: float, seed: int) -> Clip:
    """Nobody comes: camera noise and slow changes of light."""
    stage, clip = Stage(size, np.random.default_rng(seed)), ClipWriter(path, fps)
    while clip.now_s < seconds:
        clip.add(stage.draw([], clip.now_s))
    return clip.close()


def visits_film(
    path: Path, heads: Sequence[Head], count: int, size: tuple[int, int], fps: float, seed: int
) -> Clip:
    """`count` short visits in turn: in from a side within 0.3 s, a second before the door.

    Between them the hallway is empty long enough for a visit to end, plus a number of frames that
    keeps the visitors out of step with the searcher's schedule.
    """
    rng = np.random.default_rng(seed)
    stage, clip = Stage(size, rng), ClipWriter(path, fps)
    hall = [clip.add(stage.draw([], clip.now_s)) for _ in range(HALL_PICTURES)]
    width, height = size
    for number in range(count):
        for _ in range(round(2.2 * fps) + int(rng.integers(0, 20))):
            clip.repeat(hall[int(rng.integers(0, HALL_PICTURES))])
        head, side = heads[number % len(heads)], 1 if rng.integers(0, 2) else -1
        face_px, stand_y = float(rng.uniform(100, 170)), float(rng.uniform(0.38, 0.5)) * height
        stop_x = float(rng.uniform(0.35, 0.65)) * width
        begun_s, first_s = clip.now_s, None
        for step in range(round(1.3 * fps)):
            away = 1.0 - _ease(step / fps / 0.3)
            sway = 3.0 * np.sin(2.1 * step / fps + number)
            x = stop_x + side * away * (0.6 * width + face_px) + sway
            pose = Pose(face_px, float(x), stand_y, 0.0, 5 if away > 0 else 0)
            if first_s is None and usable(pose, size):
                first_s = begun_s + step / fps
            clip.add(stage.draw([(head, pose)], clip.now_s))
        if first_s is not None:
            clip.visits.append(Visit(head.name, first_s, clip.now_s, head.frontal))
    return clip.close()


def recorded(path: Path, film: Path) -> Clip:
    """A recorded film as a clip, frame by frame."""
    capture = cv2.VideoCapture(str(film))
    if not capture.isOpened():
        raise ValueError(f"{film} is no film")
    clip = ClipWriter(path, float(capture.get(cv2.CAP_PROP_FPS)) or 25.0)
    good, pixels = capture.read()
    while good:
        clip.add(pixels)
        good, pixels = capture.read()
    capture.release()
    return clip.close()
