"""The gallery: who is enrolled, their sealed templates, and what counts right now."""

from __future__ import annotations

import base64
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import connect, erase_old_pages, make, reading, wrapped
from oneglance.faces.gallery.person import (
    Person,
    Snapshot,
    UnfitTemplatesError,
    checked_dates,
    checked_name,
    checked_person_id,
    checked_templates,
    person_id_from,
    utc,
)
from oneglance.faces.gallery.rows import (
    PERSON_QUERY,
    Unsealed,
    from_text,
    person_from_row,
    seal_template,
    to_text,
    to_text_or_none,
    unseal_template,
)
from oneglance.faces.gallery.schema import transaction
from oneglance.faces.gallery.vault import TemplateKey

__all__ = ["Gallery", "Person", "Snapshot"]

_KEY_CHECK = b"oneglance gallery"
_KEY_CHECK_CONTEXT = b"key check"


class Gallery:
    """An open gallery; it belongs to the thread that opened it.

    Several processes may have it open. Every write is one transaction: it happens as a whole or
    not at all, whenever the power goes. All methods raise GalleryError and nothing else.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        path: Path,
        key: TemplateKey,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._path = path
        self._key = key
        self._now = now
        self._file = _identity(path)

    @classmethod
    def open(
        cls,
        path: Path,
        key: TemplateKey,
        *,
        create: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """Open the gallery at `path`, or make it with `create`; use it in a `with` block.

        Raises GalleryError if it is missing, damaged, open to others, or sealed with another key.
        """
        if create:
            make(path, key.seal(_KEY_CHECK, _KEY_CHECK_CONTEXT))
        database = connect(path)
        gallery = cls(database, path, key, now)
        try:
            gallery._check_key()
        except BaseException:
            database.close()
            raise
        return gallery

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with wrapped(self._path):
            self._database.close()

    def enrol(
        self,
        name: str,
        templates: ArrayLike,
        model_id: str,
        *,
        person_id: str | None = None,
        consent_at: datetime | None,
        expires_at: datetime | None = None,
        source: str,
    ) -> Person:
        """Store a new person with templates float32 (k, d), each of L2 norm 1.

        `person_id` is made of the name unless given; `source` says what the templates come from,
        e.g. "photo". Raises GalleryError, with nothing stored, on anything that does not fit.
        """
        name = checked_name(name)
        person_id = person_id_from(name) if person_id is None else checked_person_id(person_id)
        rows = checked_templates(templates)
        created_at = utc(self._now(), "the clock")
        consent_at, expires_at = checked_dates(consent_at, expires_at, created_at)
        with self._writing():
            if self._exists(person_id):
                raise GalleryError(
                    f"there is a person {person_id!r} already",
                    where=str(self._path),
                    fix="delete that person first, or choose another id",
                )
            self._database.execute(
                "INSERT INTO person VALUES (?, ?, ?, ?, ?)",
                (
                    person_id,
                    name,
                    to_text(created_at),
                    to_text(consent_at),
                    to_text_or_none(expires_at),
                ),
            )
            self._insert(person_id, rows, model_id, created_at, source)
        return self.show(person_id)

    def add_templates(
        self, person_id: str, templates: ArrayLike, model_id: str, *, source: str
    ) -> Person:
        """Store further templates float32 (k, d) of a person; GalleryError if there is no such."""
        rows = checked_templates(templates)
        created_at = utc(self._now(), "the clock")
        with self._writing():
            self._require(person_id)
            self._insert(person_id, rows, model_id, created_at, source)
        return self.show(person_id)

    def edit(self, person_id: str, *, name: str) -> Person:
        """Give a person another name to be greeted by; GalleryError if it does not fit."""
        name = checked_name(name)
        with self._writing():
            self._require(person_id)
            self._database.execute("UPDATE person SET name = ? WHERE id = ?", (name, person_id))
        return self.show(person_id)

    def list_people(self) -> list[Person]:
        """Everybody, by id, those whose enrolment has expired included."""
        with reading(self._path):
            rows = self._database.execute(f"{PERSON_QUERY} GROUP BY p.id ORDER BY p.id")
            return [person_from_row(row) for row in rows]

    def show(self, person_id: str) -> Person:
        """One person; GalleryError if there is no such."""
        with reading(self._path):
            self._require(person_id)
            query = f"{PERSON_QUERY} WHERE p.id = ? GROUP BY p.id"
            return person_from_row(self._database.execute(query, (person_id,)).fetchone())

    def delete(self, person_id: str) -> None:
        """Remove a person for good: afterwards no byte of name or templates is in the files.

        Raises GalleryError if there is no such person, or if the person is deleted but another
        program holds on to an old page, so that bytes remain until `purge_expired` runs.
        """
        with self._writing():
            self._require(person_id)
            self._database.execute("DELETE FROM person WHERE id = ?", (person_id,))
        self._erase()

    def purge_expired(self, now: datetime) -> list[str]:
        """Delete everybody whose enrolment has expired at `now`, for good; returns their ids.

        It also finishes what an interrupted `delete` left. Raises GalleryError as `delete` does.
        """
        with self._writing():
            rows = self._database.execute(
                "DELETE FROM person WHERE expires_at <= ? RETURNING id",
                (to_text(utc(now, "the clock")),),
            ).fetchall()
        self._erase()
        return sorted(row[0] for row in rows)

    def export(self, person_id: str) -> dict[str, Any]:
        """All that is stored about one person, as JSON-ready values, for that person to have.

        Each template is unsealed, as base64 of little-endian float32 values.
        """
        with reading(self._path):
            person = self.show(person_id)
            rows = self._database.execute(
                "SELECT id, model_id, created_at, source, sealed FROM template"
                " WHERE person_id = ? ORDER BY rowid",
                (person_id,),
            ).fetchall()
            return {
                "person_id": person.person_id,
                "name": person.name,
                "created_at": to_text(person.created_at),
                "consent_at": to_text(person.consent_at),
                "expires_at": to_text_or_none(person.expires_at),
                "templates": [
                    {
                        "template_id": template_id,
                        "model_id": model_id,
                        "created_at": created_at,
                        "source": source,
                        "encoding": "base64 of little-endian float32",
                        "values": base64.b64encode(
                            self._unseal(sealed, person_id, template_id, model_id).tobytes()
                        ).decode(),
                    }
                    for template_id, model_id, created_at, source, sealed in rows
                ],
            }

    def snapshot(
        self,
        model_id: str,
        now: datetime,
        *,
        template_size: int | None = None,
        unsealed: Unsealed | None = None,
    ) -> Snapshot:
        """The templates that count at `now`: everybody whose enrolment has not expired.

        With `template_size` (d), an empty gallery gives templates of shape (0, d), and stored
        ones of another size are refused; without, an empty gallery gives (0, 0). `unsealed` holds
        what the last reading of this gallery unsealed, and then what this one does.

        Raises UnfitTemplatesError if one was tampered with, or made by another model: then nobody
        can be compared until those people are enrolled again. A clock that stands before the
        newest enrolment is wrong, so that expiry is then judged by that enrolment's time.
        """
        with reading(self._path):
            (newest,) = self._database.execute("SELECT max(created_at) FROM person").fetchone()
            moment = max(to_text(utc(now, "the clock")), newest or "")
            rows = self._database.execute(
                "SELECT p.id, p.name, t.id, t.model_id, t.sealed, p.expires_at"
                " FROM template t JOIN person p ON p.id = t.person_id"
                " WHERE p.expires_at IS NULL OR p.expires_at > ?"
                " ORDER BY p.id, t.rowid",
                (moment,),
            ).fetchall()
            # A date that is none may sort after every other.
            for expires_at in {row[5] for row in rows} - {None}:
                from_text(expires_at)
        others = sorted({row[0] for row in rows if row[3] != model_id})
        if others:
            raise UnfitTemplatesError(
                f"{_count(others)} enrolled with another model than {model_id}",
                others,
                where=str(self._path),
                fix="delete them and enrol them again from their photos, or use the former model",
            )
        unsealed = Unsealed() if unsealed is None else unsealed
        try:
            templates = [unsealed.row(self._unseal, row[4], row[0], row[2], row[3]) for row in rows]
            sizes = {template.size for template in templates}
            if len(sizes | ({template_size} if template_size is not None else set())) > 1:
                raise GalleryError(
                    f"templates of {model_id} have the sizes {sorted(sizes)}, not {template_size}",
                    where=str(self._path),
                    fix="enrol these people again",
                )
        except GalleryError:
            unsealed.forget()
            raise
        if not templates:
            unsealed.forget()
            return Snapshot.empty(template_size or 0)
        # Row by row, as one call for all would hold up every other thread meanwhile.
        matrix = np.empty((len(templates), templates[0].size), np.float32)
        for number, template in enumerate(templates):
            matrix[number] = template
        unsealed.keep(matrix)
        return Snapshot(tuple(row[0] for row in rows), {row[0]: row[1] for row in rows}, matrix)

    def change_counter(self) -> int:
        """A number that grows with every write of any process; cheap enough for each frame.

        Raises GalleryError if the file was deleted or replaced: what is in memory then counts for
        nothing, and the gallery has to be opened anew.
        """
        if _identity(self._path) != self._file:
            raise GalleryError(
                "the gallery was deleted or replaced while it was open",
                where=str(self._path),
                fix="open it again",
            )
        with reading(self._path):
            query = "SELECT value FROM meta WHERE name = 'changes'"
            return int(self._database.execute(query).fetchone()[0])

    def _check_key(self) -> None:
        with reading(self._path):
            query = "SELECT value FROM meta WHERE name = 'key_check'"
            sealed = self._database.execute(query).fetchone()[0]
            if not isinstance(sealed, bytes):
                raise TypeError("the key check is no BLOB")
        try:
            self._key.open(sealed, _KEY_CHECK_CONTEXT)
        except GalleryError:
            raise GalleryError(
                "the gallery was made with another key",
                where=str(self._path),
                fix="name that key as gallery.key_file, or begin a new gallery under this one",
            ) from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with wrapped(self._path), transaction(self._database):
            yield
            self._database.execute("UPDATE meta SET value = value + 1 WHERE name = 'changes'")

    def _exists(self, person_id: str) -> bool:
        query = "SELECT 1 FROM person WHERE id = ?"
        return self._database.execute(query, (person_id,)).fetchone() is not None

    def _require(self, person_id: str) -> None:
        if not self._exists(person_id):
            raise GalleryError(
                f"nobody has the id {person_id!r}",
                where=str(self._path),
                fix="see the ids with 'oneglance people list'",
            )

    def _insert(
        self,
        person_id: str,
        rows: NDArray[np.float32],
        model_id: str,
        created_at: datetime,
        source: str,
    ) -> None:
        if not model_id or not source:
            raise GalleryError("a template needs a model_id and a source")
        for row in rows:
            template_id = secrets.token_hex(16)
            sealed = seal_template(
                self._key, row, person_id=person_id, template_id=template_id, model_id=model_id
            )
            self._database.execute(
                "INSERT INTO template VALUES (?, ?, ?, ?, ?, ?)",
                (template_id, person_id, model_id, to_text(created_at), source, sealed),
            )

    def _unseal(
        self, sealed: bytes, person_id: str, template_id: str, model_id: str
    ) -> NDArray[np.float32]:
        try:
            return unseal_template(
                self._key, sealed, person_id=person_id, template_id=template_id, model_id=model_id
            )
        except UnfitTemplatesError as error:
            raise UnfitTemplatesError(
                error.what, error.person_ids, where=str(self._path), fix=error.remedy
            ) from None

    def _erase(self) -> None:
        with wrapped(self._path):
            clean = erase_old_pages(self._database)
        if not clean:
            raise GalleryError(
                "deleted, but another program still reads old pages, so that bytes remain",
                where=str(self._path),
                fix="run 'oneglance people purge' when it is done",
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _count(person_ids: Collection[str]) -> str:
    return "1 person is" if len(person_ids) == 1 else f"{len(person_ids)} people are"
