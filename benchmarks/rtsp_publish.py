"""A film over and over, as a live camera sends it: H.264 in RTP, each picture with its time in it.

python benchmarks/rtsp_publish.py FILM --rtp-port 5004 [--keyframe-s 2]

The time (CLOCK_MONOTONIC in ms, which all programs of a machine share) stands as two rows of black
and white squares in the lower left corner, with a checksum: a reader knows how old a picture is,
and whether it arrived whole. Ends with SIGTERM.
"""

from __future__ import annotations

import argparse
import subprocess
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SQUARE_PX, BITS_A_ROW, ROWS = 16, 24, 2


def stamp(pixels: NDArray[np.uint8], at_ms: int) -> None:
    """Draw the time into a picture, uint8 (H, W, 3) with W at least 384."""
    code = at_ms % 2**32 << 16 | zlib.crc32(at_ms.to_bytes(8)) & 0xFFFF
    bits = np.array([code >> place & 1 for place in range(BITS_A_ROW * ROWS)], np.uint8)
    squares = np.kron(bits.reshape(ROWS, -1), np.full((SQUARE_PX, SQUARE_PX), 255, np.uint8))
    pixels[-squares.shape[0] :, : squares.shape[1]] = squares[..., np.newaxis]


def read_stamp(pixels: NDArray[np.uint8]) -> int | None:
    """The time in a picture, in ms modulo 2**32; None if it cannot be read."""
    half = SQUARE_PX // 2
    rows = pixels[-SQUARE_PX * ROWS :]
    middles = rows[half::SQUARE_PX, half : SQUARE_PX * BITS_A_ROW : SQUARE_PX]
    code = sum(int(bit) << place for place, bit in enumerate(middles[..., 1].ravel() > 127))
    at_ms = code >> 16
    return at_ms if zlib.crc32(at_ms.to_bytes(8)) & 0xFFFF == code & 0xFFFF else None


def main() -> None:
    """Read the command line, publish until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--rtp-port", type=int, required=True)
    parser.add_argument("--keyframe-s", type=float, default=2.0)
    options = parser.parse_args()
    frames, fps = _frames(options.film)
    height, width = frames[0].shape[:2]
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-", "-an", "-c:v", "libx264"]
    command += [
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-x264-params",
        "sliced-threads=0",
        "-b:v",
        "2M",
        "-maxrate",
        "2M",
    ]
    command += ["-bufsize", "1M", "-pix_fmt", "yuv420p", "-g", f"{options.keyframe_s * fps:.0f}"]
    command += ["-f", "rtp", f"rtp://127.0.0.1:{options.rtp_port}"]
    start_s, index = time.monotonic(), 0
    while True:
        # It ends when nobody listens at the port, and a server listens only while it has a client.
        encoder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert encoder.stdin is not None
        while encoder.poll() is None:
            time.sleep(max(0.0, start_s + index / fps - time.monotonic()))
            picture = frames[index % len(frames)].copy()
            stamp(picture, int(1000 * time.monotonic()) % 2**32)
            index += 1
            try:
                encoder.stdin.write(picture.tobytes())
            except BrokenPipeError:
                break
        encoder.kill()
        encoder.wait()


def _frames(film: Path) -> tuple[list[NDArray[np.uint8]], float]:
    capture = cv2.VideoCapture(str(film))
    frames = []
    while True:
        good, pixels = capture.read()
        if not good:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(np.asarray(pixels, np.uint8))


if __name__ == "__main__":
    main()
