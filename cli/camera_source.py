"""Which camera a command's option names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import ValidationError

from oneglance.config import CameraConfig
from oneglance.daemon.camera.devices import is_same_source
from oneglance.daemon.camera.sources import is_recording, shown_name
from oneglance.errors import CameraError


def camera_config(source: str | int, configured: Sequence[CameraConfig] = ()) -> CameraConfig:
    """The camera or recording to take pictures from; no frame of a recording is skipped.

    A configured camera, given by name or source, is rotated and logged in to as configured. Raises
    CameraError for an unknown source, listing the names that exist.
    """
    for camera in configured:
        if str(source) == camera.name or is_same_source(source, camera.source):
            return camera
    try:
        config = CameraConfig(name="camera", source=source)
    except ValidationError:
        raise CameraError(
            f"{source!r} names no camera", fix="give an index, a device, a URL, a file or a folder"
        ) from None
    if not is_recording(config):
        return config
    # With a slash it is a path, and whoever opens it says what is wrong with that.
    if configured and os.sep not in str(source) and not os.path.lexists(source):
        names = ", ".join(camera.name for camera in configured)
        raise CameraError(
            "no camera has this name, and there is no such video or folder",
            where=shown_name(source),
            fix=f"configured are: {names}",
        )
    return config.model_copy(update={"pace": "every"})
