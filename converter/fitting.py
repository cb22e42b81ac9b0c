"""Thresholds of a converted model, fitted with its own files on the door's own path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError
from oneglance.faces.evaluation import metrics, thresholds
from oneglance.faces.evaluation.readings import read_templates
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.training.data.datasets import labelled_pictures


def fit_thresholds(
    model: FaceModel, images: Path, people: Path, folds: Collection[int] | None
) -> dict[str, Any]:
    """Fit to every pair of the pictures of people whom the training never saw.

    Returns the manifest's `thresholds`: by false match rate, and the one with the fewest errors
    where genuine and impostor pairs weigh the same. Raises ImageError if the faces found make no
    genuine or no impostor pair, ConfigError for a list that does not fit.
    """
    listed = labelled_pictures(images, people, folds)
    person = {picture.name: picture.person for picture in listed}
    templates = read_templates(
        sorted(person), listed[0].pictures, FaceDetector(), model, lambda: None
    )
    sources = {"images": images.name, "people": people.name}
    return fit_to(templates, person, model, sources, folds, people)


def fit_to(
    templates: Mapping[str, NDArray[np.float32]],
    person: Mapping[str, str],
    model: FaceModel,
    sources: Mapping[str, str],
    folds: Collection[int] | None,
    where: Path,
) -> dict[str, Any]:
    """The same from templates by picture; `person` names who is on each picture, also on those
    without a face. Raises ImageError, naming `where`, for too few faces.
    """
    names = list(templates)
    identities = {person[name] for name in names}
    if not 2 <= len(identities) < len(names):
        raise ImageError(
            f"{len(names)} faces of {len(identities)} people make no "
            + ("impostor pair" if len(identities) < 2 else "genuine pair"),
            where=str(where),
            fix="name two people at least, and two pictures at least of one of them",
        )
    whose = [person[name] for name in names]
    genuine, impostor = thresholds.all_pairs(
        np.stack([templates[name] for name in names]), whose, model.compare
    )
    return {
        **thresholds.fit(genuine, impostor, whose),
        "accuracy": {"threshold": metrics.balanced_threshold(genuine, impostor)},
        "impostors": _spread(impostor),
        "fitted_on": {
            **sources,
            "folds": None if folds is None else sorted(folds),
            "pictures": len(person),
            "faces": len(names),
            "identities": len(set(person.values())),
        },
    }


def _spread(impostor: NDArray[np.float32]) -> dict[str, float] | None:
    """What a door's own strangers are held against; None where all scored the same."""
    sd = float(impostor.std(dtype=np.float64))
    return {"mean": float(impostor.mean(dtype=np.float64)), "sd": sd} if sd > 0 else None
