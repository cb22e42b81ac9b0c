"""The gallery's SQLite file: made private, opened safely, its schema kept up to date."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.errors import GalleryError

# "OGGL": says that the file is ours, so that no other program's database is ever written to.
APPLICATION_ID = 0x4F47474C
# Another process holds the write lock for milliseconds; a longer wait means that it hangs.
BUSY_TIMEOUT_S = 5.0

# Step i brings schema version i to i + 1. Steps are only ever added.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT",
        "INSERT INTO meta VALUES ('changes', 0)",
        """CREATE TABLE person (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created_at TEXT NOT NULL,
            consent_at TEXT NOT NULL,
            expires_at TEXT
        ) STRICT""",
        """CREATE TABLE template (
            id TEXT PRIMARY KEY,
            person_id TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
            model_id TEXT NOT NULL,
            created_at TEXT NOT NULL,
            source TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX template_by_person ON template (person_id)",
    ),
)
SCHEMA_VERSION = len(_MIGRATIONS)

_RESTORE = "restore the gallery from a backup; the file was left as it is"


def connect(path: Path, *, new_key_check: bytes | None) -> sqlite3.Connection:
    """Open the gallery's database, in autocommit mode, for the thread that calls.

    With `new_key_check`, a missing gallery is made around it, with mode 0600 and in a folder of
    mode 0700. Raises GalleryError if it is missing, open to others, damaged, another program's,
    or of a newer version; then the file is left as it is.
    """
    if new_key_check is not None:
        _make_file(path)
    _check_file(path)
    with wrapped(path):
        # mode=rw: a file that vanished since is an error, not a reason to make an empty one.
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
        )
        try:
            made = _check_content(database, path)
            if not made and new_key_check is None:
                raise _missing(path)
            _configure(database)
            _migrate(database, new_key_check)
        except BaseException:
            database.close()
            raise
    return database


@contextmanager
def wrapped(path: Path) -> Iterator[None]:
    """Turn every SQLite error inside into a GalleryError of one line about the gallery."""
    try:
        yield
    except sqlite3.Error as error:
        what, fix = _explain(error)
        raise GalleryError(what, where=str(path), fix=fix) from error


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: the write lock from the first statement on, undone on any exception."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def erase_old_pages(database: sqlite3.Connection) -> bool:
    """Rebuild the file and empty its write-ahead log, so that deleted bytes are nowhere in them.

    False if another process kept an old page in use for longer than the busy timeout.
    """
    # secure_delete blanks freed cells, but moving rows between pages may leave copies behind in a
    # page's slack: only a rebuilt file is known to be free of them.
    try:
        database.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:
            raise
        return False
    (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise GalleryError(
            f"cannot make the gallery: {error.strerror}",
            where=str(path),
            fix="run this as the user that owns the folder",
        ) from None
    try:
        os.fchmod(descriptor, 0o600)
        if os.geteuid() == 0:
            # An administrator's first enrolment must not lock the service out of its own folder.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise GalleryError(f"cannot open the gallery: {error.strerror}", where=str(path)) from None
    if not stat.S_ISREG(status.st_mode):
        raise GalleryError("the gallery is not a regular file", where=str(path))
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise GalleryError(
            f"the gallery is open to other users (mode {mode:04o})",
            where=str(path),
            fix=f"run: chmod 600 {path}",
        )


def _missing(path: Path) -> GalleryError:
    return GalleryError(
        "there is no gallery",
        where=str(path),
        fix="enrol somebody first: oneglance people enrol NAME PHOTO --consent",
    )


def _check_content(database: sqlite3.Connection, path: Path) -> bool:
    """Whether it is a whole gallery of ours (True), or an empty database (False).

    Only reads: whatever is refused here stays byte for byte as it was.
    """
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application_id, version, tables) == (0, 0, 0):
        return False
    if application_id != APPLICATION_ID:
        raise GalleryError(
            "a database, but not a gallery of oneglance",
            where=str(path),
            fix="name another file as gallery.path",
        )
    if version > SCHEMA_VERSION:
        raise GalleryError(
            f"the gallery has version {version}, this oneglance knows up to {SCHEMA_VERSION}",
            where=str(path),
            fix="update oneglance; the file was left as it is",
        )
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise GalleryError("the gallery is damaged", where=str(path), fix=_RESTORE)
    return True


def _configure(database: sqlite3.Connection) -> None:
    for setting in (
        "journal_mode = WAL",
        "foreign_keys = ON",
        "secure_delete = ON",
        # FULL: an enrolment or a deletion that was reported survives a power cut.
        "synchronous = FULL",
        # No template or name may reach a temporary file elsewhere.
        "temp_store = MEMORY",
    ):
        database.execute(f"PRAGMA {setting}")


def _migrate(database: sqlite3.Connection, new_key_check: bytes | None) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return
    with transaction(database):
        # Read again under the write lock: another process may have been faster.
        (version,) = database.execute("PRAGMA user_version").fetchone()
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                database.execute(statement)
        if version == 0:
            database.execute("INSERT INTO meta VALUES ('key_check', ?)", (new_key_check,))
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _explain(error: sqlite3.Error) -> tuple[str, str]:
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program keeps the gallery busy", "try again; see who holds it with fuser"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "the gallery could not be read or written: disk full or faulty", (
            "make room on the disk, or check it; what was stored before is still there"
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT):
        return "the gallery is damaged, or not a gallery", _RESTORE
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return "the gallery cannot be opened for writing", (
            "run this as the user that owns it, in a folder that this user can write to"
        )
    return f"the gallery failed: {error}", ""
