"""Collected pictures: private, whole, never overwritten, found again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneglance.errors import ImageError
from oneglance.training.data.collect_store import Collection, open_collection

AT = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
ADA = {"name": "Ada", "consent_at": AT.isoformat(), "origin": "own camera"}


def add(collection: Collection, role: str = "anchor", data: bytes = b"picture") -> Path:
    return collection.add(role, data, "jpg", AT, {"step": "straight"})


def record(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "collection.json").read_text())
    return content


def test_a_picture_is_kept_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    path = add(open_collection(tmp_path / "data", "ada", ADA))
    assert path == tmp_path / "data" / "ada" / "anchor_0001.jpg"
    assert path.read_bytes() == b"picture"
    written = record(path.parent)
    assert {key: written[key] for key in ADA} == ADA
    assert written["pictures"] == [
        {
            "file": "anchor_0001.jpg",
            "role": "anchor",
            "taken_at": "2026-05-01T12:00:00.000+00:00",
            "sha256": hashlib.sha256(b"picture").hexdigest(),
            "step": "straight",
        }
    ]


def test_only_the_owner_can_read_pictures_of_people(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = add(open_collection(tmp_path / "data", "ada", ADA))
    finally:
        os.umask(before)
    modes = {
        p.relative_to(tmp_path).as_posix(): p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")
    }
    assert modes == {
        "data": 0o700,
        "data/ada": 0o700,
        "data/ada/anchor_0001.jpg": 0o600,
        "data/ada/collection.json": 0o600,
    }
    assert path.exists()


def test_a_folder_that_all_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir(mode=0o755)
    open_collection(tmp_path, "ada", ADA)
    assert (tmp_path / "ada").stat().st_mode & 0o777 == 0o700


def test_a_second_run_goes_on_and_overwrites_nothing(tmp_path: Path) -> None:
    first = open_collection(tmp_path, "ada", ADA)
    add(first, "anchor", b"1")
    add(first, "positive", b"2")
    second = open_collection(tmp_path, "ada", {**ADA, "consent_at": "later"})
    assert add(second, "anchor", b"3").name == "anchor_0002.jpg"
    assert add(second, "positive", b"4").name == "positive_0002.jpg"
    third = open_collection(tmp_path, "ada", ADA)
    assert [p["file"] for p in third.pictures] == [
        *("anchor_0001.jpg", "positive_0001.jpg", "anchor_0002.jpg", "positive_0002.jpg")
    ]
    assert third.count_by("role") == {"anchor": 2, "positive": 2}
    assert (tmp_path / "ada" / "anchor_0001.jpg").read_bytes() == b"1"
    # Consent was given when it began.
    assert record(tmp_path / "ada")["consent_at"] == ADA["consent_at"]


def test_numbers_of_pictures_that_were_deleted_in_between_are_not_filled_up(
    tmp_path: Path,
) -> None:
    collection = open_collection(tmp_path, "ada", ADA)
    paths = [add(collection, data=bytes([i])) for i in range(3)]
    paths[0].unlink()
    assert add(collection, data=b"new").name == "anchor_0004.jpg"


def test_another_persons_pictures_do_not_get_into_the_folder(tmp_path: Path) -> None:
    add(open_collection(tmp_path, "ada", ADA))
    with pytest.raises(ImageError, match="of 'Ada', not of 'Adam'"):
        open_collection(tmp_path, "ada", {**ADA, "name": "Adam"})


def test_a_picture_that_lost_its_record_to_a_power_cut_is_recorded(tmp_path: Path) -> None:
    collection = open_collection(tmp_path, "ada", ADA)
    add(collection)
    # What a crash between the picture and its record leaves, and one inside a picture's writing.
    (collection.folder / "positive_0001.jpg").write_bytes(b"whole")
    (collection.folder / ".new-positive_0002.jpg").write_bytes(b"ha")
    again = open_collection(tmp_path, "ada", ADA)
    assert [(p["file"], p["step"]) for p in again.pictures] == [
        ("anchor_0001.jpg", "straight"),
        ("positive_0001.jpg", "unrecorded"),
    ]
    assert record(again.folder)["pictures"] == again.pictures
    assert add(again, "positive").name == "positive_0002.jpg"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 1}', '{"format": 9, "pictures": []}']
)
def test_a_damaged_record_is_an_error_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    add(open_collection(tmp_path, "ada", ADA))
    path = tmp_path / "ada" / "collection.json"
    path.write_text(content)
    with pytest.raises(ImageError) as caught:
        open_collection(tmp_path, "ada", ADA)
    assert caught.value.where == str(path)
    assert path.read_text() == content


def test_a_place_that_cannot_be_written_to_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match="the collection cannot be used") as caught:
        open_collection(tmp_path / "file", "ada", ADA)
    assert "--out" in caught.value.fix


def test_an_empty_collection_leaves_nothing_behind_and_a_full_one_stays(tmp_path: Path) -> None:
    empty, full = (open_collection(tmp_path, who, ADA) for who in ("ada", "bo"))
    add(full)
    empty.discard_if_empty()
    full.discard_if_empty()
    assert [path.name for path in tmp_path.iterdir()] == ["bo"]
    assert len(full.pictures) == 1


def test_a_full_disk_leaves_what_was_collected_whole(tmp_path: Path) -> None:
    """A file size limit stands for the disk: the kernel refuses the bytes beyond it."""
    script = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from oneglance.errors import ImageError
from oneglance.training.data.collect_store import open_collection
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
collection = open_collection(Path(sys.argv[1]), "ada", {"name": "Ada"})
collection.add("anchor", b"small", "jpg", datetime.now(UTC), {})
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    collection.add("anchor", b"large" * 10_000, "jpg", datetime.now(UTC), {})
except ImageError as error:
    print(error)
assert len(collection.pictures) == 1
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "the picture cannot be kept" in result.stdout
    assert "--out" in result.stdout
    assert sorted(path.name for path in (tmp_path / "ada").iterdir()) == [
        "anchor_0001.jpg",
        "collection.json",
    ]
    assert len(open_collection(tmp_path, "ada", {"name": "Ada"}).pictures) == 1
