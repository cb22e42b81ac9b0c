"""A camera over HTTP: people from photographs walk up to it, one after the other, for ever.

stage.py [--mode FILE] [--port 8090] [--fps 10] [--visits FILE] PHOTO...
stage.py --film FILE PHOTO...

The mode file says what the camera does: `visits`, `empty`, `silent` (it accepts a connection and
sends nothing), `refuse`. Each person who walks up is noted in the visits file: when, on the
monotonic clock, and from which photograph. `--film` writes one visit of each as a film instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from oneglance.faces.find.detect import FaceDetector

FPS = 10
WIDTH, HEIGHT = 640, 480
NOISE = np.random.default_rng(5)
# No two pictures in a row are the same, as with a live camera.
VARIANTS = 5


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as JPEG in each variant; `comes` is the photograph of whoever arrives now."""

    jpegs: tuple[bytes, ...]
    comes: str = ""


def visit(photo: str) -> list[np.ndarray]:
    """One person's visit: an empty hall, the face growing, standing, and the empty hall again."""
    image = cv2.imread(photo)
    box = max(FaceDetector().find_still(image), key=lambda box: box.area).scaled(1.9)
    x, y = max(0, int(box.x)), max(0, int(box.y))
    cut = image[y : y + int(box.height), x : x + int(box.width)]
    empty = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    pictures = []
    for i in range(22):
        side = int(160 + 160 * min(1.0, i / 14))
        picture = empty.copy()
        left, top = (WIDTH - side) // 2 + 2 * (i % 3), (HEIGHT - side) // 2
        picture[top : top + side, left : left + side] = cv2.resize(cut, (side, side))
        pictures.append(picture)
    return [empty] * 3 + pictures + [empty] * 18


def noisy(picture: np.ndarray) -> np.ndarray:
    """The picture with noise, as no two of a live camera are the same."""
    return cv2.add(picture, NOISE.integers(0, 3, picture.shape, np.uint8))


def encoded(photo: str) -> list[Picture]:
    """Encode a visit, ready to be sent."""
    pictures = []
    for number, picture in enumerate(visit(photo)):
        jpegs = (cv2.imencode(".jpg", noisy(picture))[1].tobytes() for _ in range(VARIANTS))
        pictures.append(Picture(tuple(jpegs), photo if number == 3 else ""))
    return pictures


@dataclass(frozen=True, slots=True)
class Show:
    """What is shown, how fast, the file that says what to show, the one that notes who came."""

    pictures: list[Picture]
    fps: float
    mode: Path
    visits: Path | None

    def asked(self) -> str:
        """What the camera should do now."""
        return self.mode.read_text().strip()

    def note(self, photo: str) -> None:
        """Note that somebody comes."""
        if self.visits is not None:
            with self.visits.open("a") as file:
                line = {"at_s": time.monotonic(), "who": Path(photo).stem}
                file.write(json.dumps(line) + "\n")


class Camera(BaseHTTPRequestHandler):
    """Motion JPEG."""

    def __init__(self, show: Show, *arguments: object) -> None:
        self._show = show
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send pictures until nobody takes them any more."""
        show = self._show
        if show.asked() == "refuse":
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        for number, picture in enumerate(itertools.cycle(show.pictures)):
            while (mode := show.asked()) == "silent":
                time.sleep(0.1)
            if mode == "refuse":
                return
            shown = show.pictures[0] if mode == "empty" else picture
            if shown.comes:
                show.note(shown.comes)
            head = b"--picture\r\nContent-Type: image/jpeg\r\n\r\n"
            try:
                self.wfile.write(head + shown.jpegs[number % VARIANTS] + b"\r\n")
            except OSError:
                return
            time.sleep(1 / show.fps)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve for ever, or write a film."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--mode", type=Path, default=Path("/share/camera"))
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--fps", type=float, default=FPS)
    parser.add_argument("--visits", type=Path)
    parser.add_argument("--film")
    asked = parser.parse_args()
    if asked.film:
        writer = cv2.VideoWriter(asked.film, cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
        for photo in asked.photos:
            for picture in visit(photo):
                writer.write(noisy(picture))
        writer.release()
        return
    pictures = [picture for photo in asked.photos for picture in encoded(photo)]
    show = Show(pictures, asked.fps, asked.mode, asked.visits)
    ThreadingHTTPServer(("127.0.0.1", asked.port), partial(Camera, show)).serve_forever()


if __name__ == "__main__":
    main()
