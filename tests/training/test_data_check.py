"""The whole check with the shipped model on real photographs in which all is wrong once."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from oneglance.errors import ImageError, OneglanceError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures
from oneglance.training.data.check import DataReport, Finding, Kind, check_data
from oneglance.training.data.check_look import look_at
from oneglance.training.data.check_report import SHOWN_A_KIND, as_json, write_report
from oneglance.training.data.identities import identities


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


@pytest.fixture(scope="module")
def spoilt(small_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people; each thing that a check looks for is wrong just where its name says."""
    folder = tmp_path_factory.mktemp("spoilt")
    for person in ("Obama", "Biden", "Someone & Co"):
        (folder / person).mkdir()
    for number in ("", "2", "3"):
        shutil.copy(small_photos / f"obama{number}.jpg", folder / "Obama" / f"o{number}.jpg")
    shutil.copy(small_photos / "biden.jpg", folder / "Biden" / "b.jpg")
    shutil.copy(small_photos / "astronaut.png", folder / "Someone & Co" / "a.png")
    shutil.copy(small_photos / "astronaut.png", folder / "Someone & Co" / "same_file.png")
    biden = cv2.imread(str(small_photos / "biden.jpg"))
    half = cv2.resize(biden, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "Obama" / "really_biden.jpg"), half)
    small = cv2.resize(biden, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    pair = np.hstack([small, small])
    cv2.imwrite(str(folder / "Biden" / "two.png"), pair)
    cv2.imwrite(str(folder / "Biden" / "tiny.png"), np.full((40, 50, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "no_identity.png"), np.full((200, 200, 3), 90, np.uint8))
    (folder / "Biden" / "broken.jpg").write_bytes((folder / "Biden" / "b.jpg").read_bytes()[:200])
    (folder / "notes.txt").write_text("not a picture")
    return folder


def check(source: Path, model: FaceModel) -> DataReport:
    pictures = Pictures(source)
    try:
        return check_data(pictures, identities(pictures), model, lambda *_: None)
    finally:
        pictures.close()


@pytest.fixture(scope="module")
def report(spoilt: Path, model: FaceModel) -> DataReport:
    return check(spoilt, model)


def of(report: DataReport, kind: Kind) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind is kind]


def test_each_mistake_is_found_where_it_is(report: DataReport) -> None:
    assert (report.pictures, report.identities) == (11, 3)
    assert [f.pictures for f in of(report, Kind.UNREADABLE)] == [("Biden/broken.jpg",)]
    assert [f.pictures for f in of(report, Kind.COPY)] == [
        ("Someone & Co/a.png", "Someone & Co/same_file.png")
    ]
    (across,) = of(report, Kind.COPY_ACROSS)
    assert across.pictures == ("Biden/b.jpg", "Obama/really_biden.jpg")
    assert across.identities == ("Biden", "Obama")
    assert {f.pictures for f in of(report, Kind.NO_FACE)} == {
        ("Biden/tiny.png",),
        ("no_identity.png",),
    }
    assert [f.pictures for f in of(report, Kind.SEVERAL_FACES)] == [("Biden/two.png",)]
    (tiny,) = of(report, Kind.TINY)
    assert (tiny.pictures, tiny.detail) == (("Biden/tiny.png",), "only 50 x 40 px")


def test_the_picture_among_the_wrong_people_is_an_outlier_that_looks_like_the_right_ones(
    report: DataReport,
) -> None:
    (outlier,) = of(report, Kind.OUTLIER)
    assert outlier.pictures[0] == "Obama/really_biden.jpg"
    assert outlier.identities == ("Obama", "Biden")
    assert "looks like Biden" in outlier.detail


def test_one_person_in_two_folders_is_found(
    small_photos: Path, tmp_path: Path, model: FaceModel
) -> None:
    for person, names in (
        ("barack", ["obama.jpg", "obama2.jpg"]),
        ("president", ["obama3.jpg"]),
        ("joe", ["biden.jpg"]),
    ):
        (tmp_path / person).mkdir()
        for name in names:
            shutil.copy(small_photos / name, tmp_path / person)
    report = check(tmp_path, model)
    (alike,) = of(report, Kind.LOOKALIKE)
    assert alike.identities == ("barack", "president")
    assert {f.identities for f in of(report, Kind.ONE_PICTURE)} == {("president",), ("joe",)}


def test_what_only_a_cascade_takes_for_a_face_counts_for_none(
    small_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = cv2.imread(str(small_photos / "obama.jpg"))
    cv2.imwrite(str(tmp_path / "a.png"), cv2.resize(image, None, fx=0.3, fy=0.3))
    model, pictures = load_model(), Pictures(tmp_path)
    assert look_at(pictures, "a.png", FaceDetector(), model).faces == 1
    monkeypatch.setattr(model, "faces_among", lambda _image, _boxes: [])
    looked = look_at(pictures, "a.png", FaceDetector(), model)
    assert (looked.faces, looked.template) == (0, None)


def test_a_clean_data_set_has_no_finding(
    small_photos: Path, tmp_path: Path, model: FaceModel
) -> None:
    (tmp_path / "Obama").mkdir()
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg"):
        shutil.copy(small_photos / name, tmp_path / "Obama")
    assert check(tmp_path, model).findings == ()


def test_a_zip_file_is_checked_like_the_folder_that_it_was_made_of(
    spoilt: Path, report: DataReport, tmp_path: Path, model: FaceModel
) -> None:
    archive = tmp_path / "spoilt.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(spoilt.rglob("*")):
            file.write(path, path.relative_to(spoilt))
        file.writestr("__MACOSX/Biden/._b.jpg", b"shadow of a file")
    assert check(archive, model).findings == report.findings


def test_a_damaged_member_of_a_zip_is_unreadable_and_the_rest_is_checked(
    small_photos: Path, tmp_path: Path, model: FaceModel
) -> None:
    archive = tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("Ann/a.bmp", bytes(range(256)) * 300)
        file.write(small_photos / "biden.jpg", "Joe/b.jpg")
    data = bytearray(archive.read_bytes())
    data[60:120] = b"\xff" * 60
    archive.write_bytes(data)
    report = check(archive, model)
    (broken,) = of(report, Kind.UNREADABLE)
    assert (broken.pictures, broken.identities) == (("Ann/a.bmp",), ("Ann",))
    assert of(report, Kind.NO_FACE) == []


def test_progress_counts_every_picture_and_every_person(spoilt: Path, model: FaceModel) -> None:
    told: list[tuple[str, int, int]] = []
    pictures = Pictures(spoilt)
    check_data(pictures, identities(pictures), model, lambda *step: told.append(step))
    looks = [step[1:] for step in told if step[0] == "Looking at pictures"]
    assert looks == [(done, 11) for done in range(1, 12)]
    assert told[-1][1] == told[-1][2] == 3


def test_a_folder_without_pictures_is_an_error_that_names_it(
    tmp_path: Path, model: FaceModel
) -> None:
    with pytest.raises(ImageError, match="no pictures") as caught:
        check(tmp_path, model)
    assert caught.value.where == str(tmp_path)


def test_the_page_shows_every_picture_concerned_and_loads_nothing(
    spoilt: Path, report: DataReport, tmp_path: Path
) -> None:
    page = tmp_path / "new" / "check.html"
    listed = write_report(report, Pictures(spoilt), page)
    text = page.read_text()
    for finding in report.findings:
        for name in finding.pictures:
            assert f"<figcaption>{html.escape(name)}</figcaption>" in text
    assert "Someone & Co" not in text
    assert set(re.findall(r'src="([^,"]*)', text)) == {"data:image/jpeg;base64"}
    assert "http" not in text
    # The one that cannot be read has no picture.
    assert text.count('class="no-face"') == 1
    assert json.loads(listed.read_text()) == as_json(report)


def test_the_report_is_for_its_owners_eyes_only(
    spoilt: Path, report: DataReport, tmp_path: Path
) -> None:
    page = tmp_path / "check.html"
    page.write_text("an old one that all may read")
    page.chmod(0o644)
    before = os.umask(0)
    try:
        listed = write_report(report, Pictures(spoilt), page)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (page, listed)] == [0o600, 0o600]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.html", "check.json"]


def test_a_page_does_not_grow_without_end(spoilt: Path, tmp_path: Path) -> None:
    many = tuple(
        Finding(Kind.ONE_PICTURE, ("Biden/b.jpg",), (f"person {i}",), "alone")
        for i in range(SHOWN_A_KIND + 40)
    )
    report = DataReport("x", "m", 100, 100, many)
    page = tmp_path / "check.html"
    listed = write_report(report, Pictures(spoilt), page)
    assert page.read_text().count("<figure>") == SHOWN_A_KIND
    assert len(json.loads(listed.read_text())["findings"]) == SHOWN_A_KIND + 40


def test_a_report_that_cannot_be_written_is_one_clear_error(
    spoilt: Path, report: DataReport, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OneglanceError, match="the report cannot be written") as caught:
        write_report(report, Pictures(spoilt), tmp_path / "file" / "check.html")
    assert "--report" in caught.value.fix
