"""A gallery that was put back from an older copy is noticed, and counts only on purpose."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.errors import GalleryError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.gallery.witness import RestoredGalleryError, StaleLogError, Witness
from oneglance.number_file import read_number, write_number

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = TemplateKey(b"k" * 32)
MODEL = "m"
TWO = np.eye(2, 192, dtype=np.float32)


class Log:
    """A log in memory."""

    def __init__(self) -> None:
        self.noted: list[int] = []
        self.full = False

    def highest_generation(self) -> int | None:
        return max(self.noted, default=None)

    def note_generation(self, generation: int) -> None:
        if self.full:
            raise GalleryError("the log's disk is full")
        self.noted.append(generation)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gallery.db"


@pytest.fixture
def file(path: Path) -> Path:
    return path.with_name("gallery-generation")


def opened(path: Path, witness: Witness | None, *, create: bool = False) -> Gallery:
    return Gallery.open(path, KEY, create=create, now=lambda: NOON, witness=witness)


def enrol(gallery: Gallery, name: str) -> None:
    gallery.enrol(name, TWO, MODEL, consent_at=NOON, source="photo")


def made(path: Path, witness: Witness) -> None:
    """A gallery of Ada and Bob, closed."""
    with opened(path, witness, create=True) as gallery:
        enrol(gallery, "Ada")
        enrol(gallery, "Bob")


def copied(path: Path) -> Path:
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    backup.chmod(0o600)
    return backup


def restored(path: Path, backup: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(backup, path)


READS: list[Callable[[Gallery], object]] = [
    lambda gallery: gallery.list_people(),
    lambda gallery: gallery.show("ada"),
    lambda gallery: gallery.export("ada"),
    lambda gallery: gallery.snapshot(MODEL, NOON),
    lambda gallery: enrol(gallery, "Eve"),
    lambda gallery: gallery.edit("ada", name="Eve"),
    lambda gallery: gallery.delete("ada"),
    lambda gallery: gallery.purge_expired(NOON),
    lambda gallery: gallery.reseal(TemplateKey(b"n" * 32)),
]


@pytest.mark.parametrize("use", READS)
def test_an_older_copy_is_refused_for_reading_and_writing(
    path: Path, file: Path, use: Callable[[Gallery], object]
) -> None:
    witness = Witness(file)
    made(path, witness)
    backup = copied(path)
    with opened(path, witness) as gallery:
        gallery.delete("bob")
        seen = gallery.change_counter()
    restored(path, backup)
    before = path.read_bytes()
    with (
        opened(path, witness) as gallery,
        pytest.raises(RestoredGalleryError, match="an older copy of the gallery") as caught,
    ):
        use(gallery)
    assert f"generation {seen - 1}, {seen} was seen" in str(caught.value)
    assert "accept-restore" in caught.value.fix
    assert path.read_bytes() == before
    assert read_number(file) == seen


def test_an_older_copy_put_back_under_an_open_gallery_is_refused_too(
    path: Path, file: Path
) -> None:
    witness = Witness(file)
    made(path, witness)
    backup = copied(path)
    with opened(path, witness) as gallery:
        gallery.delete("bob")
        seen = gallery.change_counter()
        with closing(sqlite3.connect(backup)) as rows:
            tables = {
                table: rows.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                for table in ("meta", "person", "template")
            }
        with closing(sqlite3.connect(path, isolation_level=None)) as thief:
            for table in ("template", "person", "meta"):
                thief.execute(f"DELETE FROM {table}")  # noqa: S608
            for table, found in tables.items():
                marks = ", ".join("?" * len(found[0]))
                thief.executemany(f"INSERT INTO {table} VALUES ({marks})", found)  # noqa: S608
        assert gallery.change_counter() == seen - 1
        with pytest.raises(RestoredGalleryError):
            gallery.snapshot(MODEL, NOON)


def test_accepting_it_lets_it_count_and_every_other_copy_stays_refused(
    path: Path, file: Path
) -> None:
    witness = Witness(file)
    made(path, witness)
    backup = copied(path)
    with opened(path, witness) as gallery:
        gallery.delete("bob")
        seen = gallery.change_counter()
    newer = path.with_name("newer")
    shutil.copyfile(path, newer)
    restored(path, backup)
    with opened(path, None) as gallery:
        assert gallery.accept(witness) == seen + 1
    with opened(path, witness) as gallery:
        assert [one.person_id for one in gallery.list_people()] == ["ada", "bob"]
        assert gallery.change_counter() == read_number(file) == seen + 1
    for other in (backup, newer):
        restored(path, other)
        with opened(path, witness) as gallery, pytest.raises(RestoredGalleryError):
            gallery.list_people()


def test_a_new_gallery_begins_above_all_that_was_seen(path: Path, file: Path) -> None:
    witness = Witness(file)
    made(path, witness)
    seen = read_number(file)
    path.unlink()
    with opened(path, witness, create=True) as gallery:
        enrol(gallery, "Eve")
        assert gallery.change_counter() == seen + 2 == read_number(file)


def test_the_first_witness_of_a_gallery_takes_what_it_finds(path: Path, file: Path) -> None:
    with opened(path, None, create=True) as gallery:
        for name in ("Ada", "Bob", "Cleo"):
            enrol(gallery, name)
    log = Log()
    with opened(path, Witness(file, log)) as gallery:
        gallery.list_people()
        assert log.noted == [read_number(file)] == [gallery.change_counter()]


def test_a_log_that_begins_beside_an_old_number_is_told_at_the_first_reading(
    path: Path, file: Path
) -> None:
    made(path, Witness(file))
    log = Log()
    for _ in range(2):
        with opened(path, Witness(file, log)) as gallery:
            gallery.list_people()
    assert log.noted == [read_number(file)]


def test_a_damaged_witness_shuts_the_gallery_until_it_is_accepted(path: Path, file: Path) -> None:
    witness = Witness(file)
    made(path, witness)
    file.write_bytes(b"twelve\n")
    with opened(path, witness) as gallery, pytest.raises(GalleryError, match="damaged") as caught:
        gallery.list_people()
    assert "accept-restore" in caught.value.fix
    with opened(path, None) as gallery:
        gallery.accept(witness)
    with opened(path, witness) as gallery:
        assert len(gallery.list_people()) == 2


def test_a_witness_that_cannot_be_kept_is_said(path: Path, file: Path) -> None:
    made(path, Witness(file))
    beside_nothing = Witness(path.parent / "no folder" / "generation")
    with (
        opened(path, beside_nothing) as gallery,
        pytest.raises(GalleryError, match="cannot keep the gallery's generation"),
    ):
        gallery.list_people()
    file.unlink()
    file.mkdir()
    with opened(path, Witness(file)) as gallery, pytest.raises(GalleryError, match="cannot read"):
        gallery.list_people()


def test_the_log_knows_an_older_copy_when_the_file_was_put_back_as_well(
    path: Path, file: Path
) -> None:
    log = Log()
    witness = Witness(file, log)
    made(path, witness)
    backup, number = copied(path), read_number(file)
    with opened(path, witness) as gallery:
        gallery.delete("bob")
    restored(path, backup)
    write_number(file, number)
    with opened(path, witness) as gallery, pytest.raises(RestoredGalleryError):
        gallery.list_people()


def test_a_log_that_was_put_back_is_told_and_can_be_accepted(path: Path, file: Path) -> None:
    log = Log()
    witness = Witness(file, log)
    made(path, witness)
    log.noted.pop()
    with (
        opened(path, witness) as gallery,
        pytest.raises(StaleLogError, match="the gallery is newer than its log") as caught,
    ):
        gallery.list_people()
    assert "accept-restore" in caught.value.fix
    with opened(path, None) as gallery:
        gallery.accept(witness)
    with opened(path, witness) as gallery:
        assert len(gallery.list_people()) == 2
    assert log.noted[-1] == read_number(file)


def test_a_log_that_is_gone_is_no_first_log(path: Path, file: Path) -> None:
    made(path, Witness(file))
    with opened(path, Witness(file, Log())) as gallery:
        assert len(gallery.list_people()) == 2
    emptied = Witness(file, Log())
    with (
        opened(path, emptied) as gallery,
        pytest.raises(StaleLogError, match="the gallery's log is gone") as caught,
    ):
        gallery.list_people()
    assert "accept-restore" in caught.value.fix
    path.unlink()
    # Whoever begins anew begins above all that was seen, and with nobody.
    with opened(path, emptied, create=True) as gallery, pytest.raises(StaleLogError):
        gallery.list_people()
    with opened(path, None) as gallery:
        assert gallery.list_people() == []
        gallery.accept(emptied)
    with opened(path, emptied) as gallery:
        enrol(gallery, "Eve")


def test_a_log_that_takes_no_entry_is_said_and_nothing_is_lost(path: Path, file: Path) -> None:
    log = Log()
    witness = Witness(file, log)
    made(path, witness)
    seen = read_number(file)
    log.full = True
    with opened(path, witness) as gallery:
        with pytest.raises(GalleryError, match="disk is full"):
            gallery.delete("bob")
        with pytest.raises(GalleryError, match="disk is full"):
            gallery.list_people()
        assert read_number(file) == seen
        log.full = False
        assert [one.person_id for one in gallery.list_people()] == ["ada"]
    assert log.noted[-1] == read_number(file) == seen + 1


def test_a_reader_beside_a_writer_is_no_restored_gallery(path: Path, file: Path) -> None:
    """The number is asked for before the gallery: what is written in between is only newer."""
    witness = Witness(file)
    made(path, witness)

    class Overtaken(Witness):
        def floor(self) -> int:
            floor = super().floor()
            with opened(path, witness) as writer:
                writer.edit("ada", groups=[f"g{floor}"])
            return floor

    with opened(path, Overtaken(file)) as gallery:
        for _ in range(3):
            assert len(gallery.list_people()) == 2


@settings(max_examples=20)
@given(st.lists(st.integers(0, 50), max_size=8))
def test_a_witness_only_ever_rises(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    file = tmp_path_factory.mktemp("w") / "generation"
    log = Log()
    witness = Witness(file, log)
    highest = 0
    for number in numbers:
        witness.note(number)
        highest = max(highest, number)
        assert witness.floor() == witness.highest() == read_number(file) == highest
    assert log.noted == sorted(set(log.noted))
