"""Pictures of other people, from any folder or zip file, into the layout of a collection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

import cv2

from oneglance.errors import GalleryError, ImageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.person import person_id_from
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import central, find_faces, load_image
from oneglance.training.data.collect_store import Collection, open_collection

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@dataclass(slots=True)
class Tally:
    """What became of the pictures; `left_out` says why, by the picture's name."""

    kept: int = 0
    known: int = 0
    people: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)


def collect_negatives(
    pictures: Pictures,
    of: Mapping[str, str],
    out: Path,
    detector: FaceDetector,
    model: FaceModel,
    *,
    origin: str,
    several: bool,
    now: Callable[[], datetime],
    advance: Callable[[], None],
) -> Tally:
    """Copy every picture with exactly one face (`several`: at least one) to `out`.

    `of` is the identity of each picture that has one; each of the others is taken to show a
    different person. JPEG and PNG files are copied byte for byte, others become PNG. A second run
    continues the first: pictures that are already there are counted as `known`. `origin` is written
    into each record. Raises ImageError if there is no picture, or one cannot be written.
    """
    if not pictures.names:
        raise ImageError(
            "there are no pictures in it",
            where=str(pictures.source),
            fix="name a folder or zip file that holds JPEG or PNG files",
        )
    ids = _ids(set(of.values()))
    collections: dict[str, Collection] = {}
    tally = Tally()
    for name in pictures.names:
        try:
            data = pictures.read(name)
            image = load_image(data)
        except ImageError as error:
            tally.left_out[name] = error.what
            advance()
            continue
        boxes = find_faces(image, detector, model)
        box = central(image, boxes)
        if box is None or (len(boxes) > 1 and not several):
            tally.left_out[name] = "no face" if box is None else f"{len(boxes)} faces"
            advance()
            continue
        encoded, suffix = _encoded(data, image)
        sha256 = hashlib.sha256(encoded).hexdigest()
        person = of.get(name, "")
        person_id = ids[person] if person else f"unknown-{sha256[:16]}"
        if person_id not in collections:
            about = {
                "name": person or None,
                "consent_at": None,
                "origin": origin,
                "begun_at": now().isoformat(timespec="seconds"),
            }
            collections[person_id] = open_collection(out, person_id, about)
        collection = collections[person_id]
        tally.people.add(person_id)
        if sha256 in collection.sha256s:
            tally.known += 1
        else:
            facts = {
                "step": "negative",
                "source": pictures.source.name,
                "source_file": name,
                "origin": origin,
                "faces": len(boxes),
                "box_px": [round(v, 1) for v in (box.x, box.y, box.width, box.height)],
            }
            collection.add("negative", encoded, suffix, now(), facts)
            tally.kept += 1
        advance()
    return tally


def _encoded(data: bytes, image: cv2.typing.MatLike) -> tuple[bytes, str]:
    if data.startswith(_JPEG):
        return data, "jpg"
    if data.startswith(_PNG):
        return data, "png"
    return cv2.imencode(".png", image)[1].tobytes(), "png"


def _ids(people: set[str]) -> dict[str, str]:
    """An id for each name; names whose ids would collide or be empty get part of their hash."""
    plain = {person: _plain_id(person) for person in people}
    taken = list(plain.values())
    return {
        person: person_id if person_id and taken.count(person_id) == 1 else _hashed(person)
        for person, person_id in plain.items()
    }


def _plain_id(person: str) -> str:
    try:
        return person_id_from(PurePosixPath(person).name)
    except GalleryError:
        return ""


def _hashed(person: str) -> str:
    digest = hashlib.sha256(person.encode()).hexdigest()[:12]
    stem = _plain_id(person)[:40] or "person"
    return f"{stem}-{digest}"
