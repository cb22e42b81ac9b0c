"""Negatives: usable pictures of other people, with their origin, once each."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oneglance.errors import ImageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.faces.pictures import Pictures
from oneglance.training.data.collect_negatives import Tally, collect_negatives
from oneglance.training.data.identities import identities


@pytest.fixture(scope="module")
def others(small_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    for person in ("Joe Biden", "joe-biden", "李雷"):
        (folder / person).mkdir()
    shutil.copy(small_photos / "biden.jpg", folder / "Joe Biden" / "b.jpg")
    shutil.copy(small_photos / "obama.jpg", folder / "joe-biden" / "o.jpg")
    shutil.copy(small_photos / "astronaut.png", folder / "李雷" / "a.png")
    biden = cv2.imread(str(small_photos / "biden.jpg"))
    half = cv2.resize(biden, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "whoever.bmp"), half)
    cv2.imwrite(str(folder / "two.png"), np.hstack([half, half]))
    cv2.imwrite(str(folder / "nobody.png"), np.full((200, 200, 3), 90, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def collect(source: Path, out: Path, *, several: bool = False) -> Tally:
    pictures = Pictures(source)
    try:
        return collect_negatives(
            pictures,
            identities(pictures),
            out,
            FaceDetector(),
            load_model(),
            origin="sample, MIT",
            several=several,
            now=lambda: datetime(2026, 5, 1, tzinfo=UTC),
            advance=lambda: None,
        )
    finally:
        pictures.close()


def records(out: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text()) for path in out.rglob("*.json")}


@pytest.fixture(scope="module")
def collected(others: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tally]:
    out = tmp_path_factory.mktemp("out") / "data"
    return out, collect(others, out)


def test_pictures_with_one_face_are_kept_and_the_others_named_with_the_reason(
    collected: tuple[Path, Tally],
) -> None:
    _, tally = collected
    assert (tally.kept, tally.known, len(tally.people)) == (4, 0, 4)
    assert tally.left_out == {
        "broken.jpg": "not a picture, or a damaged one",
        "nobody.png": "no face",
        "two.png": "2 faces",
    }


def test_each_identity_has_a_folder_and_two_names_never_share_one(
    collected: tuple[Path, Tally],
) -> None:
    out, _ = collected
    by_name = {record["name"]: folder for folder, record in records(out).items()}
    assert set(by_name) == {"Joe Biden", "joe-biden", "李雷", None}
    assert len(set(by_name.values())) == 4
    assert by_name["李雷"] == "lilei"
    assert by_name[None].startswith("unknown-")


def test_a_picture_of_unknown_identity_is_a_person_of_its_own(
    small_photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "flat").mkdir()
    for name in ("obama.jpg", "obama2.jpg"):
        shutil.copy(small_photos / name, tmp_path / "flat")
    assert len(collect(tmp_path / "flat", tmp_path / "out").people) == 2


def test_files_are_copied_byte_for_byte_and_only_rare_kinds_are_converted(
    others: Path, collected: tuple[Path, Tally]
) -> None:
    out, _ = collected
    kept = {hashlib.sha256(p.read_bytes()).hexdigest() for p in out.rglob("negative_*")}
    for name in ("Joe Biden/b.jpg", "joe-biden/o.jpg", "李雷/a.png"):
        assert hashlib.sha256((others / name).read_bytes()).hexdigest() in kept
    (unknown,) = out.glob("unknown-*/negative_*")
    assert unknown.suffix == ".png"
    assert np.array_equal(cv2.imread(str(unknown)), cv2.imread(str(others / "whoever.bmp")))


def test_every_picture_says_where_it_is_from(others: Path, collected: tuple[Path, Tally]) -> None:
    out, _ = collected
    for record in records(out).values():
        assert record["origin"] == "sample, MIT"
        (picture,) = record["pictures"]
        assert picture["role"] == "negative"
        assert picture["source"] == others.name
        assert (others / picture["source_file"]).is_file()
        assert picture["faces"] == 1
        assert len(picture["box_px"]) == 4


def test_a_second_run_takes_nothing_twice(others: Path, small_photos: Path, tmp_path: Path) -> None:
    first = collect(others, tmp_path / "out")
    before = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    second = collect(others, tmp_path / "out")
    assert (second.kept, second.known) == (0, first.kept)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == before


def test_pictures_with_several_faces_are_kept_only_if_asked_for(
    others: Path, tmp_path: Path
) -> None:
    tally = collect(others, tmp_path / "out", several=True)
    assert tally.kept == 5
    assert "two.png" not in tally.left_out
    assert "nobody.png" in tally.left_out


def test_a_zip_file_gives_what_its_folder_gives(
    others: Path, collected: tuple[Path, Tally], tmp_path: Path
) -> None:
    archive = tmp_path / "others.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(others.rglob("*")):
            file.write(path, path.relative_to(others))
    assert collect(archive, tmp_path / "out") == collected[1]


def test_a_folder_without_pictures_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no pictures") as caught:
        collect(tmp_path, tmp_path / "out")
    assert caught.value.where == str(tmp_path)
    assert not (tmp_path / "out").exists()
