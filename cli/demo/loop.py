"""The demo's film as an IP camera: Motion JPEG over HTTP on this machine, in a loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

from oneglance.errors import CameraError

_QUALITY = 92


@contextmanager
def looped(film: Path, fps: int) -> Iterator[str]:
    """Serve the film while the block runs; yields the camera's URL. CameraError for other files.

    All viewers see the same moment, as with a real camera.
    """
    frames = _jpegs(film)
    began_s = time.monotonic()
    over = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            shown = -1
            try:
                while not over.wait(0.2 / fps):
                    moment = int((time.monotonic() - began_s) * fps)
                    if moment == shown:
                        continue
                    shown = moment
                    jpeg = frames[moment % len(frames)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + jpeg + b"\r\n")
            except ConnectionError:
                return

        def log_message(self, *_: object) -> None:
            """Keep requests out of the output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="camera", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _jpegs(film: Path) -> list[bytes]:
    """Each frame as a JPEG file."""
    video = cv2.VideoCapture(str(film))
    jpegs = []
    while True:
        read, frame = video.read()
        if not read:
            break
        jpegs.append(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
    video.release()
    if not jpegs:
        raise CameraError("there is no picture in the film", where=str(film), fix="delete it")
    return jpegs
