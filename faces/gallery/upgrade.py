"""Converts a gallery of version 1, which had names and dates in the clear, to today's form."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import erase_old_pages, reading
from oneglance.faces.gallery.person import (
    Person,
    checked_name,
    checked_person_id,
    checked_templates,
)
from oneglance.faces.gallery.register import Draft, laid_out, set_erased
from oneglance.faces.gallery.rows import (
    Record,
    TemplateNote,
    from_text,
    from_text_or_none,
    seal_template,
    tampered_template,
    template_context,
)
from oneglance.faces.gallery.schema import schema_version, transaction
from oneglance.faces.gallery.vault import TemplateKey

_Template = tuple[TemplateNote, NDArray[np.float32]]


def upgrade_from_1(
    database: sqlite3.Connection, path: Path, key: TemplateKey, generation: int
) -> None:
    """Seal everybody anew, in one transaction, and erase what stood there in the clear.

    If another program still reads old pages, `Gallery.erase` has to finish that. Whether a name or
    a date was changed by somebody else, version 1 could not tell.

    Raises GalleryError, with the file as it was, if the key is another, or a template or a value
    is not what version 1 wrote.
    """
    with reading(path), transaction(database):
        # Read under the write lock: another process may have been faster.
        if schema_version(database) != 1:
            return
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
        _check_key(meta["key_check"], path, key)
        people = [
            (_person(row), _templates(database, path, row[0], key)) for row in _people(database)
        ]
        for table in ("template", "person", "meta"):
            database.execute(f"DROP TABLE {table}")
        with laid_out(database, path, key, generation) as draft:
            for person, templates in people:
                _store(database, draft, person, templates)
            draft.must_erase()
    with reading(path):
        if erase_old_pages(database):
            set_erased(database)


def _check_key(sealed: object, path: Path, key: TemplateKey) -> None:
    if not isinstance(sealed, bytes):
        raise TypeError("the key check is no BLOB")
    try:
        key.open(sealed, b"key check")
    except GalleryError:
        raise GalleryError(
            "the gallery was made with another key",
            where=str(path),
            fix="name that key as gallery.key_file, or begin a new gallery under this one",
        ) from None


def _people(database: sqlite3.Connection) -> list[tuple[str, str, str, str, str | None]]:
    query = "SELECT id, name, created_at, consent_at, expires_at FROM person ORDER BY id"
    return database.execute(query).fetchall()


def _person(row: tuple[str, str, str, str, str | None]) -> Person:
    person_id, name, created_at, consent_at, expires_at = row
    try:
        checked_person_id(person_id)
        if checked_name(name) != name:
            raise ValueError("a name that version 1 would not have stored")
    except GalleryError:
        raise ValueError("an id or a name that version 1 would not have stored") from None
    dates = (from_text(created_at), from_text(consent_at), from_text_or_none(expires_at))
    return Person(person_id, name, *dates, 0, ())


def _templates(
    database: sqlite3.Connection, path: Path, person_id: str, key: TemplateKey
) -> list[_Template]:
    rows = database.execute(
        "SELECT id, model_id, created_at, source, sealed FROM template"
        " WHERE person_id = ? ORDER BY rowid",
        (person_id,),
    ).fetchall()
    found: list[_Template] = []
    for template_id, model_id, created_at, source, sealed in rows:
        datetime.fromisoformat(created_at)
        parts = (person_id, template_id, model_id)
        context = b"template" + b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
        try:
            values = np.frombuffer(key.open(sealed, context), "<f4")
            (template,) = checked_templates(values[np.newaxis])
        except (GalleryError, ValueError):
            raise tampered_template(person_id, str(path)) from None
        found.append(
            (TemplateNote(bytes.fromhex(template_id), model_id, created_at, source), template)
        )
    return found


def _store(
    database: sqlite3.Connection, draft: Draft, person: Person, templates: list[_Template]
) -> None:
    row_key = draft.put(Record.of(person, (note for note, _ in templates)))
    for note, template in templates:
        context = template_context(row_key, note.template_id)
        database.execute(
            "INSERT INTO template VALUES (?, ?, ?)",
            (note.template_id, row_key, seal_template(draft.data_key, template, context)),
        )
