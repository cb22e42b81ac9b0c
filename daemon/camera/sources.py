"""Where frames come from: a V4L2 device, a stream, a video file, a folder of pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.capture import Capture
from oneglance.daemon.camera.health import is_sane
from oneglance.daemon.camera.recordings import Folder, Video
from oneglance.errors import CameraError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,15}", re.IGNORECASE)
# A name or IPv4 address, or an IPv6 address in brackets; then a port.
_HOST = re.compile(r"([a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


class BadFrameError(CameraError):
    """A live source gave something that is no picture; the next may be one again."""


class FrameSource(Protocol):
    """One opened source. `fps` is a recording's own pace, None for a live source."""

    fps: float | None

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3) BGR, an array of its own; None at a recording's end.

        May block for ever on a dead camera. Raises BadFrameError if a live source gives nothing,
        or no picture.
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
            return Folder(path)
        if path.is_char_device() or source.startswith("/dev/"):
            return _device(source, config)
        if not path.exists():
            raise CameraError(
                "there is no such camera, video or folder",
                where=shown_name(source),
                fix="check the path; 'v4l2-ctl --list-devices' shows what is plugged in",
            )
    except OSError as error:
        raise CameraError(
            f"cannot look at it: {error.strerror}", where=shown_name(source)
        ) from None
    return Video(path)


def is_recording(config: CameraConfig) -> bool:
    """Whether the source is a file or folder, which has an end and can be read at any pace."""
    source = str(config.source)
    return not (source.isdecimal() or "://" in source or source.startswith("/dev/"))


def shown_name(source: str | int) -> str:
    """The source without any secret that may stand in it, fit for logs; never raises.

    Of a URL only scheme and host are shown: makers of cameras put passwords into paths as well.
    Where it is not certain which part the host is, `...` stands for it.
    """
    text = str(source)
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        # A mistyped URL is taken for a path, and may hold a password all the same.
        return "..." if re.search(r":.*@", text, re.DOTALL) else text
    # A password with an unescaped / or # looks like a path, and an @ in a path like a password:
    # so an @ counts only in front of the first of these.
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    certain = "@" not in rest[len(authority) :] and _HOST.fullmatch(host)
    return f"{scheme if _SCHEME.fullmatch(scheme) else '...'}://{host if certain else '...'}"


class _Live:
    fps: float | None = None

    def __init__(self, capture: Capture, where: str) -> None:
        self._capture = capture
        self._where = where

    def read(self) -> NDArray[np.uint8] | None:
        pixels = self._capture.grab()
        if pixels is None:
            raise BadFrameError("the camera gives no more pictures", where=self._where)
        if not is_sane(pixels):
            height, width = pixels.shape[:2]
            raise BadFrameError(
                f"the camera gives pictures of {width} x {height}", where=self._where
            )
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
    return _Live(Capture(path, cv2.CAP_V4L2, options, refusal), path)


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
        super().__init__(Capture(url, cv2.CAP_FFMPEG, options, refusal), where)
