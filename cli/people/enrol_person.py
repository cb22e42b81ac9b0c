"""What `oneglance people enrol` does once its options are read: look, check, store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.cli.audit_log import open_audit, open_gallery
from oneglance.cli.camera_source import camera_config
from oneglance.cli.gallery_fits import gallery_fits
from oneglance.cli.people.enrol_faces import Shot, from_camera, from_photos
from oneglance.config import Config
from oneglance.daemon.gallery.logged import logged
from oneglance.daemon.sight.quality import check_quality, remarks
from oneglance.daemon.visit.decide import UnsupportedTargetError
from oneglance.errors import ModelError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.enrolment import (
    AGREEMENT_FMR,
    LOOKALIKE_FMR,
    check_agreement,
    check_lookalike,
    check_own,
)
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import (
    Person,
    Snapshot,
    UnfitTemplatesError,
    person_id_from,
)
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.setup import load_configured


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to take templates from: `photos`, or `frames` pictures from the camera `source`.

    With `force`, even if they are poor, disagree, or look like somebody else.
    """

    photos: Sequence[Path]
    source: str | int
    frames: int
    force: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Who should be enrolled, from which pictures."""

    name: str
    person_id: str | None
    consent_at: datetime | None
    groups: Sequence[str]
    valid_from: datetime | None
    expires_at: datetime | None
    pictures: Pictures


def enrol_person(wish: Wish, config: Config, say: Callable[[str], None]) -> Person:
    """Take the pictures, check them, and store their templates; nothing is stored on an error."""
    # Before anybody poses: a missing key is known at once.
    load_key(config.gallery.key_file)
    model = load_configured(config)
    templates = _templates(wish.pictures, config, model, say)
    with open_gallery(config, create=True) as gallery:
        enrolled = _enrolled(gallery, model)
        if not wish.pictures.force:
            scores = model.compare(templates, enrolled.templates)
            check_lookalike(scores, enrolled.person_ids, model.threshold(LOOKALIKE_FMR))
        person_id = wish.person_id or person_id_from(wish.name)
        said = _said(wish.pictures, model, templates)
        with logged(open_audit(config), gallery, "enrolment", said, person_id):
            person = gallery.enrol(
                wish.name,
                templates,
                model.model_id,
                person_id=person_id,
                consent_at=wish.consent_at,
                groups=wish.groups,
                valid_from=wish.valid_from,
                expires_at=wish.expires_at,
                source=said["source"],
            )
        _warn_if_too_many(gallery, config, model, say)
    return person


def add_pictures(
    person_id: str, pictures: Pictures, config: Config, say: Callable[[str], None]
) -> Person:
    """Store more templates of somebody who is enrolled; nothing is stored on an error.

    They must look like that person, and like nobody else.
    """
    with open_gallery(config) as gallery:
        gallery.show(person_id)
        model = load_configured(config)
        templates = _templates(pictures, config, model, say)
        enrolled = _enrolled(gallery, model)
        if not pictures.force:
            scores = model.compare(templates, enrolled.templates)
            own = np.array([owner == person_id for owner in enrolled.person_ids], bool)
            others = [owner for owner in enrolled.person_ids if owner != person_id]
            check_own(scores[:, own], person_id, model.threshold(AGREEMENT_FMR))
            check_lookalike(scores[:, ~own], others, model.threshold(LOOKALIKE_FMR))
        said = _said(pictures, model, templates)
        with logged(open_audit(config), gallery, "enrolment", said | {"added": True}, person_id):
            person = gallery.add_templates(
                person_id, templates, model.model_id, source=said["source"]
            )
        _warn_if_too_many(gallery, config, model, say)
    return person


def _templates(
    pictures: Pictures, config: Config, model: FaceModel, say: Callable[[str], None]
) -> NDArray[np.float32]:
    """One template per picture, float32 (k, d); prints what is less than good about them."""
    shots = _shots(pictures, config, model, say)
    for shot in shots:
        for remark in remarks(shot.label, shot.turned_deg, shot.quality):
            say(remark)
    templates = np.stack([shot.template for shot in shots])
    if not pictures.force:
        check_quality([(shot.label, shot.quality) for shot in shots])
        scores = model.compare(templates, templates)
        check_agreement(scores, [shot.label for shot in shots], model.threshold(AGREEMENT_FMR))
    return templates


def _enrolled(gallery: Gallery, model: FaceModel) -> Snapshot:
    try:
        return gallery.snapshot(
            model.model_id, datetime.now(UTC), template_size=model.template_size
        )
    except UnfitTemplatesError as error:
        raise error.naming() from None


def _warn_if_too_many(
    gallery: Gallery, config: Config, model: FaceModel, say: Callable[[str], None]
) -> None:
    """Say so where the daemon will let nobody in from now on: what is stored stays stored."""
    try:
        gallery_fits(config, model, _enrolled(gallery, model))
    except (UnsupportedTargetError, ModelError) as error:
        say(f"warning: from now on nobody is let in: {error}")


def _said(pictures: Pictures, model: FaceModel, templates: NDArray[np.float32]) -> dict[str, Any]:
    source = "photo" if pictures.photos else "camera"
    return {"model_id": model.model_id, "templates": len(templates), "source": source}


def _shots(
    pictures: Pictures, config: Config, model: FaceModel, say: Callable[[str], None]
) -> list[Shot]:
    detector, min_face_px = FaceDetector(), config.decision.min_face_px
    if pictures.photos:
        return from_photos(pictures.photos, detector, model, min_face_px=min_face_px)
    return from_camera(
        camera_config(pictures.source, config.camera),
        pictures.frames,
        detector,
        model,
        min_face_px=min_face_px,
        say=say,
    )
