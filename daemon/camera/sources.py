"""Where frames come from: a V4L2 device, a stream, a video file, a folder of pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.capture import Capture
from oneglance.daemon.camera.frame_source import BadFrameError, FrameSource
from oneglance.daemon.camera.health import is_sane
from oneglance.daemon.camera.login import HOST, Login, split_login, with_login
from oneglance.daemon.camera.recordings import Folder, Video
from oneglance.daemon.camera.rtsp import why_not
from oneglance.daemon.camera.turned import turned
from oneglance.errors import CameraError, ConfigError, os_fix
from oneglance.secret_file import read_password

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,15}", re.IGNORECASE)


def open_source(config: CameraConfig) -> FrameSource:
    """Open what `config.source` names, its pictures turned as it says.

    Raises CameraError that says what, where and what to do.
    """
    return turned(_as_it_is(config), config)


def _as_it_is(config: CameraConfig) -> FrameSource:
    source = str(config.source)
    if "://" in source:
        return _open_url(source, config)
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
                fix="check the path; 'ls /dev/v4l/by-id' shows what is plugged in",
            )
    except OSError as error:
        raise CameraError(
            f"cannot look at it: {error.strerror}", where=shown_name(source), fix=os_fix(error)
        ) from None
    return Video(path)


def _open_url(source: str, config: CameraConfig) -> FrameSource:
    url, login = split_login(source)
    if config.user is not None and config.password_file is not None:
        login = Login(config.user, _password(config.password_file))
    where = shown_name(source)
    try:
        return _opened(url, login, where, config)
    except CameraError as error:
        if not where.endswith("..."):
            raise
        fix = f"{error.fix}; a password that has one of / ? # @ in it is best given as"
        raise CameraError(error.what, where=where, fix=f"{fix} 'password_file'") from None


def _password(file: Path) -> str:
    try:
        return read_password(file, "camera's password")
    except ConfigError as error:
        # Other cameras work on, and the file may be there at the next attempt.
        raise CameraError(error.what, where=error.where, fix=error.fix) from None


def _opened(url: str, login: Login | None, where: str, config: CameraConfig) -> FrameSource:
    if url.lower().startswith(("http://", "https://")):
        # Here only, as importing it costs time and memory that a door with a V4L2 camera saves.
        from oneglance.daemon.camera.http_camera import open_http

        camera = open_http(url, login, config, where)
        if camera is not None:
            return camera
    return _Stream(url, login, where, config.read_deadline_s)


def is_recording(config: CameraConfig) -> bool:
    """Whether the source is a file or folder, which has an end and can be read at any pace."""
    source = str(config.source)
    return not (source.isdecimal() or "://" in source or source.startswith("/dev/"))


def shown_name(source: str | int) -> str:
    """The source without any secret that may stand in it, fit for logs; never raises.

    Only scheme and host of a URL are shown: makers of cameras put passwords into paths as well.
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
    certain = "@" not in rest[len(authority) :] and HOST.fullmatch(host)
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
            fix="plug it in; 'ls /dev/v4l/by-id' shows what is there",
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
    def __init__(self, url: str, login: Login | None, where: str, deadline_s: float) -> None:
        timeout_ms = max(1, int(1000 * deadline_s))
        options = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms),
            # Each further thread holds back one more picture.
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        refusal = CameraError(
            "the stream cannot be opened",
            where=where,
            fix="check its address, user and password, and what stands behind the host",
        )
        try:
            capture = Capture(with_login(url, login), cv2.CAP_FFMPEG, options, refusal)
        except CameraError as error:
            if error is not refusal:
                raise
            raise why_not(url, login, where) or refusal from None
        super().__init__(capture, where)
