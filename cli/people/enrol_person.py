"""What `oneglance people enrol` does once it knows what is wanted: look, check, store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from oneglance.cli.audit_log import open_audit, open_gallery
from oneglance.cli.camera_source import camera_config
from oneglance.cli.people.enrol_faces import Shot, from_camera, from_photos
from oneglance.config import Config
from oneglance.daemon.gallery.logged import logged
from oneglance.daemon.sight.quality import check_quality
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.enrolment import (
    AGREEMENT_FMR,
    LOOKALIKE_FMR,
    check_agreement,
    check_lookalike,
)
from oneglance.faces.gallery.person import Person, UnfitTemplatesError, person_id_from
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.setup import load_configured


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is to be enrolled, from `photos`, or from `frames` pictures of the camera `source`."""

    name: str
    person_id: str | None
    consent_at: datetime | None
    groups: Sequence[str]
    valid_from: datetime | None
    expires_at: datetime | None
    photos: Sequence[Path]
    source: str | int
    frames: int
    force: bool


def enrol_person(wish: Wish, config: Config, say: Callable[[str], None]) -> Person:
    """Take the pictures, check them, and store their templates; nothing is stored on an error."""
    # Before anybody poses: a missing key is known at once.
    load_key(config.gallery.key_file)
    model = load_configured(config)
    shots = _shots(wish, config, model, say)
    templates = np.stack([shot.template for shot in shots])
    for shot in shots:
        if shot.turned_deg:
            say(f"{shot.label}: turned by {shot.turned_deg} degrees, as no face was upright")
        if shot.quality.fault:
            say(
                f"{shot.label}: the face is {shot.quality.fault} (quality {shot.quality.score} of"
                " 100); the door will know this person less often"
            )
    if not wish.force:
        check_quality([(shot.label, shot.quality) for shot in shots])
        scores = model.compare(templates, templates)
        check_agreement(scores, [shot.label for shot in shots], model.threshold(AGREEMENT_FMR))
    with open_gallery(config, create=True) as gallery:
        try:
            enrolled = gallery.snapshot(
                model.model_id, datetime.now(UTC), template_size=model.template_size
            )
        except UnfitTemplatesError as error:
            raise error.naming() from None
        if not wish.force:
            scores = model.compare(templates, enrolled.templates)
            check_lookalike(scores, enrolled.person_ids, model.threshold(LOOKALIKE_FMR))
        person_id = wish.person_id or person_id_from(wish.name)
        source = "photo" if wish.photos else "camera"
        said = {"model_id": model.model_id, "templates": len(templates), "source": source}
        with logged(open_audit(config), gallery, "enrolment", said, person_id):
            return gallery.enrol(
                wish.name,
                templates,
                model.model_id,
                person_id=person_id,
                consent_at=wish.consent_at,
                groups=wish.groups,
                valid_from=wish.valid_from,
                expires_at=wish.expires_at,
                source=source,
            )


def _shots(wish: Wish, config: Config, model: FaceModel, say: Callable[[str], None]) -> list[Shot]:
    detector = FaceDetector()
    if wish.photos:
        return from_photos(wish.photos, detector, model, min_face_px=config.decision.min_face_px)
    return from_camera(
        camera_config(wish.source, config.camera),
        wish.frames,
        detector,
        model,
        min_face_px=config.decision.min_face_px,
        say=say,
    )
