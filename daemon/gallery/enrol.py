"""Enrol a person from photographs sent in a command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from oneglance.audit.generations import Generations
from oneglance.config import Config
from oneglance.daemon.gallery.logged import Log, logged
from oneglance.daemon.sight.quality import check_quality, remarks, still_quality
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.enrolment import (
    AGREEMENT_FMR,
    LOOKALIKE_FMR,
    check_agreement,
    check_lookalike,
)
from oneglance.faces.gallery.person import Person, UnfitTemplatesError, person_id_from
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.setup import load_configured
from oneglance.faces.reader import FaceSample, load_image, read_one_face_turned


def enrol_pictures(
    config: Config,
    name: str,
    person_id: str | None,
    photos: Sequence[bytes],
    log: Log,
    *,
    consent: str = "",
) -> tuple[Person, list[str]]:
    """Store the templates of photographs (JPEG or PNG files) that show one person and nobody else.

    Also returns what could be better about them. `consent` is as in `store`.

    It loads a model of its own, as the one that watches the door belongs to another thread. Raises
    ImageError or GalleryError, with nothing stored, if they do not show exactly one new person,
    AuditError if the enrolment cannot be logged.
    """
    load_key(config.gallery.key_file)
    model = load_configured(config)
    detector = FaceDetector()
    labels = [f"photo {number}" for number in range(1, len(photos) + 1)]
    read = [
        read_one_face_turned(load_image(photo), detector, model, where=label)
        for photo, label in zip(photos, labels, strict=True)
    ]
    samples = [sample for sample, _ in read]
    least_px = config.decision.min_face_px
    judged = [still_quality(s.chip, s.points, s.box.width, least_px) for s in samples]
    check_quality(list(zip(labels, judged, strict=True)))
    said = [
        remark
        for label, (_, turned_deg), quality in zip(labels, read, judged, strict=True)
        for remark in remarks(label, turned_deg, quality)
    ]
    person = store(
        *(config, model, name, person_id, samples, labels, log), source="photo", consent=consent
    )
    return person, said


def store(
    config: Config,
    model: FaceModel,
    name: str,
    person_id: str | None,
    samples: Sequence[FaceSample],
    labels: Sequence[str],
    log: Log,
    *,
    source: str,
    consent: str = "",
) -> Person:
    """Store the templates of looks at one new person; `labels` names the looks.

    `consent` is the SHA-256, in hex, of the text that was agreed to, if one was shown. Raises
    GalleryError, with nothing stored, if they do not show one new person, AuditError if the
    enrolment cannot be logged.
    """
    templates = np.stack([sample.template for sample in samples])
    check_agreement(
        model.compare(templates, templates), list(labels), model.threshold(AGREEMENT_FMR)
    )
    now = datetime.now(UTC)
    with open_configured(config.gallery, create=True, log=Generations(log)) as gallery:
        try:
            enrolled = gallery.snapshot(model.model_id, now, template_size=model.template_size)
        except UnfitTemplatesError as error:
            raise error.naming() from None
        scores = model.compare(templates, enrolled.templates)
        check_lookalike(scores, enrolled.person_ids, model.threshold(LOOKALIKE_FMR))
        person_id = person_id or person_id_from(name)
        said = {"model_id": model.model_id, "templates": len(templates), "source": source}
        if consent:
            said["consent"] = consent
        with logged(log, gallery, "enrolment", said, person_id):
            return gallery.enrol(
                name,
                templates,
                model.model_id,
                person_id=person_id,
                consent_at=now,
                source=source,
            )
