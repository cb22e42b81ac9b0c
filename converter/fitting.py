"""Thresholds of a converted model, fitted with its own files on the door's own processing path."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError
from oneglance.faces.evaluation import metrics, thresholds
from oneglance.faces.evaluation.readings import read_templates
from oneglance.faces.evaluation.strangers import (
    STRICT_TARGETS,
    SamePeople,
    collect,
    highest_rate,
    strict_rows,
)
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.training.data.datasets import labelled_pictures


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """Templates float32 (n, d) of `people` (n,), from pictures called `source`."""

    source: str
    templates: NDArray[np.float32]
    people: Sequence[str]

    def told(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "images": self.source,
            "faces": len(self.people),
            "identities": len(set(self.people)),
        }


def read_faces(images: Path, people: Path, model: FaceModel) -> LabelledFaces:
    """The central face of each labelled picture."""
    listed = labelled_pictures(images, people)
    whose = {picture.name: picture.person for picture in listed}
    found = read_templates(sorted(whose), listed[0].pictures, FaceDetector(), model, lambda: None)
    return LabelledFaces(
        images.name, np.stack(list(found.values())), [whose[name] for name in found]
    )


def fit_thresholds(
    model: FaceModel, images: Path, people: Path, folds: Collection[int] | None
) -> dict[str, Any]:
    """Fit to every pair of pictures of people whom training never saw.

    Returns the manifest's `thresholds`: by false match rate, and the one with the fewest errors if
    genuine and impostor pairs weigh the same. Raises ImageError if the faces found make no genuine
    or no impostor pairs, ConfigError for a list that does not fit.
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
    more: Sequence[LabelledFaces] = (),
    same: SamePeople | None = None,
) -> dict[str, Any]:
    """The same from templates by picture; `person` says who is in each, even without a face.

    If `more` is given, the strict rates come from the pairs within each of its sets, which may hold
    people whom training saw; names known to be the `same` people are left out there. Raises
    ImageError, naming `where`, for too few faces.
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
    fitted = thresholds.fit(genuine, impostor, whose)
    fitted["by_fmr"] = with_strict_rows(fitted["by_fmr"], genuine, more, model, same)
    return {
        **fitted,
        "accuracy": {"threshold": metrics.balanced_threshold(genuine, impostor)},
        "impostors": _spread(impostor),
        "fitted_on": {
            **sources,
            "folds": None if folds is None else sorted(folds),
            "pictures": len(person),
            "faces": len(names),
            "identities": len(set(person.values())),
            **({"strict_rates": [faces.told() for faces in more]} if more else {}),
        },
    }


def _spread(impostor: NDArray[np.float32]) -> dict[str, float] | None:
    """What a door's own strangers are compared with; None if all scored the same."""
    sd = float(impostor.std(dtype=np.float64))
    return {"mean": float(impostor.mean(dtype=np.float64)), "sd": sd} if sd > 0 else None


def with_strict_rows(
    by_fmr: dict[str, Any],
    genuine: NDArray[np.float32],
    more: Sequence[LabelledFaces],
    model: FaceModel,
    same: SamePeople | None,
) -> dict[str, Any]:
    """The rows of a manifest, including those that only the many pairs within `more` can show.

    Rows of 1e-3 and above also get the highest rate found in any of `more`, where strangers may be
    more alike than those the rows were fitted on. A strict row that is not stricter than the one
    before, in threshold and bound, is left out.
    """
    laxest = by_fmr.get("1e-3")
    if laxest is None or not more:
        return by_fmr
    sets = [
        collect(faces.templates, faces.people, model.compare, laxest["threshold"], same)
        for faces in more
    ]
    rows = {
        rate: {**row, "fmr_elsewhere": highest_rate(sets, row["threshold"])}
        if row["threshold"] >= laxest["threshold"]
        else row
        for rate, row in by_fmr.items()
        if rate not in STRICT_TARGETS
    }
    for rate, row in strict_rows(sets, genuine).items():
        last = list(rows.values())[-1]
        if row["threshold"] > last["threshold"] and _upper(row) < _upper(last):
            rows[rate] = row
    return rows


def _upper(row: Mapping[str, Any]) -> float:
    return max(
        float(row["fmr_95"][1]), float(row["fmr_95_people"][1]), float(row.get("fmr_elsewhere", 0))
    )
