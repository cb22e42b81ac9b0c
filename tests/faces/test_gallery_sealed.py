"""Whatever another program does to the gallery's rows is refused, and tells nothing of anybody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from oneglance.errors import GalleryError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import TemplateKey

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = TemplateKey(b"k" * 32)
MODEL = "mobileface-2:0123456789ab"
TWO = np.eye(2, 192, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery with Ada, Bob and Cleo, closed; Bob has been renamed, Dan deleted."""
    file = tmp_path / "state" / "gallery.db"
    with Gallery.open(file, KEY, create=True, now=lambda: NOON) as gallery:
        for name in ("Ada", "Bob", "Cleo", "Dan"):
            gallery.enrol(
                name,
                TWO,
                MODEL,
                consent_at=NOON,
                groups=["family"],
                expires_at=NOON + timedelta(days=9),
                source="photo",
            )
        gallery.edit("bob", name="Robert")
        gallery.delete("dan")
    return file


def whom(statement: str) -> str:
    """FIRST and LAST are the keys of two people's rows."""
    first = statement.replace("FIRST", "(SELECT min(key) FROM person)")
    return first.replace("LAST", "(SELECT max(key) FROM person)")


def tamper(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    changed = sum(database.execute(whom(statement)).rowcount for statement in statements)
    database.commit()
    database.close()
    assert changed != 0


def read_all(path: Path) -> None:
    with Gallery.open(path, KEY, now=lambda: NOON) as gallery:
        gallery.change_counter()
        gallery.list_people()
        gallery.snapshot(MODEL, NOON)


@pytest.mark.parametrize(
    "statements",
    [
        # A byte of a record; a shorter one; none; one person's record given to another.
        ["UPDATE person SET sealed = CAST(zeroblob(9) || substr(sealed, 10) AS BLOB)"],
        ["UPDATE person SET sealed = substr(sealed, 1, length(sealed) - 1)"],
        ["UPDATE person SET sealed = x''"],
        ["UPDATE person SET sealed = (SELECT sealed FROM person WHERE key = LAST)"],
        # The rows of two people, with their keys.
        [
            "UPDATE person SET key = x'ff' WHERE key = FIRST",
            "UPDATE person SET key = x'00' WHERE key = LAST",
        ],
        # Somebody less, nobody left, somebody more.
        ["DELETE FROM person WHERE key = FIRST"],
        ["DELETE FROM person"],
        ["INSERT INTO person SELECT randomblob(16), sealed FROM person WHERE key = FIRST"],
    ],
)
def test_nobodys_record_can_be_changed_moved_added_or_taken_away(
    path: Path, statements: list[str]
) -> None:
    tamper(path, *statements)
    with pytest.raises(GalleryError, match="tampered with") as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "restore" in caught.value.fix


@pytest.mark.parametrize(
    "statement",
    [
        # A byte of the ciphertext, of the nonce, the tag; a shorter blob; an empty one.
        "UPDATE template SET sealed = CAST(substr(sealed, 1, 50) || x'00' || substr(sealed, 52)"
        " AS BLOB)",
        "UPDATE template SET sealed = CAST(zeroblob(9) || substr(sealed, 10) AS BLOB)",
        "UPDATE template SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE template SET sealed = x''",
        # One person's templates given to another: the rows, then only what is sealed in them.
        "UPDATE template SET person = LAST WHERE person = FIRST",
        "UPDATE template SET sealed = (SELECT o.sealed FROM template o WHERE o.person = FIRST)"
        " WHERE person = LAST",
        # One template in place of the other one of the same person.
        "UPDATE template SET sealed = (SELECT max(o.sealed) FROM template o"
        " WHERE o.person = template.person)",
        # One fewer, none, one more.
        "DELETE FROM template WHERE id = (SELECT min(id) FROM template)",
        "DELETE FROM template",
        "INSERT INTO template SELECT randomblob(16), person, sealed FROM template LIMIT 1",
        "UPDATE template SET id = randomblob(16)",
    ],
)
def test_tampered_and_swapped_templates_are_never_compared(path: Path, statement: str) -> None:
    tamper(path, statement)
    with pytest.raises(GalleryError, match="a template was tampered with") as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 'x' WHERE name = 'head'",
        "UPDATE meta SET value = 99999999999 WHERE name = 'head'",
        "UPDATE meta SET value = CAST(zeroblob(9) || substr(value, 10) AS BLOB)"
        " WHERE name = 'head'",
        "UPDATE meta SET value = x'' WHERE name = 'head'",
        "DELETE FROM meta WHERE name = 'head'",
        "UPDATE meta SET value = 'x' WHERE name = 'data_key'",
        "UPDATE meta SET value = 9e999 WHERE name = 'data_key'",
        "DELETE FROM meta WHERE name = 'data_key'",
        "UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'data_key')"
        " WHERE name = 'head'",
    ],
)
def test_a_head_that_is_not_ours_is_damage(path: Path, statement: str) -> None:
    tamper(path, statement)
    with pytest.raises(GalleryError, match="the gallery is damaged") as caught:
        read_all(path)
    assert "restore the gallery" in caught.value.fix


@pytest.mark.parametrize("table", ["person", "template", "meta"])
def test_a_table_or_a_column_that_is_gone_is_a_gallery_error(path: Path, table: str) -> None:
    for change in (f"ALTER TABLE {table} RENAME TO aside", f"DROP TABLE {table}"):
        copy = path.with_name("copy.db")
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        database = sqlite3.connect(copy)
        database.execute(change)
        database.close()
        with pytest.raises(GalleryError):
            read_all(copy)


def test_a_row_of_an_older_state_is_refused_even_with_its_templates(path: Path) -> None:
    """Dan as he was before he was deleted, and Bob as he was before he was renamed."""
    file = path.with_name("other.db")
    with Gallery.open(file, KEY, create=True, now=lambda: NOON) as gallery:
        for name in ("Bob", "Dan"):
            gallery.enrol(name, TWO, MODEL, consent_at=NOON, source="photo")
        was = people_of(file), templates_of(file)
        gallery.edit("bob", name="Robert")
        gallery.delete("dan")
    read_all(file)
    database = sqlite3.connect(file)
    database.executemany("INSERT OR REPLACE INTO person VALUES (?, ?)", was[0])
    database.executemany("INSERT OR IGNORE INTO template VALUES (?, ?, ?)", was[1])
    database.commit()
    database.close()
    with pytest.raises(GalleryError, match="tampered with"):
        read_all(file)


def people_of(path: Path) -> list[tuple[bytes, bytes]]:
    database = sqlite3.connect(path)
    rows = database.execute("SELECT key, sealed FROM person").fetchall()
    database.close()
    return rows


def templates_of(path: Path) -> list[tuple[bytes, bytes, bytes]]:
    database = sqlite3.connect(path)
    rows = database.execute("SELECT id, person, sealed FROM template").fetchall()
    database.close()
    return rows


@pytest.mark.parametrize(
    "write",
    [
        lambda gallery: gallery.enrol("Eve", TWO, MODEL, consent_at=NOON, source="photo"),
        lambda gallery: gallery.edit("bob", groups=[]),
        lambda gallery: gallery.add_templates("bob", TWO, MODEL, source="photo"),
        lambda gallery: gallery.delete("bob"),
        lambda gallery: gallery.reseal(TemplateKey(b"n" * 32)),
    ],
)
def test_no_write_makes_a_tampered_gallery_good_again(
    path: Path, write: Callable[[Gallery], object]
) -> None:
    tamper(path, "DELETE FROM person WHERE key = FIRST")
    with (
        Gallery.open(path, KEY, now=lambda: NOON) as gallery,
        pytest.raises(GalleryError, match="tampered with"),
    ):
        write(gallery)
    with pytest.raises(GalleryError, match="tampered with"):
        read_all(path)


def test_a_trigger_that_somebody_planted_is_not_taken_for_ours(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TRIGGER planted AFTER INSERT ON template BEGIN"
        " DELETE FROM person WHERE key = (SELECT min(key) FROM person WHERE key != NEW.person);"
        " END"
    )
    database.close()
    with Gallery.open(path, KEY, now=lambda: NOON) as gallery:
        gallery.enrol("Eve", TWO, MODEL, consent_at=NOON, source="photo")
    with pytest.raises(GalleryError, match="tampered with"):
        read_all(path)


def test_nothing_of_anybody_can_be_read_in_the_files(path: Path) -> None:
    with Gallery.open(path, KEY, now=lambda: NOON) as gallery:
        gallery.enrol(
            "Zenobia",
            TWO,
            MODEL,
            consent_at=NOON,
            valid_from=NOON + timedelta(days=1),
            groups=["gardeners"],
            source="photo",
        )
        exported = gallery.export("zenobia")
        data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    told = [exported["person_id"], exported["name"], "gardeners", MODEL, "photo", "2026-11"]
    for word in told:
        assert word.encode().lower() not in data.lower()
    assert TWO[1].tobytes()[:64] not in data
    assert b"CREATE TABLE person" in data


def test_the_same_person_has_another_row_key_in_another_gallery(path: Path) -> None:
    other = path.with_name("other.db")
    with Gallery.open(other, KEY, create=True, now=lambda: NOON) as gallery:
        gallery.enrol("Ada", TWO, MODEL, consent_at=NOON, source="photo")
    assert {row[0] for row in people_of(path)}.isdisjoint(row[0] for row in people_of(other))
