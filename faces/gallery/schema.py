"""The gallery's tables, and what one transaction is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

# "OGGL": says that the file is ours, so that no other program's database is ever written to.
APPLICATION_ID = 0x4F47474C
SCHEMA_VERSION = 2

# A person's row is found by the pseudonym of the id, a template's by a random number. Everything
# about them is inside what is sealed, and nowhere else.
TABLES = (
    "CREATE TABLE person (key BLOB PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
    """CREATE TABLE template (
        id BLOB PRIMARY KEY,
        person BLOB NOT NULL REFERENCES person (key) ON DELETE CASCADE,
        sealed BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX template_by_person ON template (person)",
)
META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT"


def schema_version(database: sqlite3.Connection) -> int:
    """The version that the file says it has; 0 for an empty database."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def set_versions(database: sqlite3.Connection) -> None:
    """Inside a transaction: mark the database as a gallery of SCHEMA_VERSION."""
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: the write lock from the first statement on, undone on any exception."""
    with _between(database, "BEGIN IMMEDIATE"):
        yield


@contextmanager
def one_view(database: sqlite3.Connection) -> Iterator[None]:
    """Everything read inside is from one moment, even while other processes write."""
    if database.in_transaction:
        yield
        return
    with _between(database, "BEGIN"):
        yield


@contextmanager
def _between(database: sqlite3.Connection, begin: str) -> Iterator[None]:
    database.execute(begin)
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
