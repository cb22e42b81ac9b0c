"""The gallery: who is enrolled, their sealed templates, and what counts right now."""

from __future__ import annotations

import base64
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import BUSY_TIMEOUT_S, connect, erase_old_pages, make, wrapped
from oneglance.faces.gallery.person import (
    Person,
    Snapshot,
    UnfitTemplatesError,
    checked_dates,
    checked_groups,
    checked_name,
    checked_person_id,
    checked_templates,
    checked_validity,
    person_id_from,
    utc,
)
from oneglance.faces.gallery.register import Draft, Register, Whole, laid_out
from oneglance.faces.gallery.rows import (
    Record,
    TemplateNote,
    Unsealed,
    seal_template,
    tampered_template,
    template_context,
    to_text,
    to_text_or_none,
)
from oneglance.faces.gallery.schema import transaction
from oneglance.faces.gallery.upgrade import upgrade_from_1
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.gallery.witness import Witness

__all__ = ["Changes", "Gallery", "Person", "Snapshot"]


class Changes(TypedDict, total=False):
    """The parts of an enrolled person that may be changed."""

    name: str
    groups: Iterable[str]
    valid_from: datetime | None
    expires_at: datetime | None


class Gallery:
    """An open gallery; it belongs to the thread that opened it.

    Several processes may have it open. Every write is one transaction: it happens as a whole or
    not at all, whenever the power goes. All methods raise GalleryError, and what the log of a
    `witness` raises, and nothing else. Anything changed in the file in any other way is refused.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        path: Path,
        key: TemplateKey,
        now: Callable[[], datetime],
        witness: Witness | None,
    ) -> None:
        self._database = database
        self._path = path
        self._now = now
        self._register = Register(database, path, key, witness)
        self._file = _identity(path)

    @classmethod
    def open(
        cls,
        path: Path,
        key: TemplateKey,
        *,
        create: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        witness: Witness | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> Self:
        """Open the gallery at `path`, or make it with `create`; use it in a `with` block.

        A gallery of an older version is brought to today's. With a `witness` a copy that is older
        than what was seen before is refused when it is read or written. Another process may keep it
        busy for `busy_timeout_s`.

        Raises GalleryError if it is missing, damaged, open to others, or sealed with another key.
        """
        if create:
            first = 1 if witness is None else witness.highest() + 1

            def fill(database: sqlite3.Connection) -> None:
                with transaction(database), laid_out(database, path, key, first):
                    pass

            make(path, fill)

        def upgrade(database: sqlite3.Connection) -> None:
            # Without a witness it is the lowest generation, which every witness that saw a gallery
            # refuses: anybody could have written what version 1 says about its own age.
            if witness is not None:
                witness.check_first(path)
            upgrade_from_1(database, path, key, 0 if witness is None else 1)

        database = connect(path, upgrade, busy_timeout_s)
        gallery = cls(database, path, key, now, witness)
        try:
            gallery._register.generation()
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
        groups: Iterable[str] = (),
        valid_from: datetime | None = None,
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
        now = utc(self._now(), "the clock")
        consent_at, valid_from, expires_at = checked_dates(consent_at, valid_from, expires_at, now)
        person = Person(
            person_id, name, now, consent_at, expires_at, 0, (), checked_groups(groups), valid_from
        )
        notes = _notes(len(rows), model_id, now, source)
        with self._register.writing() as draft:
            if draft.whole.record(person_id) is not None:
                raise GalleryError(
                    f"there is a person {person_id!r} already",
                    where=str(self._path),
                    fix="delete that person first, or choose another id",
                )
            record = Record.of(person, notes)
            self._insert(draft, record, notes, rows)
        return record.person

    def add_templates(
        self, person_id: str, templates: ArrayLike, model_id: str, *, source: str
    ) -> Person:
        """Store further templates float32 (k, d) of a person; GalleryError if unknown."""
        rows = checked_templates(templates)
        notes = _notes(len(rows), model_id, utc(self._now(), "the clock"), source)
        with self._register.writing() as draft:
            known = self._required(draft.whole, person_id)
            record = Record.of(known.person, (*known.templates, *notes))
            self._insert(draft, record, notes, rows)
        return record.person

    def edit(self, person_id: str, **changes: Unpack[Changes]) -> Person:
        """Change what is given of a person, and nothing else; GalleryError if it does not fit.

        An expiry in the past is accepted: it ends the enrolment now.
        """
        with self._register.writing() as draft:
            known = self._required(draft.whole, person_id)
            person = known.person
            valid_from, expires_at = checked_validity(
                changes.get("valid_from", person.valid_from),
                changes.get("expires_at", person.expires_at),
            )
            person = replace(
                person,
                name=checked_name(changes.get("name", person.name)),
                groups=checked_groups(changes.get("groups", person.groups)),
                valid_from=valid_from,
                expires_at=expires_at,
            )
            draft.put(Record(person, known.templates))
        return person

    def list_people(self) -> list[Person]:
        """Everybody, by id, also those whose enrolment has expired or not yet begun."""
        with self._register.reading() as whole:
            return [record.person for record in whole.records()]

    def show(self, person_id: str) -> Person:
        """One person; GalleryError if there is no such person."""
        with self._register.reading() as whole:
            return self._required(whole, person_id).person

    def delete(self, person_id: str) -> None:
        """Remove a person for good: afterwards no byte of the record or templates is in the files.

        Raises GalleryError if there is no such person, or if the person is deleted but another
        program holds on to an old page, so that bytes remain until `erase` runs.
        """
        with self._register.writing() as draft:
            self._required(draft.whole, person_id)
            draft.drop(person_id)
        self.erase()

    def contents(self) -> list[tuple[Record, NDArray[np.float32]]]:
        """Everybody by id: the record, and its templates float32 (k, d)."""
        with self._register.reading() as whole:
            records = whole.records()
            rows = iter(self._templates(whole, records))
            return [(one, np.stack([next(rows) for _ in one.templates])) for one in records]

    def records(self) -> dict[str, Record]:
        """Everybody's record, by id."""
        with self._register.reading() as whole:
            return {record.person.person_id: record for record in whole.records()}

    def replace(
        self,
        gone: Iterable[str],
        put: Iterable[tuple[Record, NDArray[np.float32]]],
    ) -> None:
        """Remove all of `gone` and store all of `put` as they are, in one write.

        Anybody whose id is in `put` is replaced. Erase what was there afterwards.
        """
        with self._register.writing() as draft:
            known = {record.person.person_id for record in draft.whole.records()}
            put = list(put)
            for person_id in known & {*gone, *(record.person.person_id for record, _ in put)}:
                draft.drop(person_id)
            for record, rows in put:
                self._insert(draft, record, record.templates, rows)

    def purge_expired(self, now: datetime) -> list[str]:
        """Delete everybody whose enrolment has expired at `now`, for good; returns their ids.

        It also finishes what an interrupted deletion left. Raises GalleryError as `delete` does.
        """
        moment = utc(now, "the clock")
        gone = [
            person.person_id
            for person in self.list_people()
            if person.expires_at is not None and person.expires_at <= moment
        ]
        if gone:
            with self._register.writing() as draft:
                # Another process may have deleted one meanwhile, or given one a longer life.
                gone = [one for one in gone if _has_expired(draft.whole.record(one), moment)]
                for person_id in gone:
                    draft.drop(person_id)
        self.erase()
        return gone

    def erase(self) -> None:
        """Overwrite what was removed, if bytes of it are left; GalleryError if some must stay."""
        if not self._register.unerased():
            return
        with wrapped(self._path):
            clean = erase_old_pages(self._database)
        if not clean:
            raise GalleryError(
                "deleted, but another program still reads old pages, so that bytes remain",
                where=str(self._path),
                fix="run 'oneglance people purge' when it is done",
            )
        self._register.erased()

    def export(self, person_id: str) -> dict[str, Any]:
        """All that is stored about one person, as JSON-ready values, for that person to have.

        Each template is unsealed, as base64 of little-endian float32 values. There are no pictures
        in a gallery.
        """
        with self._register.reading() as whole:
            record = self._required(whole, person_id)
            rows = self._templates(whole, [record])
        person = record.person
        return {
            "person_id": person.person_id,
            "name": person.name,
            "created_at": to_text(person.created_at),
            "consent_at": to_text(person.consent_at),
            "valid_from": to_text_or_none(person.valid_from),
            "expires_at": to_text_or_none(person.expires_at),
            "groups": sorted(person.groups),
            "templates": [
                {
                    "template_id": note.template_id.hex(),
                    "model_id": note.model_id,
                    "created_at": note.created_at,
                    "source": note.source,
                    "encoding": "base64 of little-endian float32",
                    "values": base64.b64encode(row.astype("<f4").tobytes()).decode(),
                }
                for note, row in zip(record.templates, rows, strict=True)
            ],
            "pictures": [],
        }

    def snapshot(
        self,
        model_id: str,
        now: datetime,
        *,
        template_size: int | None = None,
        unsealed: Unsealed | None = None,
    ) -> Snapshot:
        """The templates that count at `now`: of everybody who is valid then.

        With `template_size` (d), an empty gallery gives templates of shape (0, d), and stored
        ones of another size are refused; without, an empty gallery gives (0, 0). `unsealed` holds
        what the last reading of this gallery unsealed, and then what this one does.

        Raises UnfitTemplatesError if one was tampered with, or made by another model: then nobody
        can be compared until those people are enrolled again. A clock that stands before the
        newest enrolment is wrong, so that validity is then judged by that enrolment's time.
        """
        moment = utc(now, "the clock")
        unsealed = Unsealed() if unsealed is None else unsealed
        try:
            with self._register.reading() as whole:
                records = whole.records()
                moment = max([moment, *(record.person.created_at for record in records)])
                valid = [record for record in records if record.person.counts_at(moment)]
                self._check_model(records, model_id, moment)
                templates = self._templates(whole, valid, unsealed)
                self._check_sizes(templates, model_id, template_size)
        except GalleryError:
            unsealed.forget()
            raise
        # Row by row, as one call for all would hold up every other thread meanwhile.
        size = templates[0].size if templates else template_size or 0
        matrix = np.empty((len(templates), size), np.float32)
        for number, template in enumerate(templates):
            matrix[number] = template
        unsealed.keep(matrix)
        people = {record.person.person_id: record.person for record in valid}
        return Snapshot(
            tuple(record.person.person_id for record in valid for _ in record.templates),
            {person_id: person.name for person_id, person in people.items()},
            matrix,
            people=people,
            changes_at=_next_change((record.person for record in records), moment),
        )

    def change_counter(self) -> int:
        """The generation: it grows with every write of any process; cheap enough for each frame.

        Raises GalleryError if the file was deleted or replaced: what is in memory then counts for
        nothing, and the gallery has to be opened anew.
        """
        if _identity(self._path) != self._file:
            raise GalleryError(
                "the gallery was deleted or replaced while it was open",
                where=str(self._path),
                fix="open it again",
            )
        return self._register.generation()

    def change_mark(self) -> tuple[int, int]:
        """Another one after each write, of a program that does not raise the generation, too.

        Only that of one open gallery can be compared. As cheap, and raises as `change_counter`.
        """
        return self.change_counter(), self._register.foreign_commits()

    def accept(self, witness: Witness) -> int:
        """Let this copy count although `witness` saw a later one; returns its new generation.

        That is above any that was seen, so that every other copy stays refused. For a gallery that
        was opened without a witness.
        """
        with self._register.writing(above=witness.highest()):
            pass
        generation = self._register.generation()
        witness.note(generation)
        return generation

    def keys(self) -> tuple[bool, bool]:
        """Whether this key is the gallery's present one, and whether a former one opens it too."""
        return self._register.keys()

    def reseal(self, successor: TemplateKey) -> None:
        """Reseal everything, so that `successor` opens it and, for the time being, this key too."""
        with self._register.writing() as draft:
            records = draft.whole.records()
            templates = iter(self._templates(draft.whole, records))
            self._register.renew(draft, successor)
            for record in records:
                rows = [next(templates) for _ in record.templates]
                self._insert(draft, record, record.templates, rows)

    def forget_former_key(self) -> None:
        """End what `reseal` began: the former key opens nothing any more, and its bytes go."""
        with self._register.writing() as draft:
            self._register.forget_former(draft)
        self.erase()

    def _required(self, whole: Whole, person_id: str) -> Record:
        record = whole.record(person_id)
        if record is None:
            raise GalleryError(
                f"nobody has the id {person_id!r}",
                where=str(self._path),
                fix="see the ids with 'oneglance people list'",
            )
        return record

    def _insert(
        self,
        draft: Draft,
        record: Record,
        notes: Iterable[TemplateNote],
        rows: Iterable[NDArray[np.float32]],
    ) -> None:
        row_key = draft.put(record)
        for note, row in zip(notes, rows, strict=True):
            context = template_context(row_key, note.template_id)
            self._database.execute(
                "INSERT INTO template VALUES (?, ?, ?)",
                (note.template_id, row_key, seal_template(draft.data_key, row, context)),
            )

    def _templates(
        self, whole: Whole, records: Iterable[Record], unsealed: Unsealed | None = None
    ) -> list[NDArray[np.float32]]:
        """The templates float32 (d,) of these people, in their order; inside `reading` only.

        UnfitTemplatesError if one is missing or not as it was stored, or if there is one too many.
        """
        unsealed = Unsealed() if unsealed is None else unsealed
        stored: dict[bytes, dict[bytes, bytes]] = {}
        query = "SELECT person, id, sealed FROM template"
        for row_key, template_id, sealed in self._database.execute(query).fetchall():
            stored.setdefault(row_key, {})[template_id] = sealed
        found = []
        for record in records:
            person_id = record.person.person_id
            row_key = whole.key_of(person_id)
            own = stored.get(row_key, {})
            if own.keys() != {note.template_id for note in record.templates}:
                raise tampered_template(person_id, str(self._path))
            for note in record.templates:
                context = template_context(row_key, note.template_id)
                try:
                    found.append(unsealed.row(whole.data_key, own[note.template_id], context))
                except GalleryError:
                    raise tampered_template(person_id, str(self._path)) from None
        return found

    def _check_model(self, records: Iterable[Record], model_id: str, moment: datetime) -> None:
        """Raise UnfitTemplatesError if anybody was enrolled with another model.

        People whose enrolment begins later are included: better today than on that morning.
        """
        others = [
            record.person.person_id
            for record in records
            if set(record.person.model_ids) - {model_id}
            and (record.person.expires_at is None or record.person.expires_at > moment)
        ]
        if others:
            raise UnfitTemplatesError(
                f"{_count(others)} enrolled with another model than {model_id}",
                others,
                where=str(self._path),
                fix="delete them and enrol them again from their photos, or use the former model",
            )

    def _check_sizes(
        self, templates: Iterable[NDArray[np.float32]], model_id: str, wanted: int | None
    ) -> None:
        sizes = {template.size for template in templates}
        if len(sizes | ({wanted} if wanted is not None else set())) > 1:
            raise GalleryError(
                f"templates of {model_id} have the sizes {sorted(sizes)}, not {wanted}",
                where=str(self._path),
                fix="enrol these people again",
            )


def _notes(count: int, model_id: str, now: datetime, source: str) -> tuple[TemplateNote, ...]:
    if not model_id or not source:
        raise GalleryError("a template needs a model_id and a source")
    return tuple(
        TemplateNote(secrets.token_bytes(16), model_id, to_text(now), source) for _ in range(count)
    )


def _has_expired(record: Record | None, moment: datetime) -> bool:
    if record is None or record.person.expires_at is None:
        return False
    return record.person.expires_at <= moment


def _next_change(people: Iterable[Person], moment: datetime) -> datetime | None:
    """When the next of these people begins or ceases to count, after `moment`."""
    dates = (date for one in people for date in (one.valid_from, one.expires_at))
    return min((date for date in dates if date is not None and date > moment), default=None)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _count(person_ids: Collection[str]) -> str:
    return "1 person is" if len(person_ids) == 1 else f"{len(person_ids)} people are"
