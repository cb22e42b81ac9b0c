"""The gallery's file: private, whole after a crash, and never harmed by being opened."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import is_there
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import TemplateKey

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = TemplateKey(b"k" * 32)
MODEL = "mobileface-2:0123456789ab"
TWO = np.eye(2, 192, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery with Ada and Bob, closed."""
    file = tmp_path / "state" / "gallery.db"
    with Gallery.open(file, KEY, create=True, now=lambda: NOON) as gallery:
        gallery.enrol("Ada", TWO, MODEL, consent_at=NOON, source="photo")
        gallery.enrol("Bob", TWO, MODEL, consent_at=NOON, source="photo")
    return file


def everything(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def modes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}


def test_the_files_and_their_folder_are_private_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "state" / "gallery.db"
    before = os.umask(0)
    try:
        with Gallery.open(path, KEY, create=True, now=lambda: NOON) as gallery:
            gallery.enrol("Ada", TWO, MODEL, consent_at=NOON, source="photo")
            private = dict.fromkeys(("gallery.db", "gallery.db-wal", "gallery.db-shm"), 0o600)
            assert modes(path) == private
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_makes_in_the_services_folder_belongs_to_the_service(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4321, 4321)
    with Gallery.open(folder / "gallery.db", KEY, create=True, now=lambda: NOON) as gallery:
        gallery.enrol("Ada", TWO, MODEL, consent_at=NOON, source="photo")
        assert {file.stat().st_uid for file in folder.iterdir()} == {4321}
        assert len(list(folder.iterdir())) == 3


def test_a_gallery_open_to_others_is_refused_with_the_way_out(path: Path) -> None:
    path.chmod(0o640)
    with pytest.raises(GalleryError, match="mode 0640") as caught:
        Gallery.open(path, KEY)
    assert caught.value.fix == f"run: chmod 600 {path}"


def test_a_missing_gallery_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="there is no gallery") as caught:
        Gallery.open(tmp_path / "gallery.db", KEY)
    assert "people enrol" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_a_gallery_cut_to_nothing_is_not_taken_for_a_new_one(path: Path, create: bool) -> None:
    os.truncate(path, 0)
    with pytest.raises(GalleryError, match="empty file"):
        Gallery.open(path, KEY, create=create)
    assert everything(path) == {"gallery.db": b""}


def test_a_gallery_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GalleryError, match="Not a directory"):
        Gallery.open(tmp_path / "file" / "gallery.db", KEY, create=True)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_another_key_is_noticed_and_nothing_is_lost(path: Path) -> None:
    before = everything(path)
    for create in (False, True):
        with pytest.raises(GalleryError, match="made with another key") as caught:
            Gallery.open(path, TemplateKey(b"x" * 32), create=create)
        assert "gallery.key_file" in caught.value.fix
    assert everything(path) == before
    with Gallery.open(path, KEY) as gallery:
        assert len(gallery.snapshot(MODEL, NOON).person_ids) == 4


def test_a_gallery_that_may_not_be_looked_for_is_a_gallery_error(tmp_path: Path) -> None:
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    hidden = tmp_path / ("x" * 300)
    for create in (False, True):
        with pytest.raises(GalleryError, match="name too long"):
            Gallery.open(hidden, KEY, create=create)
    with pytest.raises(GalleryError, match="cannot look for the gallery"):
        is_there(hidden)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scribble(data: bytes) -> bytes:
    return data[:4096] + b"\xa5" * (len(data) - 4096)


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        scribble,
        lambda data: data[:100],
        lambda data: b"garbage" * 1000,
        lambda data: b"\x00" * len(data),
        lambda data: b"SQLite format 3\x00" + b"\xff" * (len(data) - 16),
    ],
    ids=["half", "scribbled", "header", "text", "zeros", "magic-only"],
)
@pytest.mark.parametrize("create", [False, True])
def test_a_damaged_file_gives_one_line_and_is_left_as_it_is(
    path: Path, spoil: Callable[[bytes], bytes], create: bool
) -> None:
    path.write_bytes(spoil(path.read_bytes()))
    before = everything(path)
    with pytest.raises(GalleryError) as caught:
        Gallery.open(path, KEY, create=create)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "restore the gallery from a backup" in caught.value.fix
    assert everything(path) == before


def test_another_programs_database_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE bookmark (url TEXT)")
    database.close()
    path.chmod(0o600)
    before = everything(path)
    with pytest.raises(GalleryError, match="not a gallery of oneglance"):
        Gallery.open(path, KEY, create=True)
    assert everything(path) == before


def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    database = sqlite3.connect(path)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    database.execute(f"PRAGMA user_version = {version + 1}")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    before = everything(path)
    with pytest.raises(GalleryError, match=f"has version {version + 1}") as caught:
        Gallery.open(path, KEY)
    assert "update oneglance" in caught.value.fix
    assert everything(path) == before


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="not a regular file"):
        Gallery.open(tmp_path, KEY, create=True)


def test_use_from_another_thread_is_a_gallery_error(path: Path) -> None:
    caught: list[BaseException] = []

    def use(gallery: Gallery) -> None:
        try:
            gallery.list_people()
        except BaseException as error:
            caught.append(error)

    with Gallery.open(path, KEY) as gallery:
        thread = threading.Thread(target=use, args=(gallery,))
        thread.start()
        thread.join()
    assert [type(error) for error in caught] == [GalleryError]


def test_a_closed_gallery_is_a_gallery_error(path: Path) -> None:
    gallery = Gallery.open(path, KEY)
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="closed"):
        gallery.list_people()


def test_a_gallery_kept_busy_by_another_program_is_a_gallery_error(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with Gallery.open(path, KEY, now=lambda: NOON, busy_timeout_s=0.05) as gallery:
        with pytest.raises(GalleryError, match="busy"):
            gallery.enrol("Cleo", TWO, MODEL, consent_at=NOON, source="photo")
        database.close()
        gallery.enrol("Cleo", TWO, MODEL, consent_at=NOON, source="photo")


def test_two_programs_may_make_the_same_gallery_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gallery.db"
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def make(index: int) -> None:
        start.wait()
        try:
            with Gallery.open(path, KEY, create=True, now=lambda: NOON) as gallery:
                gallery.enrol(f"P{index}", TWO, MODEL, consent_at=NOON, source="photo")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Gallery.open(path, KEY) as gallery:
        assert [one.person_id for one in gallery.list_people()] == ["p0", "p1", "p2", "p3"]


CHILD = """
    import sys, time
    from datetime import UTC, datetime
    from pathlib import Path
    import numpy as np
    from oneglance.faces.gallery.gallery import Gallery
    from oneglance.faces.gallery.vault import TemplateKey

    NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

    seal = TemplateKey.seal

    def stop_at(left):
        '''Seal as always, but stop for ever before the template that is to be the last.'''
        def seal_until(self, plaintext, context):
            nonlocal left
            if context.startswith(b"template"):
                left -= 1
                if left == 0:
                    print("inside", flush=True)
                    time.sleep(3600)
            return seal(self, plaintext, context)
        TemplateKey.seal = seal_until
"""


def child(code: str, path: Path) -> subprocess.Popen[str]:
    program = textwrap.dedent(CHILD) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("templates", [3, 2500], ids=["in-memory", "spilled-to-disk"])
def test_a_kill_in_the_middle_of_an_enrolment_leaves_the_old_gallery_whole(
    path: Path, templates: int
) -> None:
    code = f"""
        stop_at({templates})
        rows = np.eye({templates}, 512, dtype=np.float32)
        rows[:, 0] = rows[:, 0] + (rows.sum(axis=1) == 0)
        key = TemplateKey(b"k" * 32)
        with Gallery.open(Path(sys.argv[1]), key, now=lambda: NOON) as gallery:
            gallery.enrol("Cleo", rows, "{MODEL}", consent_at=NOON, source="photo")
    """
    with Gallery.open(path, KEY) as gallery:
        before = gallery.list_people()
        counter = gallery.change_counter()
        with child(code, path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "inside\n"
            assert gallery.list_people() == before
            written = path.with_name("gallery.db-wal").stat().st_size
            assert (written > 1_000_000) == (templates == 2500)
            process.send_signal(signal.SIGKILL)
        assert gallery.list_people() == before
        assert gallery.change_counter() == counter
    with Gallery.open(path, KEY, now=lambda: NOON) as gallery:
        assert gallery.list_people() == before
        assert len(gallery.snapshot(MODEL, NOON).person_ids) == 4
        gallery.enrol("Cleo", TWO, MODEL, consent_at=NOON, source="photo")
        assert len(gallery.snapshot(MODEL, NOON).person_ids) == 6


def test_a_kill_at_any_moment_leaves_only_whole_people(path: Path) -> None:
    code = f"""
        with Gallery.open(Path(sys.argv[1]), TemplateKey(b"k" * 32), now=lambda: NOON) as gallery:
            number = len(gallery.list_people())
            while True:
                person = f"q{{number}}"
                rows = np.eye(5, 192, dtype=np.float32)
                gallery.enrol(person, rows, "{MODEL}", consent_at=NOON, source="photo")
                print("stored", person, flush=True)
                number += 1
    """
    reported = {"ada", "bob"}
    for stored_before_the_kill in (1, 7, 16):
        with child(code, path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(stored_before_the_kill)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        reported |= {line.split()[1] for line in lines if line.endswith("\n")}
        with Gallery.open(path, KEY) as gallery:
            people = gallery.list_people()
            assert {one.templates for one in people if one.person_id[0] == "q"} == {5}
            assert {one.person_id for one in people} >= reported
            assert len(gallery.snapshot(MODEL, NOON).person_ids) == 4 + 5 * (len(people) - 2)


def test_a_full_disk_stores_nothing_and_loses_nothing(path: Path) -> None:
    """The kernel refuses to let the child's files grow: the same error path as a full disk."""
    code = f"""
        from oneglance.errors import GalleryError
        import resource
        rows = np.eye(300, 512, dtype=np.float32)
        with Gallery.open(Path(sys.argv[1]), TemplateKey(b"k" * 32), now=lambda: NOON) as gallery:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
            try:
                gallery.enrol("Cleo", rows, "{MODEL}", consent_at=NOON, source="photo")
            except GalleryError as error:
                print(error)
            print([one.person_id for one in gallery.list_people()])
    """
    with child(code, path) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    complaint, people = output.splitlines()
    assert "disk" in complaint
    assert people == "['ada', 'bob']"
    with Gallery.open(path, KEY) as gallery:
        assert len(gallery.snapshot(MODEL, NOON).person_ids) == 4


def test_a_copy_made_while_nothing_has_it_open_is_a_backup(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    shutil.copy2(path, backup)
    with Gallery.open(path, KEY) as gallery:
        gallery.delete("ada")
    with Gallery.open(backup, KEY) as gallery:
        assert [one.person_id for one in gallery.list_people()] == ["ada", "bob"]


def test_a_schema_that_is_no_utf_8_is_damage(path: Path) -> None:
    """SQLite then says what is wrong in bytes that Python cannot read: fuzzing found it."""
    path.write_bytes(path.read_bytes().replace(b"CREATE INDEX", b"CREATE \xe9NDEX"))
    before = everything(path)
    with pytest.raises(GalleryError, match="the gallery is damaged"):
        Gallery.open(path, KEY)
    assert everything(path) == before
