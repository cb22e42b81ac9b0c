"""How a camera behaves: faults of its frames, their counts, and how long each is reported. Pure.

A camera that misbehaves still gives frames, and whoever stands there may still be recognised; but
somebody should look at it. docs/daemon.md explains each limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Below this nobody stands still long enough for three looks; above it frames are only thrown away.
MIN_FPS = 4.0
MAX_FPS = 70.0
# How long the pace is counted before it is judged, and after which it is judged anew.
PACE_WINDOW_S = 4.0
# A hand before the lens is no fault, a cap on it is one.
DARK_FOR_S = 3.0
# A sensor has noise, and even the stillest hall is never the same picture for so long.
FROZEN_FOR_S = 10.0
# A fault that happens once is reported for this long, so that somebody can see it.
TELL_S = 10.0
# Grey levels: a night without any light is noisier than a lens cap.
_DARK_LEVEL = 8
_DARK_SHARE = 0.99
# Nobody's door has a camera outside these; a decoder gone wrong does.
_LEAST_PX, _MOST_PX = 32, 8192
_SAMPLE_STEP = 16


@dataclass(slots=True)
class Faults:
    """What has gone wrong with one camera since the start."""

    bad: int = 0
    resized: int = 0
    dark: int = 0
    repeated: int = 0


def is_sane(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 3) has a size that a camera may have."""
    height, width = pixels.shape[:2]
    return bool(min(height, width) >= _LEAST_PX and max(height, width) <= _MOST_PX)


def is_dark(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 3) is black, as with a cap on the lens."""
    sample = pixels[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    return bool((sample < _DARK_LEVEL).mean() >= _DARK_SHARE)


class CameraHealth:
    """What one camera's frames are like; `paced` cameras have a rate of their own."""

    def __init__(self, *, paced: bool) -> None:
        self.faults = Faults()
        self._paced = paced
        self._size: tuple[int, ...] | None = None
        self._told_until_s: dict[str, float] = {}
        self._dark_since_s: float | None = None
        self._dark = False
        self._newest: NDArray[np.uint8] | None = None
        self._frozen_since_s: float | None = None
        self._window_s: float | None = None
        self._in_window = 0
        self._pace = ""

    def opened(self) -> None:
        """The camera was reopened: frame rate, darkness and stillness are judged from here on."""
        self._dark_since_s, self._dark = None, False
        self._frozen_since_s = None
        self._window_s, self._pace = None, ""

    def frame(self, pixels: NDArray[np.uint8], at_s: float) -> None:
        """A frame came at `at_s` on the monotonic clock."""
        size = pixels.shape[:2]
        if self._size not in (None, size):
            self.faults.resized += 1
            self._tell("camera_resized", at_s)
        self._size = size
        if is_dark(pixels):
            self.faults.dark += 1
            self._dark_since_s = at_s if self._dark_since_s is None else self._dark_since_s
            self._dark = at_s - self._dark_since_s >= DARK_FOR_S
        else:
            self._dark_since_s, self._dark = None, False
        self._in_window += 1
        self._count_pace(at_s)

    def is_new(self, pixels: NDArray[np.uint8], at_s: float) -> bool:
        """Whether the frame to be handed on at `at_s` differs from the one that was before it.

        A camera that hangs can repeat its last picture for ever, and one picture is one look,
        however often it comes. A recording may hold still.
        """
        if not self._paced:
            return True
        if self._newest is not None and _is_same(self._newest, pixels):
            self.faults.repeated += 1
            self._frozen_since_s = at_s if self._frozen_since_s is None else self._frozen_since_s
            return False
        self._newest, self._frozen_since_s = pixels, None
        return True

    def bad_frames(self, count: int, at_s: float) -> None:
        """Note that `count` times, up to `at_s`, something came that is not a picture."""
        self.faults.bad += count
        self._tell("camera_corrupt", at_s)

    def reasons(self, now_s: float) -> tuple[str, ...]:
        """What is wrong at `now_s`, as names of status reasons."""
        self._count_pace(now_s)
        # If the clock stepped back, a fault that happened once would be reported for ever.
        told = [w for w, until_s in self._told_until_s.items() if 0 <= until_s - now_s <= TELL_S]
        if self._dark:
            told.append("camera_dark")
        elif self._frozen_since_s is not None and now_s - self._frozen_since_s >= FROZEN_FOR_S:
            told.append("camera_frozen")
        if self._pace:
            told.append(self._pace)
        return tuple(sorted(told))

    def _tell(self, what: str, at_s: float) -> None:
        self._told_until_s[what] = at_s + TELL_S

    def _count_pace(self, now_s: float) -> None:
        if not self._paced:
            return
        if self._window_s is None or now_s < self._window_s:
            self._window_s, self._in_window = now_s, 0
            return
        passed_s = now_s - self._window_s
        if passed_s >= PACE_WINDOW_S:
            fps = self._in_window / passed_s
            self._pace = "camera_slow" if fps < MIN_FPS else "camera_fast" if fps > MAX_FPS else ""
            self._window_s, self._in_window = now_s, 0


def _is_same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    # A few rows tell nearly all pictures apart, for a fraction of the time.
    rows = slice(None, None, _SAMPLE_STEP)
    return np.array_equal(one[rows], other[rows]) and np.array_equal(one, other)
