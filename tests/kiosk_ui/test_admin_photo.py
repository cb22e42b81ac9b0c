"""Photographs from a stick: found, read and made small, whatever lies on it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from admin_walk import PIN, Screen, put_photos

from oneglance.contract.commands import MAX_COMMAND_BYTES
from oneglance.errors import MessageError
from oneglance.kiosk_ui import photo_shrink
from oneglance.kiosk_ui.admin_photo import ABSENT_LINES
from oneglance.kiosk_ui.photo_shelf import MAX_PICTURES, photos_below, read_photo
from oneglance.kiosk_ui.photo_shrink import LONGEST_PX, MAX_JPEG_BYTES, Fault, shrink, shrunk


def png(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def test_photos_are_found_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    stick = tmp_path / "media" / "STICK" / "DCIM"
    stick.mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.JPEG", "c.png", "notes.txt", ".hidden.jpg")):
        (stick / name).write_bytes(b"x")
        os.utime(stick / name, (1000 + number, 1000 + number))
    (stick / "folder.jpg").mkdir()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"x")
    (stick / "link.jpg").symlink_to(secret)
    (tmp_path / "media" / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(stick / "pipe.jpg")
    found = photos_below([tmp_path / "nowhere", tmp_path / "media"])
    assert [photo.name for photo in found] == ["c.png", "b.JPEG", "a.jpg"]
    assert found[0].folder == "DCIM"
    deep = stick.joinpath(*"123456")
    deep.mkdir(parents=True)
    (deep / "deep.jpg").write_bytes(b"x")
    for number in range(MAX_PICTURES + 5):
        (stick / f"{number}.jpg").write_bytes(b"")
    found = photos_below([tmp_path / "media"])
    assert len(found) == MAX_PICTURES
    assert "deep.jpg" not in {photo.name for photo in found}
    for name in ("link.jpg", "gone.jpg"):
        assert read_photo(stick / name) is Fault.UNREADABLE
    assert read_photo(stick / "pipe.jpg") is Fault.NO_PICTURE
    assert read_photo(stick / "a.jpg", max_bytes=0) is Fault.TOO_LARGE


def test_folders_without_end_are_left_after_so_many_entries_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"{number:02d}" / "a").mkdir(parents=True)
    (tmp_path / "99.jpg").write_bytes(b"x")
    assert len(photos_below([tmp_path])) == 1
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(folder) or scandir(folder))
    assert photos_below([tmp_path, tmp_path], max_entries=10) == ()
    # The first folder's entries take all; what is in them is not even listed.
    assert len(looked) <= 12


@pytest.mark.parametrize("at_s", [-(2.0**40), 2.0**40, 1e300])
def test_a_time_that_is_no_date_hides_no_photograph(
    monkeypatch: pytest.MonkeyPatch, at_s: float
) -> None:
    """As a stick with NTFS can say it; the file systems of most machines that test this cannot."""
    about = SimpleNamespace(st_mtime=at_s)
    entry = SimpleNamespace(
        name="a.jpg",
        path="/media/a.jpg",
        stat=lambda **_: about,
        is_dir=lambda **_: False,
        is_file=lambda **_: True,
    )
    monkeypatch.setattr(os, "scandir", lambda _folder: nullcontext([entry]))
    (photo,) = photos_below([Path("/media")])
    assert 1969 <= photo.changed_at.year <= 9000


def test_a_photograph_is_made_small_and_upright_in_a_process_of_its_own() -> None:
    sideways = np.zeros((900, 1600, 3), np.uint8)
    sideways[:, :800] = (0, 0, 190)
    noise = np.random.default_rng(1).integers(0, 60, sideways.shape, np.uint8)
    data = cv2.imencode(".jpg", sideways + noise)[1].tobytes()
    # As a telephone writes it: EXIF says that the picture's top is at its right.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    app1 = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    made = shrunk(data[:2] + app1 + data[2:])
    assert isinstance(made, bytes)
    picture = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR_BGR)
    assert picture.shape == (LONGEST_PX, 360, 3)
    assert picture[:200, :, 2].mean() > 180 > 60 > picture[-200:, :, 2].mean()
    assert len(made) * 4 / 3 < MAX_COMMAND_BYTES * 0.95
    assert shrunk(b"no picture") is Fault.NO_PICTURE


def test_a_decoder_that_was_taken_over_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over = tmp_path / "python"
    taken_over.write_text("#!/bin/sh\nprintf '\\377\\330'; head -c 1000000 /dev/zero\n")
    taken_over.chmod(0o700)
    code = (
        "from oneglance.kiosk_ui import photo_shrink\n"
        "photo_shrink.shrink = lambda data: bytes(1_000_000)\n"
        "photo_shrink.main()"
    )
    with (tmp_path / "said").open("wb") as said:
        subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    assert (tmp_path / "said").stat().st_size <= MAX_JPEG_BYTES
    monkeypatch.setattr(photo_shrink.sys, "executable", str(taken_over))
    assert shrunk(b"x") is Fault.UNREADABLE


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (png(60_000, 60_000), Fault.TOO_LARGE),
        (png(7_100, 7_100), Fault.TOO_LARGE),
        (png(100, 100), Fault.NO_PICTURE),
        (b"", Fault.NO_PICTURE),
        (b"GIF89a\x01\0\x01\0\0\0\0;", Fault.NO_PICTURE),
        (cv2.imencode(".jpg", np.zeros((9, 9, 3), np.uint8))[1].tobytes()[:200], Fault.NO_PICTURE),
    ],
    ids=["huge", "just too large", "empty PNG", "empty", "GIF", "torn"],
)
def test_what_is_huge_or_no_picture_is_one_word(data: bytes, fault: Fault) -> None:
    with pytest.raises(MessageError) as told:
        shrink(data)
    assert told.value.what == fault


def test_somebody_who_is_not_there_is_enrolled_from_a_photograph_they_agreed_to(
    tmp_path: Path,
) -> None:
    screen = Screen(tmp_path)
    put_photos(tmp_path / "media")
    screen.enter(PIN)
    assert screen.press("enrol", "photo") == "From a photograph"
    assert [item.text for item in screen.page.items] == [
        "IMG_20261129_174201.JPG",
        "IMG_20261129_174200.JPG",
    ]
    screen.press("photo 0")
    assert screen.line == "This is no JPEG or PNG picture, or a damaged one"
    screen.press("back")
    assert screen.press("photo 1") == "Is this the person?"
    assert screen.page.photo.startswith(b"\xff\xd8")
    assert screen.press("take", *"ada king", "done") == "Has Ada King agreed?"
    assert [verb for verb, _ in screen.daemon.asked] == []
    screen.daemon.says["enrol"] = ("ok", "Ada is enrolled as ada\nphoto 1: the face is small")
    assert screen.press("agreed") == "Enrolled"
    assert screen.page.note == "photo 1: the face is small"
    ((verb, args),) = screen.daemon.asked
    assert (verb, args["name"], args["consent"]) == ("enrol", "Ada King", True)
    assert args["consent_text"] == " ".join(ABSENT_LINES)
    # The stick is gone: one line, and the way back.
    screen.press("back", "enrol", "photo")
    for file in (tmp_path / "media").rglob("*.JPG"):
        file.unlink()
    screen.press("photo 1")
    assert screen.line == "This picture cannot be read: is the stick still there?"
    screen.press("back")
    assert screen.line.startswith("Put in a USB stick")
