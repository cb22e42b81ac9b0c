"""The interface of every source of frames."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import CameraError


class BadFrameError(CameraError):
    """A live source gave something that is not a picture; the next may be one again."""


class FrameSource(Protocol):
    """One opened source. `fps` is a recording's own pace, None for a live source."""

    fps: float | None

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3) BGR, an array of its own; None at a recording's end.

        May block for ever on a dead camera. Raises BadFrameError if a live source gives nothing, or
        something that is not a picture, and the next may be one; CameraError if it must be opened
        anew.
        """

    def close(self) -> None:
        """Let go of the camera or file."""
