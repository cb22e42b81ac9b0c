"""A camera of the test machine: people from photographs walk up to it, over HTTP, for ever.

Usage: stage.py PHOTO... ; /share/camera says what it does: `visits`, `empty`, `silent` (it accepts
and says nothing more), `refuse`. With `--film FILE` one visit of each is written as a film instead.
"""

from __future__ import annotations

import itertools
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from oneglance.faces.find.detect import FaceDetector

MODE = Path("/share/camera")
FPS = 10
WIDTH, HEIGHT = 640, 480
NOISE = np.random.default_rng(5)


def visit(photo: str) -> list[np.ndarray]:
    """One person's visit: the face growing, standing, and an empty hall."""
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
    """The picture as no two of a live camera are the same."""
    return cv2.add(picture, NOISE.integers(0, 3, picture.shape, np.uint8))


class Camera(BaseHTTPRequestHandler):
    """Motion JPEG."""

    pictures: list[np.ndarray]

    def do_GET(self) -> None:
        if MODE.read_text().strip() == "refuse":
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        for picture in itertools.cycle(self.pictures):
            while (mode := MODE.read_text().strip()) == "silent":
                time.sleep(0.1)
            if mode == "refuse":
                return
            shown = self.pictures[0] if mode == "empty" else picture
            data = cv2.imencode(".jpg", noisy(shown))[1].tobytes()
            try:
                self.wfile.write(b"--picture\r\nContent-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
            except OSError:
                return
            time.sleep(1 / FPS)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(arguments: list[str]) -> None:
    if arguments[0] == "--film":
        writer = cv2.VideoWriter(arguments[1], cv2.VideoWriter.fourcc(*"MJPG"), FPS, (640, 480))
        for photo in arguments[2:]:
            for picture in visit(photo):
                writer.write(noisy(picture))
        writer.release()
        return
    Camera.pictures = [picture for photo in arguments for picture in visit(photo)]
    ThreadingHTTPServer(("127.0.0.1", 8090), Camera).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
