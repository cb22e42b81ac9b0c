"""A gallery that version 1 made, where names stood in the clear, opens as it was, and sealed."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.gallery import Gallery, Person
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.gallery.witness import RestoredGalleryError, Witness

# Made by version 1: Ada Lovelace with two templates and one of an older model, Zoë Müller with
# one, and Eve, deleted again.
OLD = Path(__file__).with_name("gallery-version-1.db")
KEY = TemplateKey(b"k" * 32)
MODEL = "mobileface-2:0123456789ab"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ADA = Person(
    "ada-lovelace",
    "Ada Lovelace",
    NOON,
    NOON - timedelta(hours=1),
    None,
    3,
    (MODEL, "older:1"),
)
ZOE = Person(
    "zoe-muller", "Zo\u00eb M\u00fcller", NOON, NOON, NOON + timedelta(days=1), 1, (MODEL,)
)


def unit(count: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, 192))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gallery.db"
    shutil.copyfile(OLD, file)
    file.chmod(0o600)
    return file


def everything(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def test_everybody_is_there_as_before(path: Path) -> None:
    with Gallery.open(path, KEY, now=lambda: NOON) as gallery:
        assert gallery.list_people() == [ADA, ZOE]
        exported = gallery.export("ada-lovelace")
        assert [one["source"] for one in exported["templates"]] == ["photo", "photo", "camera"]
        assert {one["created_at"] for one in exported["templates"]} == {
            "2026-11-24T12:00:00.000000+00:00"
        }
        gallery.delete("ada-lovelace")
        np.testing.assert_array_equal(gallery.snapshot(MODEL, NOON).templates, unit(1, seed=5))
    with Gallery.open(path, KEY) as again:
        assert again.list_people() == [ZOE]


def test_an_old_version_put_back_later_is_refused_whatever_age_it_claims(path: Path) -> None:
    """Its names and its counter of changes stand in the clear: anybody could have written them."""
    witness = Witness(path.with_name("generation"))
    with Gallery.open(path, KEY, witness=witness) as gallery:
        gallery.list_people()
    database = sqlite3.connect(OLD)
    database.backup(put_back := sqlite3.connect(path))
    put_back.execute("UPDATE meta SET value = 1000000 WHERE name = 'changes'")
    put_back.execute("UPDATE person SET name = 'Eve' WHERE id = 'ada-lovelace'")
    put_back.commit()
    put_back.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    put_back.close()
    database.close()
    before = everything(path)
    with pytest.raises(RestoredGalleryError, match="an older copy of the gallery"):
        Gallery.open(path, KEY, witness=witness)
    assert everything(path) == before
    # As 'accept-restore' opens it, to show who is in it: that alone accepts nothing.
    with Gallery.open(path, KEY) as gallery:
        assert gallery.show("ada-lovelace").name == "Eve"
    with (
        Gallery.open(path, KEY, witness=witness) as gallery,
        pytest.raises(RestoredGalleryError),
    ):
        gallery.list_people()
    with Gallery.open(path, KEY) as gallery:
        gallery.accept(witness)
    with Gallery.open(path, KEY, witness=witness) as gallery:
        assert len(gallery.list_people()) == 2


def test_nothing_that_was_in_the_clear_is_left(path: Path) -> None:
    words = (b"lovelace", "zo\u00eb".encode(), b"zoe-muller", b"older:1", b"2026-11")
    before = everything(path)["gallery.db"].lower()
    assert all(word in before for word in words)
    database = sqlite3.connect(path)
    sealed = [blob for (blob,) in database.execute("SELECT sealed FROM template")]
    database.close()
    with Gallery.open(path, KEY):
        after = b"".join(everything(path).values())
    assert not any(word in after.lower() for word in words)
    assert not any(blob[:32] in after for blob in sealed)


def test_what_is_left_when_another_program_reads_old_pages_goes_with_the_next_purge(
    path: Path,
) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM person").fetchone()
    code = """
        import sys
        from pathlib import Path
        from oneglance.faces.gallery.gallery import Gallery
        from oneglance.faces.gallery.vault import TemplateKey
        path, key = Path(sys.argv[1]), TemplateKey(b"k" * 32)
        with Gallery.open(path, key, busy_timeout_s=0.05) as gallery:
            print(len(gallery.list_people()))
    """
    assert run(code, path) == (0, "2\n")
    assert b"Lovelace" in b"".join(everything(path).values())
    reader.execute("COMMIT")
    reader.close()
    with Gallery.open(path, KEY) as gallery:
        assert gallery.purge_expired(NOON) == []
        assert b"Lovelace" not in b"".join(everything(path).values())


def run(code: str, path: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE template SET sealed = x'00'", "a template was tampered with"),
        ("UPDATE template SET person_id = 'zoe-muller'", "a template was tampered with"),
        ("UPDATE template SET model_id = 'x'", "a template was tampered with"),
        ("UPDATE template SET created_at = 'x'", "damaged"),
        ("UPDATE template SET id = 'x' || id", "a template was tampered with"),
        ("UPDATE person SET name = 'Ada' || char(27)", "damaged"),
        ("UPDATE person SET name = CAST(x'41646180' AS TEXT)", "damaged"),
        ("UPDATE person SET id = 'A B' WHERE id = 'ada-lovelace'", "damaged"),
        ("UPDATE person SET consent_at = 'yesterday'", "damaged"),
        ("UPDATE person SET expires_at = '2027-01-01'", "damaged"),
        ("UPDATE meta SET value = 'x' WHERE name = 'key_check'", "damaged"),
        ("UPDATE meta SET value = x'00' WHERE name = 'key_check'", "another key"),
        ("DELETE FROM meta", "damaged"),
    ],
)
def test_what_version_1_would_refuse_is_refused_and_left_as_it_is(
    path: Path, statement: str, complaint: str
) -> None:
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    before = everything(path)
    with pytest.raises(GalleryError, match=complaint) as caught:
        Gallery.open(path, KEY)
    assert "\n" not in str(caught.value)
    assert "Ada" not in str(caught.value)
    assert everything(path) == before


def test_another_key_leaves_it_as_it_is(path: Path) -> None:
    before = everything(path)
    with pytest.raises(GalleryError, match="another key"):
        Gallery.open(path, TemplateKey(b"x" * 32))
    assert everything(path) == before


@pytest.mark.parametrize("seals", [1, 3, 5, 6])
def test_a_kill_in_the_middle_leaves_the_old_gallery_whole(path: Path, seals: int) -> None:
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from oneglance.faces.gallery.gallery import Gallery
        from oneglance.faces.gallery.vault import TemplateKey
        seal, left = TemplateKey.seal, [{seals}]
        def dying(self, plaintext, context):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return seal(self, plaintext, context)
        TemplateKey.seal = dying
        Gallery.open(Path(sys.argv[1]), TemplateKey(b"k" * 32))
    """
    assert run(code, path)[0] == -signal.SIGKILL
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM person").fetchone() == (2,)
    database.close()
    with Gallery.open(path, KEY) as gallery:
        assert gallery.list_people() == [ADA, ZOE]


def test_a_full_disk_leaves_the_old_gallery_whole(path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from oneglance.errors import GalleryError
        from oneglance.faces.gallery.gallery import Gallery
        from oneglance.faces.gallery.vault import TemplateKey
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, resource.RLIM_INFINITY))
        try:
            Gallery.open(Path(sys.argv[1]), TemplateKey(b"k" * 32))
        except GalleryError as error:
            print(error.what)
    """
    status, said = run(code, path)
    assert status == 0
    assert "disk" in said
    with Gallery.open(path, KEY) as gallery:
        assert gallery.list_people() == [ADA, ZOE]
