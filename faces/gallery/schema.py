"""The gallery's tables, version by version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

# "OGGL": says that the file is ours, so that no other program's database is ever written to.
APPLICATION_ID = 0x4F47474C

# Step i brings schema version i to i + 1. Steps are only ever added.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"PRAGMA application_id = {APPLICATION_ID}",
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


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables to SCHEMA_VERSION, from an empty database or an older gallery."""
    if schema_version(database) == SCHEMA_VERSION:
        return
    with transaction(database):
        # Read again under the write lock: another process may have been faster.
        for statements in _MIGRATIONS[schema_version(database) :]:
            for statement in statements:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def schema_version(database: sqlite3.Connection) -> int:
    """The version that the file says it has; 0 for an empty database."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


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
