"""Landmark labels by a teacher: MTCNN's O-Net, averaged over many views of a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.find.align import (
    MEAN_POINTS,
    apply,
    crop_matrix,
    cut,
    fit_similarity,
    mirror_points,
)
from oneglance.faces.find.boxes import Box
from oneglance.faces.model.litert import interpreter_class

_VIEW = 48
# The part of our crop to show O-Net: of those tried, the one whose answers agree best.
_VIEW_IN_CROP = np.array([[0.74, 0.0, 0.13], [0.0, 0.74, 0.15]])


class LandmarkTeacher:
    """O-Net of MTCNN (Zhang et al., IEEE SPL 23(10), 2016) as a .tflite file.

    Its input is [1, 48, 48, 3] RGB, (x - 127.5) / 128, with rows and columns swapped; its outputs
    are the probability of a face, a box, and five x followed by five y. Raises ModelError.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._net = interpreter_class()(model_path=str(path), num_threads=1)
            self._net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError("the landmark teacher cannot be loaded", where=str(path)) from error
        outputs = {tuple(d["shape"]): d["index"] for d in self._net.get_output_details()}
        if not {(1, 2), (1, 10)} <= set(outputs):
            raise ModelError("the landmark teacher is not an O-Net", where=str(path))
        self._input = self._net.get_input_details()[0]["index"]
        self._probability, self._points = outputs[1, 2], outputs[1, 10]

    def label(
        self,
        image_bgr: NDArray[np.uint8],
        box: Box,
        generator: np.random.Generator,
        views: int = 12,
    ) -> tuple[NDArray[np.float64], float, float]:
        """Five points (5, 2) in px, the mean probability of a face, and the points' spread.

        Two centring passes, then the mean over jittered views, half of them mirrored. The spread
        is their standard deviation in units of the distance between the eyes.
        """
        matrix = crop_matrix(box)
        for _ in range(2):
            points, _ = self._look(image_bgr, matrix, mirrored=False)
            matrix = fit_similarity(MEAN_POINTS, points)
        found = np.empty((views, 5, 2))
        probabilities = np.empty(views)
        for view in range(views):
            jittered = jitter(matrix, generator, turn_deg=8.0, size=0.08, shift=0.04)
            mirrored = view % 2 == 1
            found[view], probabilities[view] = self._look(image_bgr, jittered, mirrored=mirrored)
        eyes = float(np.linalg.norm(found[:, 0].mean(0) - found[:, 1].mean(0)))
        spread = float(found.std(0).mean()) / max(eyes, 1e-6)
        return found.mean(0), float(probabilities.mean()), spread

    def _look(
        self, image_bgr: NDArray[np.uint8], matrix: NDArray[np.float64], *, mirrored: bool
    ) -> tuple[NDArray[np.float64], float]:
        linear = matrix[:, :2] @ _VIEW_IN_CROP[:, :2]
        matrix = np.column_stack([linear, apply(matrix, _VIEW_IN_CROP[:, 2])])
        view = cut(image_bgr, matrix, _VIEW)[:, :, ::-1]
        if mirrored:
            view = view[:, ::-1]
        pixels = (view.transpose(1, 0, 2).astype(np.float32) - 127.5) / 128
        self._net.set_tensor(self._input, pixels[None])
        self._net.invoke()
        unit = self._net.get_tensor(self._points).reshape(2, 5).T.astype(np.float64)
        if mirrored:
            unit = mirror_points(unit)
        probability = float(self._net.get_tensor(self._probability)[0, 1])
        return apply(matrix, unit), probability


def jitter(
    matrix: NDArray[np.float64],
    generator: np.random.Generator,
    *,
    turn_deg: float,
    size: float,
    shift: float,
) -> NDArray[np.float64]:
    """A crop matrix rotated, scaled and shifted at random about its middle (one sigma each)."""
    angle = np.deg2rad(generator.normal(0, turn_deg))
    scale = np.exp(generator.normal(0, size))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = matrix[:, :2] @ (np.array([0.5, 0.5]) + generator.normal(0, shift, 2)) + matrix[:, 2]
    linear = matrix[:, :2] @ turn
    return np.column_stack([linear, centre - linear @ [0.5, 0.5]])
