"""Recordings: a video file, or a folder of pictures. They have an end, and a pace of their own."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.camera.capture import Capture
from oneglance.errors import CameraError, ImageError, os_fix
from oneglance.faces.pictures import SUFFIXES
from oneglance.faces.reader import load_image

log = logging.getLogger(__name__)

# A folder of pictures has no clock of its own.
FOLDER_FPS = 10.0
# Some containers only estimate how many frames they hold.
MISSING_TOLERATED = 0.02


class Video:
    """A video file. CameraError if it cannot be read or shows no picture at all."""

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
                f"cannot read the video: {error.strerror}", where=self._where, fix=os_fix(error)
            ) from None
        self._capture = Capture(str(path.absolute()), cv2.CAP_FFMPEG, [], refusal)
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
        """The next picture; None at the end."""
        pixels, self._first = self._first, None
        if pixels is None:
            pixels = self._capture.grab()
        if pixels is None:
            self._report_end()
            return None
        self._index += 1
        return pixels

    def close(self) -> None:
        """Let go of it."""
        self._capture.close()

    def _report_end(self) -> None:
        if self._index < (1 - MISSING_TOLERATED) * self._expected - 1:
            log.warning(
                "%s: the video is truncated: it ends after frame %d of %d",
                *(self._where, self._index, int(self._expected)),
            )


class Folder:
    """The pictures of a folder, by name. CameraError if there are none."""

    fps: float | None = FOLDER_FPS

    def __init__(self, path: Path) -> None:
        try:
            names = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise CameraError(
                f"cannot read the folder: {error.strerror}", where=str(path), fix=os_fix(error)
            ) from None
        if not names:
            raise CameraError(
                "the folder holds no pictures",
                where=str(path),
                fix=f"put files in it that end in {', '.join(sorted(SUFFIXES))}",
            )
        self._files = iter(sorted(names, key=_natural))

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture; None at the end."""
        for file in self._files:
            try:
                return load_image(file)
            except ImageError as error:
                log.warning("left out: %s", error)
        return None

    def close(self) -> None:
        """Let go of it."""
        self._files = iter(())


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort `frame2` before `frame10`."""
    parts = re.split(r"(\d+)", file.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
