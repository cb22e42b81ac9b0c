"""Join several conversions of one network in one model folder, as its variants."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.folder import move_folder, update_manifest, write_model_folder
from oneglance.errors import ConfigError, ImageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.document import VARIANT_PARTS, About, Interchange
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.interchange import Side, measure, objections
from oneglance.faces.model.manifest import Manifest, read_manifest, verified_bytes
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.data.datasets import LabelledPicture, labelled_pictures


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of one variant; `objections` say why its templates cannot be mixed in."""

    variant: str
    interchange: Interchange | None
    objections: list[str]


def join_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    images: Path,
    people: Path,
    folds: Collection[int] | None,
    default: str | None = None,
) -> list[Joined]:
    """Put the default variants of several folders into one; the first one is the reference.

    The first gives name, licences and the id of the templates. Each of the others is compared with
    it on pictures of people whom training never saw; if that is good enough (`objections` in
    faces/model/interchange.py), a gallery survives a switch between the two. The first's `common`
    is kept if it holds for all of them. `default` is what is loaded if nobody chooses, by default
    the first. The folder appears whole or not at all. Raises ConfigError for folders that do not
    belong together, ModelError for a damaged one, ImageError for pictures that cannot measure
    anything.
    """
    if out.exists():
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    manifests = [read_manifest(folder) for folder in folders]
    first = manifests[0]
    _check(folders, manifests, default)
    about = first.document.model_dump(mode="json", include=set(About.model_fields))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "model"
        read = list(zip(folders, manifests, strict=True))
        write_model_folder(
            made,
            name=first.name,
            encoder={m.variant: verified_bytes(folder, m.encoder) for folder, m in read},
            aligner={m.variant: verified_bytes(folder, m.aligner) for folder, m in read},
            template_size=first.template_size,
            passes=first.passes,
            precision=first.variant,
            about=about,
            default=default,
        )
        for manifest in manifests:
            told = manifest.document.variants[manifest.variant].model_dump(mode="json")
            parts = {k: told[k] for k in VARIANT_PARTS - {"interchange"}}
            update_manifest(made, parts, manifest.variant)
        joined = _measured(made, manifests, labelled_pictures(images, people, folds))
        for row in joined:
            if not row.objections and row.interchange is not None:
                put: dict[str, Any] = {"interchange": row.interchange.model_dump(mode="json")}
                update_manifest(made, put, row.variant)
        of_doors = first.document.model_dump(
            mode="json", include={"common", "common_stretch"}, exclude_none=True
        )
        if of_doors and not any(row.objections for row in joined):
            # Directions among one encoder's templates: they mean nothing for another's.
            update_manifest(made, of_doors)
        move_folder(made, out)
    return joined


def _check(folders: Sequence[Path], manifests: Sequence[Manifest], default: str | None) -> None:
    first, names = manifests[0], [manifest.variant for manifest in manifests]
    for folder, manifest in zip(folders, manifests, strict=True):
        if names.count(manifest.variant) > 1:
            raise ConfigError(
                f"two of the folders hold a variant {manifest.variant}",
                where=str(folder),
                fix="name each conversion once, e.g. one of float32 and one of int8",
            )
        if (manifest.template_size, dict(manifest.cutout)) != (
            first.template_size,
            dict(first.cutout),
        ):
            raise ConfigError(
                "its templates or its cut-out are of another kind than the first folder's",
                where=str(folder),
                fix="join conversions of one and the same network",
            )
    if default is not None and default not in names:
        raise ConfigError(f"none of the folders holds a variant {default}", where="--default")


def _measured(
    folder: Path, manifests: Sequence[Manifest], pictures: Sequence[LabelledPicture]
) -> list[Joined]:
    models = [load_model(folder, variant=manifest.variant) for manifest in manifests]
    people, templates = _templates(models, pictures)
    sides = [
        Side(rows, model.compare, model.manifest.thresholds)
        for model, rows in zip(models, templates, strict=True)
    ]
    joined = []
    for model, side in zip(models[1:], sides[1:], strict=True):
        try:
            found = measure(side, sides[0], people)
        except ValueError as error:
            joined.append(Joined(model.variant, None, [str(error)]))
        else:
            joined.append(Joined(model.variant, found, objections(found)))
    return joined


def _templates(
    models: Sequence[FaceModel], pictures: Sequence[LabelledPicture]
) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Whose face each picture shows, and its template by each model, where all found one."""
    detector = FaceDetector()
    cutters = {model.manifest.aligner.sha256: model for model in models}
    people: list[str] = []
    rows: list[list[NDArray[np.float32]]] = [[] for _ in models]
    for picture in pictures:
        image = load_image(picture.pictures.read(picture.name))
        chips = {}
        for digest, cutter in cutters.items():
            sample = read_central_face(image, detector, cutter)
            if sample is not None:
                chips[digest] = sample.chip[None]
        if len(chips) == len(cutters):
            people.append(picture.person)
            for kept, model in zip(rows, models, strict=True):
                kept.append(model.encode(chips[model.manifest.aligner.sha256])[0])
    if not 2 <= len(set(people)) < len(people):
        raise ImageError(
            f"{len(people)} faces of {len(set(people))} people cannot compare the variants",
            fix="name two people at least, and two pictures at least of one of them",
        )
    return people, [np.stack(kept) for kept in rows]
