"""Pictures to calibrate with: cut as the door cuts them, drawn evenly, refused if unsuitable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image, read_central_face

CHIPS = 96
LEAST = 16
SEED = 0
# How many faces are cut for each one that is used: enough to cover both extremes.
_CANDIDATES_EACH = 2
_STRATA = 3
# Neighbouring pixels of a photograph are nearly alike (0.9 and more), of noise not at all.
LEAST_LIKENESS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Calibration faces: `chips` uint8 (n, 112, 112, 3), the aligner's `crops` (n, 64, 64, 1)."""

    chips: NDArray[np.uint8]
    crops: NDArray[np.uint8]
    source: str
    pictures: int

    def told(self) -> dict[str, Any]:
        """For the manifest: where the ranges come from."""
        return {"source": self.source, "pictures": len(self.chips), "seed": SEED}


def calibration_faces(source: Path, model: FaceModel, count: int = CHIPS) -> Faces:
    """Up to `count` faces, as even as possible over light and size, drawn with a fixed seed.

    Raises ConfigError for fewer than 16 faces and for pictures that are noise.
    """
    pictures = Pictures(source)
    generator = np.random.default_rng(SEED)
    names = [str(name) for name in generator.permutation(pictures.names)]
    detector = FaceDetector()
    chips, crops, light, size = [], [], [], []
    likeness = []
    looked = 0
    for name in names[: count * _CANDIDATES_EACH]:
        image = load_image(pictures.read(name))
        likeness.append(neighbours_alike(image))
        looked += 1
        sample = read_central_face(image, detector, model)
        if sample is not None:
            chips.append(sample.chip)
            crops.append(align.grey_crop(image, align.crop_matrix(sample.box)))
            light.append(sample.brightness)
            size.append(_side(sample.box))
    _check(likeness, len(chips), looked, source)
    chosen = stratified(np.array(light), np.array(size), count, generator)
    return Faces(np.stack(chips)[chosen], np.stack(crops)[chosen], source.name, looked)


def stratified(
    light: NDArray[np.floating], size: NDArray[np.floating], count: int, generator: Any
) -> NDArray[np.intp]:
    """Rows (k,) with k <= count, drawn in turn from each third of light and of size."""
    cells: dict[tuple[int, int], list[int]] = {}
    for row, cell in enumerate(zip(_thirds(light), _thirds(size), strict=True)):
        cells.setdefault((int(cell[0]), int(cell[1])), []).append(row)
    piles = [list(generator.permutation(cells[cell])) for cell in sorted(cells)]
    drawn: list[int] = []
    while len(drawn) < count and any(piles):
        drawn += [int(pile.pop()) for pile in piles if pile]
    return np.sort(np.array(drawn[:count], np.intp))


def neighbours_alike(image_bgr: NDArray[np.uint8]) -> float:
    """Correlation of pixels side by side, -1..1: near 1 in a photograph, near 0 in noise."""
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float64)
    left, right = grey[:, :-1].ravel(), grey[:, 1:].ravel()
    if not left.size or left.std() < 1e-9 or right.std() < 1e-9:
        return 1.0
    return float(np.corrcoef(left, right)[0, 1])


def _check(likeness: Sequence[float], faces: int, pictures: int, source: Path) -> None:
    where, fix = str(source), "name a folder or zip of photographs, one face on each, 100 or more"
    if not pictures:
        raise ConfigError("there are no pictures to calibrate with", where=where, fix=fix)
    if float(np.median(likeness)) < LEAST_LIKENESS:
        raise ConfigError("the pictures are random noise, not photographs", where=where, fix=fix)
    if not faces:
        raise ConfigError("no face was found in the pictures", where=where, fix=fix)
    if faces < LEAST:
        raise ConfigError(
            f"{faces} faces in {pictures} pictures are too few to calibrate with, "
            f"at least {LEAST} are needed",
            where=where,
            fix=fix,
        )


def _side(box: Box) -> float:
    return max(box.width, box.height)


def _thirds(values: NDArray[np.floating]) -> NDArray[np.intp]:
    edges = np.quantile(values, np.linspace(0, 1, _STRATA + 1)[1:-1])
    return np.searchsorted(edges, values)
