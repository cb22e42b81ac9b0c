"""The people's sealed rows as one whole: none can be changed, taken away or put back unnoticed.

`meta` holds the data key, sealed under the key file's; and the head, sealed under the data key: a
generation that each write raises, and a digest of every person's row. A person's record lists the
templates, each of which opens in its own row alone. So one head speaks for all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import RESTORE, reading, wrapped
from oneglance.faces.gallery.rows import Record, open_record, seal_record
from oneglance.faces.gallery.schema import META, TABLES, one_view, set_versions, transaction
from oneglance.faces.gallery.vault import KEY_BYTES, TemplateKey
from oneglance.faces.gallery.witness import Witness

_DATA_KEY = b"data key"
_HEAD = b"head"


@dataclass(frozen=True, slots=True)
class Whole:
    """All people at one moment: each row's key, and what is sealed there under `data_key`."""

    path: Path
    data_key: TemplateKey
    generation: int
    rows: Mapping[bytes, bytes]

    def records(self) -> list[Record]:
        """Everybody's record, by person_id; GalleryError if one is not a record."""
        with reading(self.path):
            found = [open_record(self.data_key, key, sealed) for key, sealed in self.rows.items()]
        return sorted(found, key=lambda record: record.person.person_id)

    def key_of(self, person_id: str) -> bytes:
        """The key of this person's row, whether there is one or not."""
        return self.data_key.pseudonym(person_id)

    def record(self, person_id: str) -> Record | None:
        """One person's record, None if unknown; GalleryError if it is not a record."""
        key = self.key_of(person_id)
        sealed = self.rows.get(key)
        with reading(self.path):
            return None if sealed is None else open_record(self.data_key, key, sealed)


class Draft:
    """The gallery inside one write: what is put and dropped here becomes the new whole.

    The new digest is made of this, and not read back: what a trigger or another program does to
    the tables meanwhile is not taken for ours.
    """

    def __init__(self, database: sqlite3.Connection, whole: Whole) -> None:
        self._database = database
        self.whole = whole
        self.data_key = whole.data_key
        self.rows = dict(whole.rows)

    def put(self, record: Record) -> bytes:
        """Store a new record, or in place of this person's old one; returns its row's key."""
        key = self.data_key.pseudonym(record.person.person_id)
        sealed = seal_record(self.data_key, key, record)
        self._database.execute(
            "INSERT INTO person VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET sealed = excluded.sealed",
            (key, sealed),
        )
        self.rows[key] = sealed
        return key

    def drop(self, person_id: str) -> None:
        """Remove a person and all templates; what was there is to be erased afterwards."""
        key = self.data_key.pseudonym(person_id)
        self._database.execute("DELETE FROM person WHERE key = ?", (key,))
        del self.rows[key]
        self.must_erase()

    def must_erase(self) -> None:
        """Note in the same transaction that old pages have to be erased, should we be killed."""
        _set(self._database, "unerased", 1)


class Register:
    """The people's rows of one open database; see the module's text."""

    def __init__(
        self,
        database: sqlite3.Connection,
        path: Path,
        master: TemplateKey,
        witness: Witness | None,
    ) -> None:
        self._database = database
        self._path = path
        self._master = master
        self._witness = witness
        self._wrapped: object = None
        self._data_key: TemplateKey | None = None

    def generation(self) -> int:
        """The number that each write raises, authenticated; cheap."""
        with reading(self._path):
            meta = _meta(self._database)
            return _open_head(self._unwrapped(meta), meta)[0]

    def foreign_commits(self) -> int:
        """SQLite's own mark of what others have written to the file since it was opened."""
        with reading(self._path):
            (mark,) = self._database.execute("PRAGMA data_version").fetchone()
        return int(mark)

    @contextmanager
    def reading(self) -> Iterator[Whole]:
        """All of one moment; GalleryError if it is not as it was last written, or older."""
        floor = 0 if self._witness is None else self._witness.floor()
        with reading(self._path), one_view(self._database):
            whole = self._read(floor)
            yield whole
        if self._witness is not None:
            self._witness.note(whole.generation)

    @contextmanager
    def writing(self, above: int = 0) -> Iterator[Draft]:
        """One write: all of it, and the next generation (higher than `above`), or nothing."""
        floor = 0 if self._witness is None else self._witness.floor()
        with wrapped(self._path), transaction(self._database):
            with reading(self._path):
                whole = self._read(floor)
            draft = Draft(self._database, whole)
            yield draft
            generation = max(whole.generation, above) + 1
            _set(self._database, "head", _seal_head(draft.data_key, generation, draft.rows))
        if self._witness is not None:
            self._witness.note(generation)

    def renew(self, draft: Draft, successor: TemplateKey) -> None:
        """Empty the draft and give it a new data key, which this key and `successor` open."""
        raw = secrets.token_bytes(KEY_BYTES)
        self._database.execute("DELETE FROM person")
        draft.rows.clear()
        draft.data_key = TemplateKey(raw)
        _set(self._database, "data_key", successor.seal(raw, _DATA_KEY))
        _set(self._database, "former_key", self._master.seal(raw, _DATA_KEY))
        draft.must_erase()

    def forget_former(self, draft: Draft) -> None:
        """Let the former key open nothing any more."""
        self._database.execute("DELETE FROM meta WHERE name = 'former_key'")
        draft.must_erase()

    def keys(self) -> tuple[bool, bool]:
        """Whether this key is the gallery's present one, and whether a former one opens it too."""
        with reading(self._path):
            meta = _meta(self._database)
            return _unwrap(self._master, meta["data_key"]) is not None, "former_key" in meta

    def unerased(self) -> bool:
        """Whether bytes of what was removed may still be in the files."""
        with reading(self._path):
            query = "SELECT value FROM meta WHERE name = 'unerased'"
            return bool(self._database.execute(query).fetchone() == (1,))

    def erased(self) -> None:
        """Record that nothing is left to be erased."""
        with wrapped(self._path):
            set_erased(self._database)

    def _read(self, floor: int) -> Whole:
        meta = _meta(self._database)
        key = self._unwrapped(meta)
        generation, digest = _open_head(key, meta)
        if self._witness is not None:
            self._witness.check(generation, floor, self._path)
        rows = dict(self._database.execute("SELECT key, sealed FROM person").fetchall())
        if _digest(rows) != digest:
            raise GalleryError(
                "the gallery was tampered with: who is in it was changed by another program",
                where=str(self._path),
                fix=RESTORE,
            )
        return Whole(self._path, key, generation, rows)

    def _unwrapped(self, meta: Mapping[str, object]) -> TemplateKey:
        # Another process may have given the gallery a new key.
        if self._data_key is None or meta["data_key"] != self._wrapped:
            key = _unwrap(self._master, meta["data_key"])
            if key is None and "former_key" in meta:
                key = _unwrap(self._master, meta["former_key"])
            if key is None:
                raise GalleryError(
                    "the gallery was made with another key",
                    where=str(self._path),
                    fix="name that key as gallery.key_file, or begin a new gallery under this one;"
                    " after 'people rekey' restart the daemon",
                )
            self._data_key, self._wrapped = key, meta["data_key"]
        return self._data_key


@contextmanager
def laid_out(
    database: sqlite3.Connection, path: Path, master: TemplateKey, generation: int
) -> Iterator[Draft]:
    """Inside a transaction: the tables of an empty gallery, under a new data key.

    It then holds whom the draft has at the end.
    """
    raw = secrets.token_bytes(KEY_BYTES)
    database.execute(META)
    for statement in TABLES:
        database.execute(statement)
    _set(database, "data_key", master.seal(raw, _DATA_KEY))
    _set(database, "unerased", 0)
    draft = Draft(database, Whole(path, TemplateKey(raw), generation, {}))
    yield draft
    _set(database, "head", _seal_head(draft.data_key, generation, draft.rows))
    set_versions(database)


def set_erased(database: sqlite3.Connection) -> None:
    """Note that no bytes of what was removed are left."""
    _set(database, "unerased", 0)


def _meta(database: sqlite3.Connection) -> dict[str, object]:
    query = "SELECT name, value FROM meta WHERE name IN ('data_key', 'former_key', 'head')"
    return dict(database.execute(query).fetchall())


def _set(database: sqlite3.Connection, name: str, value: bytes | int) -> None:
    database.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _unwrap(master: TemplateKey, sealed: object) -> TemplateKey | None:
    if not isinstance(sealed, bytes):
        raise TypeError("a sealed key is no BLOB")
    try:
        raw = master.open(sealed, _DATA_KEY)
    except GalleryError:
        return None
    return TemplateKey(raw)


def _seal_head(key: TemplateKey, generation: int, rows: Mapping[bytes, bytes]) -> bytes:
    said = {"generation": generation, "digest": _digest(rows)}
    return key.seal(json.dumps(said).encode(), _HEAD)


def _open_head(key: TemplateKey, meta: Mapping[str, object]) -> tuple[int, str]:
    sealed = meta["head"]
    if not isinstance(sealed, bytes):
        raise TypeError("the head is no BLOB")
    try:
        said = json.loads(key.open(sealed, _HEAD))
    except GalleryError:
        raise ValueError("the head was changed, or belongs to another gallery") from None
    return int(said["generation"]), str(said["digest"])


def _digest(rows: Mapping[bytes, bytes]) -> str:
    # With the lengths, so that no two sets of rows are written alike.
    parts = (b"%d,%d:%b%b" % (len(key), len(rows[key]), key, rows[key]) for key in sorted(rows))
    return hashlib.sha256(b"".join(parts)).hexdigest()
