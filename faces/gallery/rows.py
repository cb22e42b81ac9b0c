"""The rows of the gallery: people and templates, each sealed to its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.person import Person, UnfitTemplatesError
from oneglance.faces.gallery.vault import TemplateKey


# A tuple, as a gallery has thousands of them, and is read while visitors wait.
class TemplateNote(NamedTuple):
    """What is known of one stored template: its row, the model that made it, when, from what."""

    template_id: bytes
    model_id: str
    created_at: str
    source: str


@dataclass(frozen=True, slots=True)
class Record:
    """All that one row says of a person; the templates stand in rows of their own."""

    person: Person
    templates: tuple[TemplateNote, ...]

    @classmethod
    def of(cls, person: Person, templates: Iterable[TemplateNote]) -> Record:
        """The record of a person who has these templates."""
        notes = tuple(templates)
        models = tuple(sorted({note.model_id for note in notes}))
        return cls(
            Person(
                person.person_id,
                person.name,
                person.created_at,
                person.consent_at,
                person.expires_at,
                len(notes),
                models,
                person.groups,
                person.valid_from,
                person.shared,
            ),
            notes,
        )


def to_text(moment: datetime) -> str:
    """UTC, always with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_text_or_none(moment: datetime | None) -> str | None:
    """As `to_text`; None stays None."""
    return None if moment is None else to_text(moment)


def from_text(text: str) -> datetime:
    """What `to_text` wrote; ValueError for anything but a time with a time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def from_text_or_none(text: str | None) -> datetime | None:
    """As `from_text`; None stays None."""
    return None if text is None else from_text(text)


def said_of(record: Record) -> dict[str, Any]:
    """All that is kept or shared about a person but the templates themselves, JSON-ready."""
    person = record.person
    return {
        "id": person.person_id,
        "name": person.name,
        "created_at": to_text(person.created_at),
        "consent_at": to_text(person.consent_at),
        "valid_from": to_text_or_none(person.valid_from),
        "expires_at": to_text_or_none(person.expires_at),
        "groups": sorted(person.groups),
        "templates": [
            [note.template_id.hex(), note.model_id, note.created_at, note.source]
            for note in record.templates
        ],
    }


def seal_record(key: TemplateKey, row_key: bytes, record: Record) -> bytes:
    """Seal so that it opens only in the row `row_key`."""
    said = said_of(record)
    if record.person.shared:
        said["shared"] = True
    return key.seal(json.dumps(said, ensure_ascii=False).encode(), b"person" + row_key)


def open_record(key: TemplateKey, row_key: bytes, sealed: bytes) -> Record:
    """The record again; ValueError, TypeError or LookupError if it is not this row's."""
    try:
        said = json.loads(key.open(sealed, b"person" + row_key))
    except GalleryError as error:
        raise ValueError("a person's record was changed or moved") from error
    notes = tuple(
        TemplateNote(bytes.fromhex(template_id), model_id, created_at, source)
        for template_id, model_id, created_at, source in said["templates"]
    )
    return Record(
        Person(
            said["id"],
            said["name"],
            from_text(said["created_at"]),
            from_text(said["consent_at"]),
            from_text_or_none(said["expires_at"]),
            len(notes),
            tuple(sorted({note.model_id for note in notes})),
            frozenset(said["groups"]),
            from_text_or_none(said["valid_from"]),
            said.get("shared", False) is True,
        ),
        notes,
    )


def template_context(row_key: bytes, template_id: bytes) -> bytes:
    """What a template is sealed to: its own row, and that of its person."""
    return b"template" + row_key + template_id


def seal_template(key: TemplateKey, template: NDArray[np.float32], context: bytes) -> bytes:
    """Seal float32 (d,) so that it opens only under the same context."""
    return key.seal(template.astype("<f4").tobytes(), context)


def open_template(key: TemplateKey, sealed: bytes, context: bytes) -> NDArray[np.float32]:
    """The template float32 (d,) again; GalleryError if it was changed or moved."""
    return np.frombuffer(key.open(sealed, context), "<f4").astype(np.float32, copy=False)


def tampered_template(person_id: str, where: str) -> UnfitTemplatesError:
    """The error that a template of this person is not what was stored, or not where it was."""
    return UnfitTemplatesError(
        "a template was tampered with, or is damaged",
        [person_id],
        where=where,
        fix="restore a backup, or delete this person and enrol again",
    )


class Unsealed:
    """Templates of one gallery that were unsealed before, so that reading it again is cheap.

    A template is known by its place and by its sealed bytes: one that was changed since is
    unsealed, and so checked, again. It keeps what the last gallery read held, no more.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, NDArray[np.float32]] = {}
        self._next: dict[bytes, NDArray[np.float32]] = {}

    def row(self, key: TemplateKey, sealed: bytes, context: bytes) -> NDArray[np.float32]:
        """The template float32 (d,); raises as `open_template` does."""
        mark = hashlib.sha256(context + sealed).digest()
        row = self._rows.get(mark)
        if row is None:
            row = open_template(key, sealed, context)
        self._next[mark] = row
        return row

    def keep(self, matrix: NDArray[np.float32]) -> None:
        """The gallery was read to its end: its rows, now in `matrix`, are all that is known."""
        self._rows = {mark: row for mark, row in zip(self._next, matrix, strict=True)}  # noqa: C416
        self._next = {}

    def forget(self) -> None:
        """Forget everything."""
        self._rows, self._next = {}, {}
