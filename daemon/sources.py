"""Where frames come from: a V4L2 device, a stream, a video file, a folder of pictures."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.errors import CameraError, ImageError
from oneglance.faces.reader import load_image

log = logging.getLogger(__name__)

# A folder of pictures has no clock of its own.
FOLDER_FPS = 10.0
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
# Some containers only estimate how many frames they hold.
MISSING_TOLERATED = 0.02

# OpenCV and FFmpeg print what goes wrong on their own; our one line says it instead.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class FrameSource(Protocol):
    """One opened source. `fps` is a recording's own pace, None for a live source."""

    fps: float | None

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3) BGR; None at the end of a recording.

        May block for ever on a dead camera. Raises CameraError if a live source gives nothing.
        """

    def close(self) -> None:
        """Let go of the camera or file."""


def open_source(config: CameraConfig) -> FrameSource:
    """Open what `config.source` names; CameraError says what, where and what to do."""
    source = str(config.source)
    if "://" in source:
        return _Stream(source, config.read_deadline_s)
    if source.isdecimal():
        return _device(f"/dev/video{source}", config)
    path = Path(source)
    try:
        if path.is_dir():
            return _Folder(path)
        if path.is_char_device() or source.startswith("/dev/"):
            return _device(source, config)
        if not path.exists():
            raise CameraError(
                "there is no such camera, video or folder",
                where=source,
                fix="check the path; 'v4l2-ctl --list-devices' shows what is plugged in",
            )
    except OSError as error:
        raise CameraError(f"cannot look at it: {error.strerror}", where=source) from None
    return _Video(path)


def is_recording(config: CameraConfig) -> bool:
    """Whether the source is a file or folder, which has an end and can be read at any pace."""
    source = str(config.source)
    return not (source.isdecimal() or "://" in source or source.startswith("/dev/"))


def shown_name(source: str | int) -> str:
    """The source without a password that may stand in its URL, fit for logs."""
    text = str(source)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    # A query may hold a token.
    return f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")


class _Capture:
    """cv2.VideoCapture, opened or refused."""

    def __init__(self, target: str, backend: int, options: list[int], refusal: CameraError) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture: Any = None
        try:
            self._capture = cv2.VideoCapture(target, backend, options)
        except cv2.error:
            raise refusal from None
        if not self._capture.isOpened():
            self._capture.release()
            raise refusal

    def number(self, what: int) -> float:
        return float(self._capture.get(what))

    def grab(self) -> NDArray[np.uint8] | None:
        try:
            good, pixels = self._capture.read()
        except cv2.error:
            return None
        if not good or pixels is None or pixels.ndim != 3:
            return None
        return np.asarray(pixels, np.uint8)

    def close(self) -> None:
        self._capture.release()


class _Live:
    fps: float | None = None

    def __init__(self, capture: _Capture, where: str) -> None:
        self._capture = capture
        self._where = where

    def read(self) -> NDArray[np.uint8] | None:
        pixels = self._capture.grab()
        if pixels is None:
            raise CameraError("the camera gives no more pictures", where=self._where)
        return pixels

    def close(self) -> None:
        self._capture.close()


def _device(path: str, config: CameraConfig) -> FrameSource:
    if not Path(path).exists():
        raise CameraError(
            "there is no such camera",
            where=path,
            fix="plug it in; 'v4l2-ctl --list-devices' shows what is there",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(
            "the camera may not be used by this user", where=path, fix="add it to the group video"
        )
    options = [cv2.CAP_PROP_BUFFERSIZE, 1]
    for what, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, config.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
    ):
        if value is not None:
            options += [what, value]
    refusal = CameraError(
        "the camera cannot be opened", where=path, fix="is another program using it?"
    )
    return _Live(_Capture(path, cv2.CAP_V4L2, options, refusal), path)


class _Stream(_Live):
    def __init__(self, url: str, deadline_s: float) -> None:
        where = shown_name(url)
        timeout_ms = max(1, int(1000 * deadline_s))
        options = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms),
        ]
        refusal = CameraError(
            "the stream cannot be opened", where=where, fix="check its address, user and password"
        )
        super().__init__(_Capture(url, cv2.CAP_FFMPEG, options, refusal), where)


class _Video:
    def __init__(self, path: Path) -> None:
        self._where = str(path)
        refusal = CameraError(
            "not a video, or a damaged one",
            where=self._where,
            fix="play it with another program to see whether it is whole",
        )
        try:
            # FFmpeg cannot tell an unreadable file from a broken one.
            with path.open("rb"):
                pass
        except OSError as error:
            raise CameraError(
                f"cannot read the video: {error.strerror}", where=self._where
            ) from None
        self._capture = _Capture(str(path.absolute()), cv2.CAP_FFMPEG, [], refusal)
        fps = self._capture.number(cv2.CAP_PROP_FPS)
        self.fps: float | None = fps if 0 < fps <= 1000 else 25.0
        self._expected = self._capture.number(cv2.CAP_PROP_FRAME_COUNT)
        self._index = 0
        # A file of headers alone opens well: only a picture proves that it is a video.
        self._first = self._capture.grab()
        if self._first is None:
            self._capture.close()
            raise refusal

    def read(self) -> NDArray[np.uint8] | None:
        pixels, self._first = self._first, None
        if pixels is None:
            pixels = self._capture.grab()
        if pixels is None:
            self._report_end()
            return None
        self._index += 1
        return pixels

    def close(self) -> None:
        self._capture.close()

    def _report_end(self) -> None:
        if self._index < (1 - MISSING_TOLERATED) * self._expected - 1:
            log.warning(
                "%s: the video is truncated: it ends after frame %d of %d",
                *(self._where, self._index, int(self._expected)),
            )


class _Folder:
    fps: float | None = FOLDER_FPS

    def __init__(self, path: Path) -> None:
        try:
            names = [file for file in path.iterdir() if file.suffix.lower() in PICTURES]
        except OSError as error:
            raise CameraError(
                f"cannot read the folder: {error.strerror}", where=str(path)
            ) from None
        if not names:
            raise CameraError(
                "the folder holds no pictures",
                where=str(path),
                fix=f"put files in it that end in {', '.join(sorted(PICTURES))}",
            )
        self._files = iter(sorted(names, key=_natural))

    def read(self) -> NDArray[np.uint8] | None:
        for file in self._files:
            try:
                return load_image(file)
            except ImageError as error:
                log.warning("left out: %s", error)
        return None

    def close(self) -> None:
        self._files = iter(())


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort `frame2` before `frame10`."""
    parts = re.split(r"(\d+)", file.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
