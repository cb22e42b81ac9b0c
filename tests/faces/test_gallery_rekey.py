"""A new gallery key: whenever it is cut short, one key opens the whole gallery."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from oneglance.errors import GalleryError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.rekey import rekey
from oneglance.faces.gallery.vault import TemplateKey, create_key, load_key
from oneglance.faces.gallery.witness import RestoredGalleryError, Witness

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MODEL = "m"
TWO = np.eye(2, 192, dtype=np.float32)


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """A folder with a key, and a gallery of Ada and Bob."""
    create_key(tmp_path / "gallery.key")
    with opened(tmp_path, create=True) as gallery:
        for name in ("Ada", "Bob"):
            gallery.enrol(name, TWO, MODEL, consent_at=NOON, groups=["family"], source="photo")
    return tmp_path


def opened(door: Path, key: str = "gallery.key", *, create: bool = False) -> Gallery:
    return Gallery.open(
        door / "gallery.db",
        load_key(door / key),
        create=create,
        now=lambda: NOON,
        witness=Witness(door / "generation"),
    )


def rekeyed(door: Path) -> None:
    rekey(door / "gallery.db", door / "gallery.key", Witness(door / "generation"))


def everybody(door: Path) -> object:
    with opened(door) as gallery:
        people = gallery.list_people()
        snapshot = gallery.snapshot(MODEL, NOON)
    np.testing.assert_array_equal(snapshot.templates, np.concatenate([TWO, TWO]))
    return people


def test_the_new_key_opens_all_and_the_old_one_nothing(door: Path) -> None:
    before = everybody(door)
    shutil.copy(door / "gallery.key", door / "old.key")
    database = sqlite3.connect(door / "gallery.db")
    query = "SELECT sealed FROM person UNION SELECT sealed FROM template UNION SELECT key"
    blobs = [blob for (blob,) in database.execute(f"{query} FROM person")]
    database.close()
    rekeyed(door)
    assert (door / "gallery.key").read_bytes() != (door / "old.key").read_bytes()
    assert everybody(door) == before
    with pytest.raises(GalleryError, match="another key") as caught:
        opened(door, "old.key")
    assert "restart the daemon" in caught.value.fix
    data = b"".join(file.read_bytes() for file in door.glob("gallery.db*"))
    assert not any(blob[:16] in data for blob in blobs)
    assert sorted(file.name for file in door.iterdir()) == [
        "gallery.db",
        "gallery.key",
        "generation",
        "old.key",
    ]
    assert (door / "gallery.key").stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_has_the_gallery_open_is_told(door: Path) -> None:
    with opened(door) as daemon:
        seen = daemon.change_counter()
        rekeyed(door)
        with pytest.raises(GalleryError, match="another key"):
            daemon.change_counter()
    with opened(door) as daemon:
        assert daemon.change_counter() > seen


STEPS = {
    "before the new key": "patch(rekey, 'next_key', before)",
    "after the new key": "patch(rekey, 'next_key', after)",
    "while everything is sealed": "patch(Gallery, '_insert', after)",
    "after everything is sealed": "patch(Gallery, 'reseal', after)",
    "before the key takes its place": "patch(rekey, 'take_place', before)",
    "after the key took its place": "patch(rekey, 'take_place', after)",
    "before the old key is forgotten": "patch(Gallery, 'forget_former_key', before)",
    "before old pages are erased": "patch(Gallery, 'erase', before)",
    "after old pages are erased": "patch(Gallery, 'erase', after)",
}
CHILD = """
    import os, signal, sys
    from pathlib import Path
    from oneglance.faces.gallery import rekey
    from oneglance.faces.gallery.gallery import Gallery
    from oneglance.faces.gallery.witness import Witness

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def before(work):
        return lambda *arguments: die()

    def after(work):
        return lambda *arguments: (work(*arguments), die())

    def patch(owner, name, how):
        setattr(owner, name, how(getattr(owner, name)))

    door = Path(sys.argv[1])
    STEP
    rekey.rekey(door / "gallery.db", door / "gallery.key", Witness(door / "generation"))
"""


def killed(door: Path, step: str) -> None:
    code = textwrap.dedent(CHILD).replace("STEP", STEPS[step])
    done = subprocess.run([sys.executable, "-c", code, str(door)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_a_pair_that_fits_and_running_it_again_ends_it(
    door: Path, step: str
) -> None:
    before = everybody(door)
    shutil.copy(door / "gallery.key", door / "old.key")
    killed(door, step)
    assert everybody(door) == before
    with opened(door) as gallery:
        gallery.edit("ada", groups=["guest"])
        gallery.edit("ada", groups=["family"])
    rekeyed(door)
    assert everybody(door) == before
    with pytest.raises(GalleryError, match="another key"):
        opened(door, "old.key")
    assert not (door / "gallery.key.next").exists()


def test_a_new_key_lost_before_it_took_its_place_is_made_again(door: Path) -> None:
    before = everybody(door)
    for spoil in (Path.unlink, lambda file: file.write_bytes(b"short")):
        killed(door, "before the key takes its place")
        spoil(door / "gallery.key.next")
        assert everybody(door) == before
        rekeyed(door)
        assert everybody(door) == before


def test_a_folder_that_takes_no_key_leaves_all_as_it_was(door: Path) -> None:
    (door / "gallery.key.next").mkdir()
    before = {file.name: file.read_bytes() for file in door.iterdir() if file.is_file()}
    with pytest.raises(GalleryError, match="cannot write the new key") as caught:
        rekeyed(door)
    assert "nothing was changed" in caught.value.fix
    assert before == {file.name: file.read_bytes() for file in door.iterdir() if file.is_file()}


def test_what_else_the_key_seals_is_sealed_anew_before_the_old_key_goes(door: Path) -> None:
    beside = door / "beside"
    beside.write_bytes(load_key(door / "gallery.key").seal(b"names", b""))
    fails = [True]

    def others(former: TemplateKey, successor: TemplateKey) -> None:
        try:
            plain = successor.open(beside.read_bytes(), b"")
        except GalleryError:
            plain = former.open(beside.read_bytes(), b"")
        beside.write_bytes(successor.seal(plain, b""))
        if fails.pop():
            raise GalleryError("the disk is full")

    before, key = everybody(door), (door / "gallery.key").read_bytes()
    where = door / "gallery.db", door / "gallery.key", Witness(door / "generation")
    with pytest.raises(GalleryError, match="full"):
        rekey(*where, others)
    assert (door / "gallery.key").read_bytes() == key
    assert everybody(door) == before
    fails.append(False)
    rekey(*where, others)
    assert everybody(door) == before
    assert load_key(door / "gallery.key").open(beside.read_bytes(), b"") == b"names"


def test_an_older_copy_is_not_given_a_new_key(door: Path) -> None:
    shutil.copy(door / "gallery.db", door / "backup.db")
    with opened(door) as gallery:
        gallery.delete("bob")
    shutil.copy(door / "backup.db", door / "gallery.db")
    with pytest.raises(RestoredGalleryError):
        rekeyed(door)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_a_key_made_by_root_belongs_to_whom_the_old_one_belonged(door: Path) -> None:
    os.chown(door / "gallery.key", 4321, 4321)
    rekeyed(door)
    status = (door / "gallery.key").stat()
    assert (status.st_uid, status.st_gid) == (4321, 4321)
