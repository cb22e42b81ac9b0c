"""People as they travel from the house's gallery to a door's: some in each part. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.person import (
    Person,
    checked_groups,
    checked_name,
    checked_person_id,
    checked_templates,
    checked_validity,
    utc,
)
from oneglance.faces.gallery.rows import (
    Record,
    TemplateNote,
    from_text,
    from_text_or_none,
    said_of,
    to_text,
)

Templates = NDArray[np.float32]
# More pictures of one person are no enrolment.
MAX_TEMPLATES = 64
ID_BYTES = 16
# What a door is told of a part, in its message, costs this many bytes; see `how_many_parts`.
TOLD_BYTES = 86


def how_many_parts(size: int, most: int) -> int:
    """Into how many parts, a power of 2, to divide people of so many bytes in all.

    A change of one of them costs each door its message, which grows with the parts, and one part,
    which shrinks: together least when both are the same.
    """
    parts = 1
    while parts < most and TOLD_BYTES * parts * parts < size:
        parts *= 2
    return parts


def shareable(
    contents: Iterable[tuple[Record, Templates]], groups: frozenset[str] | None, now: datetime
) -> list[tuple[Record, Templates]]:
    """Whom a door is told of: who is in one of these groups (None: everybody), and not expired."""
    return [
        (record, rows)
        for record, rows in contents
        if (groups is None or groups & record.person.groups)
        and (record.person.expires_at is None or record.person.expires_at > now)
    ]


def size_of(people: Iterable[tuple[Record, Templates]]) -> int:
    """About how many bytes they take."""
    return sum(400 + rows.nbytes for _, rows in people)


def write_part(people: Sequence[tuple[Record, Templates]]) -> bytes:
    """Some people: a line of JSON, then all their templates as little-endian float32 values."""
    said = [said_of(record) for record, _ in people]
    size = people[0][1].shape[1] if people else 0
    head = {"people": said, "size": size}
    line = json.dumps(head, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return line + b"\n" + b"".join(rows.astype("<f4").tobytes() for _, rows in people)


def read_part(
    data: bytes, model_id: str, template_size: int, belongs: Callable[[str], bool]
) -> list[tuple[Record, Templates]]:
    """The people again, as shared ones: all of one model, and each one who `belongs` here.

    Raises GalleryError if anything is not as a gallery would take it.
    """
    line, _, values = data.partition(b"\n")
    try:
        head = json.loads(line)
        records = [_record(said) for said in head["people"]]
        counts = [len(record.templates) for record in records]
        size = int(head["size"]) if records else template_size
        if size != template_size:
            raise GalleryError(f"its templates have {size} numbers, not {template_size}")
        rows = np.frombuffer(values, "<f4").astype(np.float32).reshape(sum(counts), template_size)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError):
        # ArithmeticError: a size of Infinity, or a date that UTC has no year for.
        raise GalleryError("a part of the shared gallery is malformed") from None
    ids = [record.person.person_id for record in records]
    if len(set(ids)) != len(ids) or not all(belongs(person_id) for person_id in ids):
        raise GalleryError("a part of the shared gallery has somebody who does not belong there")
    if any({note.model_id for note in record.templates} != {model_id} for record in records):
        raise GalleryError("a part of the shared gallery has templates of another model")
    ends = np.cumsum([0, *counts])
    return [
        (record, checked_templates(rows[ends[at] : ends[at + 1]]))
        for at, record in enumerate(records)
    ]


def fingerprint(records: Iterable[Record]) -> str:
    """Of all who are shared among these, and what is said of them: SHA-256 in hex."""
    said = [said_of(record) for record in records if record.person.shared]
    text = json.dumps(sorted(said, key=lambda one: str(one["id"])), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _record(said: dict[str, Any]) -> Record:
    if not 0 < len(said["templates"]) <= MAX_TEMPLATES:
        raise ValueError("no templates, or too many")
    notes = tuple(
        TemplateNote(bytes.fromhex(template_id), str(model_id), _time(created_at), str(source))
        for template_id, model_id, created_at, source in said["templates"]
    )
    if any(len(note.template_id) != ID_BYTES for note in notes):
        raise ValueError("no template's id")
    valid_from, expires_at = checked_validity(
        from_text_or_none(said["valid_from"]), from_text_or_none(said["expires_at"])
    )
    person = Person(
        checked_person_id(said["id"]),
        checked_name(said["name"]),
        utc(from_text(said["created_at"]), "the date of enrolment"),
        utc(from_text(said["consent_at"]), "the date of consent"),
        expires_at,
        len(notes),
        (),
        checked_groups(said["groups"]),
        valid_from,
        shared=True,
    )
    return Record.of(person, notes)


def _time(text: str) -> str:
    return to_text(from_text(text))
