"""What a conversion does to decisions: the same pictures judged by it and by the float model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation import metrics, thresholds
from oneglance.faces.evaluation.listed_pairs import read_pairs, score_pairs
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image, read_central_face

FARS = ("1e-2", "1e-3", "1e-4", "1e-5")
_LEAST_FALSE_MATCHES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Both:
    """Templates (n, d) of the same faces, `wanted` by the float model, `found` by the converted.

    Each uses its own aligner and encoder; they share only the Haar cascade's box.
    """

    names: tuple[str, ...]
    wanted: NDArray[np.float32]
    found: NDArray[np.float32]

    def rows(self, keep: NDArray[np.bool_]) -> Both:
        """Some of the faces."""
        names = tuple(name for name, kept in zip(self.names, keep, strict=True) if kept)
        return Both(names, self.wanted[keep], self.found[keep])


def read_both(
    pictures: Pictures, names: Sequence[str], model: FaceModel, reference: FaceModel
) -> Both:
    """The central face of each picture; those without one are left out."""
    detector = FaceDetector()
    kept: list[str] = []
    wanted: list[NDArray[np.float32]] = []
    found: list[NDArray[np.float32]] = []
    for name in names:
        image = load_image(pictures.read(name))
        sample = read_central_face(image, detector, model)
        if sample is not None:
            kept.append(name)
            found.append(sample.template)
            wanted.append(reference.encode(reference.chips(image, [sample.box]))[0])
    empty = np.empty((0, model.template_size), np.float32)
    return Both(
        tuple(kept), np.stack(wanted) if kept else empty, np.stack(found) if kept else empty
    )


def figures(genuine: NDArray[np.floating], impostor: NDArray[np.floating]) -> dict[str, Any]:
    """Best balanced accuracy, EER, and TAR at the FAR at which ten impostors match."""
    best = metrics.balanced_threshold(genuine, impostor)
    right = metrics.match_rate(genuine, best) + 1 - metrics.match_rate(impostor, best)
    return {
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "accuracy": right / 2,
        "eer": metrics.equal_error_rate(genuine, impostor),
        "tar_at_far": {
            far: metrics.tar_at_far(genuine, impostor, float(far))
            for far in FARS
            if float(far) * len(impostor) >= _LEAST_FALSE_MATCHES
        },
    }


def compare_people(
    both: Both, people: Sequence[str], model: FaceModel, reference: FaceModel
) -> dict[str, Any]:
    """Figures of both models on every pair of faces, and the scores' histogram."""
    told: dict[str, Any] = {"protocol": "all pairs"}
    sides = {"float32": (both.wanted, reference), "converted": (both.found, model)}
    for side, (templates, scorer) in sides.items():
        told[side] = figures(*thresholds.all_pairs(templates, people, scorer.compare))
    return told


def compare_pairs(
    path: Path, pictures: Pictures, both: Both, model: FaceModel, reference: FaceModel
) -> dict[str, Any]:
    """Figures of both models on listed pairs, except those where a picture has no face."""
    pairs = [p for p in read_pairs(path, pictures) if {p.image_a, p.image_b} <= set(both.names)]
    told: dict[str, Any] = {"protocol": "listed pairs"}
    same = np.array([pair.same for pair in pairs])
    sides = {"float32": (both.wanted, reference), "converted": (both.found, model)}
    for side, (templates, scorer) in sides.items():
        rows = dict(zip(both.names, templates, strict=True))
        scores, _ = score_pairs(pairs, rows, scorer)
        told[side] = figures(scores[same], scores[~same])
    return told
