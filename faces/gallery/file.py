"""The gallery's SQLite file: made private and whole, opened only if it is sound."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.errors import GalleryError, os_fix
from oneglance.faces.gallery.schema import APPLICATION_ID, SCHEMA_VERSION, schema_version
from oneglance.ownership import give_to_folders_owner

# Another process holds the write lock for milliseconds; a longer wait means that it hangs.
BUSY_TIMEOUT_S = 5.0

RESTORE = "restore the gallery from a backup; the file was left as it is"


def connect(
    path: Path,
    upgrade: Callable[[sqlite3.Connection], None],
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> sqlite3.Connection:
    """Open the gallery's database, in autocommit mode, for the thread that calls.

    `upgrade` is called with the database of an older gallery. Raises GalleryError if it is
    missing, open to others, damaged, another program's, or of a newer version; then the file is
    left as it is.
    """
    _check_file(path)
    with wrapped(path):
        database = _connect(path, busy_timeout_s)
        try:
            _check_content(database, path)
            _configure(database)
            if schema_version(database) < SCHEMA_VERSION:
                upgrade(database)
        except BaseException:
            database.close()
            raise
    return database


def make(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a gallery of mode 0600, its folder too (0700), unless there is a file already.

    `fill` makes its tables. It is made aside and appears whole: neither a crash nor a second
    process can leave or see half a gallery. Raises GalleryError if it cannot be written.
    """
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            draft = Path(folder) / path.name
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                give_to_folders_owner(descriptor, path.parent)
            finally:
                os.close(descriptor)
            with wrapped(path):
                database = _connect(draft, BUSY_TIMEOUT_S)
                try:
                    _configure(database)
                    fill(database)
                finally:
                    database.close()
            # Unlike a rename, a link never replaces what another process made meanwhile.
            os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise GalleryError(
            f"cannot make the gallery: {error.strerror}",
            where=str(path),
            fix="run this as the user that owns the folder, on a disk with room",
        ) from None


def is_there(path: Path) -> bool:
    """Whether the file exists; GalleryError if this user may not even look."""
    try:
        return path.exists()
    except OSError as error:
        raise GalleryError(
            f"cannot look for the gallery: {error.strerror}",
            where=str(path),
            fix="run this as the user that owns it",
        ) from None


@contextmanager
def wrapped(path: Path) -> Iterator[None]:
    """Turn every SQLite error inside into a GalleryError of one line about the gallery."""
    try:
        yield
    except sqlite3.Error as error:
        what, fix = _explain(error)
        raise GalleryError(what, where=str(path), fix=fix) from None
    except UnicodeDecodeError:
        # SQLite's own message repeats what stands in a damaged schema, which may be no UTF-8.
        raise GalleryError("the gallery is damaged", where=str(path), fix=RESTORE) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """As `wrapped`, and a value that we would not write is a damaged gallery, too.

    SQLite finds nothing wrong with an invalid date: only reading it does.
    """
    with wrapped(path):
        try:
            yield
        except (ValueError, TypeError, LookupError, ArithmeticError):
            # What the value was stays out of the text: it may be a name.
            raise GalleryError("the gallery is damaged", where=str(path), fix=RESTORE) from None


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


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    # mode=rw: a file that vanished since is an error, not a reason to make an empty one.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None)


def sync_folder(folder: Path) -> None:
    """When this returns, a power cut does not undo what was made or renamed there; OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise GalleryError(
            "there is no gallery",
            where=str(path),
            fix="enrol somebody first: oneglance people enrol NAME PHOTO --consent",
        ) from None
    except OSError as error:
        raise GalleryError(
            f"cannot open the gallery: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise GalleryError("the gallery is not a regular file", where=str(path))
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise GalleryError(
            f"the gallery is open to other users (mode {mode:04o})",
            where=str(path),
            fix=f"run: chmod 600 {path}",
        )


def _check_content(database: sqlite3.Connection, path: Path) -> None:
    """Read-only: whatever is refused here stays byte for byte as it was."""
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    version = schema_version(database)
    if path.stat().st_size == 0:
        raise GalleryError("the gallery is an empty file", where=str(path), fix=RESTORE)
    if application_id != APPLICATION_ID or version < 1:
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
        raise GalleryError("the gallery is damaged", where=str(path), fix=RESTORE)


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


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _explain(error: sqlite3.Error) -> tuple[str, str]:
    code = _code(error)
    if code is None and str(error).startswith("Could not decode"):
        # The rest of this text would be the name that is not UTF-8.
        return "the gallery is damaged", RESTORE
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program keeps the gallery busy", "try again; see who holds it with fuser"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "the gallery could not be read or written: disk full or faulty", (
            "make room on the disk, or check it; what was stored before is still there"
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT):
        return "the gallery is damaged, or not a gallery", RESTORE
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return "the gallery cannot be opened for writing", (
            "run this as the user that owns it, in a folder that this user can write to"
        )
    return f"the gallery failed: {error}", ""
