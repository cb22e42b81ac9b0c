"""Clips for benchmarks: JPEG frames in one file, what is truly in them beside it.

Every contender reads the same bytes and decodes them itself, outside the time that is measured. As
contenders have environments of their own, this module needs OpenCV and nothing of oneglance.

`NAME.frames` holds the JPEGs one after another; `NAME.json` holds
{"width", "height", "fps", "sizes": bytes of each JPEG, "order": which JPEG each frame of the film
shows (an empty hallway between visits repeats a few), "visits": [{"person", "first_sight_s",
"gone_s", "frontal"}]}.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# A detector loses nothing it needs at this quality; USB cameras send no better.
JPEG_QUALITY = 95
# A face is frontal while its nose is near the middle between the eyes, and they are level.
MOST_ASIDE = 0.25
MOST_TILT_DEG = 15.0


@dataclass(frozen=True)
class Visit:
    """Somebody at the door, from when their face is in the picture and large enough to use."""

    person: str
    first_sight_s: float
    gone_s: float
    frontal: bool = True


@dataclass
class ClipWriter:
    """Collects frames, then `close` writes both files."""

    path: Path
    fps: float
    order: list[int] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    _jpegs: list[bytes] = field(default_factory=list)
    _size: tuple[int, int] = (0, 0)

    def add(self, pixels: Any) -> int:
        """Show a new picture, uint8 (H, W, 3) BGR, as the next frame; returns its number."""
        good, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not good:
            raise ValueError("a frame could not be encoded")
        self._size = pixels.shape[1], pixels.shape[0]
        self._jpegs.append(data.tobytes())
        return self.repeat(len(self._jpegs) - 1)

    def repeat(self, number: int) -> int:
        """Show an earlier picture again as the next frame."""
        self.order.append(number)
        return number

    @property
    def now_s(self) -> float:
        """When the next frame is shown."""
        return len(self.order) / self.fps

    def close(self) -> Clip:
        """Write the files."""
        width, height = self._size
        about = {
            "width": width,
            "height": height,
            "fps": self.fps,
            "sizes": [len(jpeg) for jpeg in self._jpegs],
            "order": self.order,
            "visits": [asdict(visit) for visit in self.visits],
        }
        self.path.with_suffix(".frames").write_bytes(b"".join(self._jpegs))
        self.path.with_suffix(".json").write_text(json.dumps(about))
        return Clip(self.path)


class Clip:
    """A clip as written; `frame(i)` decodes one picture."""

    def __init__(self, path: Path) -> None:
        about = json.loads(path.with_suffix(".json").read_text())
        self.path = path
        self.name = path.name
        self.fps: float = about["fps"]
        self.size: tuple[int, int] = (about["width"], about["height"])
        self.visits = [Visit(**visit) for visit in about["visits"]]
        self._order: Sequence[int] = about["order"]
        self._sizes: Sequence[int] = about["sizes"]
        self._starts = [0, *itertools.accumulate(self._sizes)]
        self._file = path.with_suffix(".frames")

    def __len__(self) -> int:
        return len(self._order)

    @property
    def seconds(self) -> float:
        """How long the clip plays."""
        return len(self) / self.fps

    def jpeg(self, index: int) -> bytes:
        """One frame as it stands in the file."""
        number = self._order[index]
        with self._file.open("rb") as file:
            file.seek(self._starts[number])
            return file.read(self._sizes[number])

    def frame(self, index: int) -> Any:
        """One frame, uint8 (H, W, 3) BGR."""
        return cv2.imdecode(np.frombuffer(self.jpeg(index), np.uint8), cv2.IMREAD_COLOR)


def as_avi(clip: Clip, file: Path) -> Path:
    """The clip as a Motion JPEG film, for programs that read films."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), clip.fps, clip.size)
    if not writer.isOpened():
        raise ValueError(f"cannot write {file}")
    for index in range(len(clip)):
        writer.write(clip.frame(index))
    writer.release()
    return file


def is_frontal(left_eye: Any, right_eye: Any, nose: Any) -> bool:
    """Whether a face with these points (x, y) looks this way, upright; left is left in the picture.

    How far the nose is from the middle between the eyes counts along the line through them, in
    distances between the eyes.
    """
    left, right = np.asarray(left_eye, float), np.asarray(right_eye, float)
    across = right - left
    apart = max(float(np.hypot(*across)), 1e-6)
    aside = abs(float((np.asarray(nose, float) - (left + right) / 2) @ across)) / apart**2
    tilt_deg = abs(np.degrees(np.arctan2(across[1], across[0])))
    return bool(aside <= MOST_ASIDE and tilt_deg <= MOST_TILT_DEG)
