"""`oneglance people` with the shipped model, a real gallery, and faces that are only drawn."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from oneglance.cli.init import init
from oneglance.cli.people.command import app
from oneglance.errors import CameraError, GalleryError, ImageError, OneglanceError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import load_model


def drawn_face(brows_px: int = 190, mouth_px: int = 320, grey: int = 200) -> NDArray[np.uint8]:
    """A picture (240, 320, 3) that Haar takes for a face; it is nobody's."""
    picture = np.full((480, 640, 3), 90, np.uint8)
    skin, shade = (grey, grey, grey), (int(0.75 * grey),) * 3
    cv2.ellipse(picture, (320, 240), (110, 145), 0, 0, 360, skin, -1)
    cv2.ellipse(picture, (320, 130), (115, 60), 0, 180, 360, (30, 30, 40), -1)
    for x_px in (275, 365):
        cv2.ellipse(picture, (x_px, 215), (26, 13), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(picture, (x_px, 215), 11, (30, 30, 30), -1)
        cv2.ellipse(picture, (x_px, brows_px), (32, 8), 0, 180, 360, (40, 40, 50), -1)
        cv2.ellipse(picture, (x_px, 205), (34, 22), 0, 180, 360, shade, 4)
    cv2.line(picture, (320, 220), (312, 270), shade, 6)
    cv2.ellipse(picture, (320, 275), (20, 8), 0, 0, 180, shade, 4)
    cv2.ellipse(picture, (320, mouth_px), (42, 14), 0, 0, 360, (70, 70, 160), -1)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    # Small: each test searches it for faces again.
    return np.asarray(cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """A new door's folder, with pictures: face.png, blank.png (nobody), two.png (two faces)."""
    folder = tmp_path / "door"
    init(folder, None, "home", "front", "0")
    face = drawn_face()
    cv2.imwrite(str(folder / "face.png"), face)
    cv2.imwrite(str(folder / "blank.png"), np.full((240, 320, 3), 127, np.uint8))
    cv2.imwrite(str(folder / "two.png"), np.hstack([face, face]))
    (folder / "broken.png").write_bytes((folder / "face.png").read_bytes()[:300])
    return folder


def people(door: Path, *arguments: str | Path, answer: str | None = None) -> Result:
    command = [*map(str, arguments), "--config", str(door / "oneglance.toml")]
    return CliRunner().invoke(app, command, input=answer)


def error_of(result: Result) -> OneglanceError:
    assert isinstance(result.exception, OneglanceError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def listed(door: Path) -> list[dict[str, object]]:
    if not (door / "state" / "gallery.db").exists():
        return []
    result = people(door, "list", "--json")
    found: list[dict[str, object]] = json.loads(result.stdout)["people"]
    return found


def enrol_drawn(door: Path, name: str = "Ada Lovelace", *options: str) -> None:
    result = people(door, "enrol", name, door / "face.png", "--consent", *options)
    assert result.exit_code == 0, (result.output, result.exception)


def test_a_person_is_enrolled_from_a_photo_and_can_be_seen(door: Path) -> None:
    result = people(door, "enrol", "Ada Lovelace", door / "face.png", "--consent", "--json")
    assert result.exit_code == 0
    person = json.loads(result.stdout)
    assert (person["id"], person["name"]) == ("ada-lovelace", "Ada Lovelace")
    assert (person["templates"], person["expires_at"]) == (1, None)
    assert person["model_ids"] == [load_model().model_id]
    assert listed(door) == [person]
    told = json.loads(people(door, "show", "ada-lovelace", "--json").stdout)
    assert told == person | {"has_badge": False, "has_pin": False}
    assert "Ada Lovelace" in people(door, "list").stdout
    shown = people(door, "show", "ada-lovelace").stdout
    assert "Ada Lovelace" in shown
    assert "never" in shown


def test_a_name_that_looks_like_markup_is_shown_as_it_is(door: Path) -> None:
    enrol_drawn(door, "[red]Ada[/]", "--id", "ada")
    assert "[red]Ada[/]" in people(door, "list").stdout
    assert "[red]Ada[/]" in people(door, "delete", "ada", "--yes").stdout


def test_an_empty_gallery_says_how_to_enrol(door: Path) -> None:
    enrol_drawn(door)
    people(door, "delete", "ada-lovelace", "--yes")
    assert "people enrol" in people(door, "list").stdout


@pytest.mark.parametrize(
    ("photos", "kind", "complaint"),
    [
        (["blank.png"], ImageError, "no face"),
        (["two.png"], ImageError, "2 faces"),
        (["broken.png"], ImageError, "damaged"),
        (["missing.png"], ImageError, "No such file"),
        (["face.png", "blank.png"], ImageError, "no face"),
    ],
)
def test_a_photo_that_does_not_fit_is_named_and_nothing_is_stored(
    door: Path, photos: list[str], kind: type[OneglanceError], complaint: str
) -> None:
    result = people(door, "enrol", "Ada", *(door / photo for photo in photos), "--consent")
    error = error_of(result)
    assert type(error) is kind
    assert complaint in str(error)
    assert error.where == str(door / photos[-1])
    assert list((door / "state").glob("gallery*")) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "consent is missing"),
        (["--consent", "--expires", "2020-01-01"], "has passed"),
        (["--consent", "--id", "Not An Id"], "cannot be a person's id"),
    ],
)
def test_what_does_not_fit_is_said_before_any_picture_is_looked_at(
    door: Path, arguments: list[str], complaint: str
) -> None:
    error = error_of(people(door, "enrol", "Ada", door / "missing.png", *arguments))
    assert complaint in str(error)
    assert list((door / "state").glob("gallery*")) == []


def test_the_origin_of_the_pictures_must_be_one(door: Path) -> None:
    for arguments in ([], ["face.png", "--camera", "0"], ["--camera", "0", "--source", "x.mp4"]):
        assert people(door, "enrol", "Ada", *arguments, "--consent").exit_code == 2
    assert listed(door) == []


def test_a_missing_key_is_said_and_no_gallery_is_made(door: Path) -> None:
    (door / "gallery.key").unlink()
    error = error_of(people(door, "enrol", "Ada", door / "face.png", "--consent"))
    assert "template key is missing" in str(error)
    assert list((door / "state").glob("gallery*")) == []


def test_somebody_who_looks_like_another_is_refused_unless_forced(door: Path) -> None:
    enrol_drawn(door, "Ada")
    error = error_of(people(door, "enrol", "Twin", door / "face.png", "--consent"))
    assert "looks like 'ada'" in str(error)
    assert [person["id"] for person in listed(door)] == ["ada"]
    enrol_drawn(door, "Twin", "--force")
    assert [person["id"] for person in listed(door)] == ["ada", "twin"]


def test_photos_of_two_people_are_refused_by_name_unless_forced(
    door: Path, small_photos: Path
) -> None:
    two = small_photos / "obama.jpg", small_photos / "biden.jpg"
    error = error_of(people(door, "enrol", "Who", *two, "--consent"))
    assert f"{two[0]} and {two[1]} do not look like one person" in str(error)
    assert listed(door) == []
    assert people(door, "enrol", "Who", *two, "--consent", "--force").exit_code == 0
    assert [person["templates"] for person in listed(door)] == [2]


def test_photos_of_one_person_are_enrolled_together(door: Path, small_photos: Path) -> None:
    two = small_photos / "obama.jpg", small_photos / "obama2.jpg"
    assert people(door, "enrol", "One", *two, "--consent").exit_code == 0
    assert people(door, "enrol", "Other", small_photos / "biden.jpg", "--consent").exit_code == 0
    assert [person["templates"] for person in listed(door)] == [2, 1]


def test_a_picture_is_added_to_the_person_it_shows_and_to_nobody_else(
    door: Path, photos: Path
) -> None:
    small = {}
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        picture = cv2.imread(str(photos / name))
        small[name] = door / f"{name}.png"
        cv2.imwrite(str(small[name]), cv2.resize(picture, None, fx=0.3, fy=0.3))
    assert people(door, "enrol", "One", small["obama.jpg"], "--consent").exit_code == 0
    added = people(door, "add-picture", "one", small["obama2.jpg"])
    assert "One (one) has 2 pictures now" in added.stdout, added.stderr
    assert [person["templates"] for person in listed(door)] == [2]
    wrong = error_of(people(door, "add-picture", "one", small["biden.jpg"]))
    assert "does not look like 'one'" in str(wrong)
    assert "nobody has the id" in str(error_of(people(door, "add-picture", "two", "x.jpg")))
    assert people(door, "add-picture", "one").exit_code == 2


def test_a_name_in_any_script_makes_an_id(door: Path) -> None:
    enrol_drawn(door, "李雷")
    enrol_drawn(door, "Жанна Дарк", "--force")
    assert sorted(str(person["id"]) for person in listed(door)) == ["lilei", "zhanna-dark"]


def test_a_small_photo_is_warned_of_and_a_tiny_one_refused_unless_forced(
    door: Path, photos: Path
) -> None:
    photo = cv2.imread(str(photos / "obama.jpg"))
    for name, scale in (("small.png", 0.2), ("tiny.png", 0.1)):
        smaller = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(door / name), smaller)
    error = error_of(people(door, "enrol", "Tiny", door / "tiny.png", "--consent"))
    assert isinstance(error, ImageError)
    assert "tiny.png: the face is too small, 30 px of 80 (quality 37 of 100" in str(error)
    assert listed(door) == []
    small = people(door, "enrol", "Small", door / "small.png", "--consent")
    assert small.exit_code == 0
    assert "too small, 59 px of 80 (quality 73 of 100)" in small.stderr
    forced = people(door, "enrol", "Tiny", door / "tiny.png", "--consent", "--force")
    assert forced.exit_code == 0
    assert "quality 37 of 100" in forced.stderr
    large = people(door, "enrol", "Large", photos / "biden.jpg", "--consent")
    assert "quality" not in large.stderr


def test_a_photo_that_lies_on_its_side_or_head_is_turned_and_it_is_said(
    door: Path, photos: Path
) -> None:
    photo = cv2.resize(cv2.imread(str(photos / "obama.jpg")), (220, 275))
    turns = (cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
    names = [door / f"{deg}.png" for deg in (180, 270)]
    for name, turn in zip(names, turns, strict=True):
        cv2.imwrite(str(name), cv2.rotate(photo, turn))
    result = people(door, "enrol", "Ada", *names, "--consent", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["templates"] == 2
    for name in names:
        assert f"{name}: turned by {name.stem} degrees" in result.stderr


def test_a_person_is_enrolled_from_a_recording(door: Path) -> None:
    video = cv2.VideoWriter(
        str(door / "ada.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 240)
    )
    blank = np.full((240, 320, 3), 127, np.uint8)
    for index in range(30):
        video.write(blank if index < 5 else np.roll(drawn_face(), index, axis=1))
    video.release()
    result = people(
        door, "enrol", "Ada", "--source", door / "ada.avi", "--frames", "3", "--consent"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Look straight at the camera" in result.stderr
    assert "3 of 3" in result.stderr
    (person,) = listed(door)
    assert person["templates"] == 3
    exported = json.loads(people(door, "export", "ada", "--json").stdout)
    assert {template["source"] for template in exported["templates"]} == {"camera"}


def test_who_stands_at_the_side_of_a_recording_is_asked_into_its_middle(door: Path) -> None:
    video = cv2.VideoWriter(
        str(door / "side.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 240)
    )
    aside = np.full((240, 640, 3), 127, np.uint8)
    aside[:, :320] = drawn_face()
    for _ in range(8):
        video.write(aside)
    video.release()
    result = people(door, "enrol", "Ada", "--source", door / "side.avi", "--consent")
    assert isinstance(error_of(result), ImageError)
    assert "not in the middle" in result.stderr
    assert listed(door) == []


def test_a_recording_of_nobody_stores_nothing(door: Path) -> None:
    pictures = door / "pictures"
    pictures.mkdir()
    for index in range(3):
        (pictures / f"{index}.png").write_bytes((door / "blank.png").read_bytes())
    error = error_of(people(door, "enrol", "Ada", "--source", pictures, "--consent"))
    assert isinstance(error, ImageError)
    assert "only 0 good pictures" in str(error)
    assert listed(door) == []


def test_a_missing_camera_stores_nothing(door: Path) -> None:
    error = error_of(people(door, "enrol", "Ada", "--camera", "987", "--consent"))
    assert isinstance(error, CameraError)
    assert listed(door) == []


def test_deleting_asks_first(door: Path) -> None:
    enrol_drawn(door)
    refused = people(door, "delete", "ada-lovelace", answer="n\n")
    assert refused.exit_code == 1
    assert "for good" in refused.stderr
    assert people(door, "delete", "ada-lovelace", answer="").exit_code == 1
    assert len(listed(door)) == 1
    assert people(door, "delete", "ada-lovelace", answer="y\n").exit_code == 0
    assert listed(door) == []
    assert b"Lovelace" not in (door / "state" / "gallery.db").read_bytes()


def test_deleting_nobody_is_said(door: Path) -> None:
    enrol_drawn(door)
    for command in (["delete", "bob", "--yes"], ["show", "bob"], ["export", "bob", "--json"]):
        assert "nobody has the id 'bob'" in str(error_of(people(door, *command)))


def test_an_export_goes_to_a_private_new_file_or_where_it_was_asked_to(door: Path) -> None:
    enrol_drawn(door)
    assert people(door, "export", "ada-lovelace").exit_code == 2
    out = door / "ada.json"
    before = os.umask(0)
    try:
        result = people(door, "export", "ada-lovelace", "--out", out)
    finally:
        os.umask(before)
    assert result.exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["templates"][0]["values"] not in result.output
    assert json.loads(people(door, "export", "ada-lovelace", "--json").stdout) == written
    again = error_of(people(door, "export", "ada-lovelace", "--out", out))
    assert "a file already" in str(again)
    assert json.loads(out.read_text(encoding="utf-8")) == written


def test_no_other_command_shows_a_template(door: Path) -> None:
    enrol_drawn(door)
    exported = json.loads(people(door, "export", "ada-lovelace", "--json").stdout)
    values = exported["templates"][0]["values"]
    for command in ("list", "show ada-lovelace", "list --json", "show ada-lovelace --json"):
        assert values[:16] not in people(door, *command.split()).output


def test_purging_deletes_the_expired_and_asks_first(door: Path) -> None:
    enrol_drawn(door, "Ada")
    now = datetime.now(UTC)
    key = load_key(door / "gallery.key")
    yesterday = now - timedelta(days=2)
    with Gallery.open(door / "state" / "gallery.db", key, now=lambda: yesterday) as gallery:
        gallery.enrol(
            "Guest",
            np.eye(1, 192, dtype=np.float32),
            load_model().model_id,
            consent_at=yesterday,
            expires_at=now - timedelta(days=1),
            source="photo",
        )
    assert "(expired)" in people(door, "list").stdout
    assert people(door, "purge", answer="n\n").exit_code == 1
    assert len(listed(door)) == 2
    assert "guest" in people(door, "purge", "--yes").stdout
    assert [person["id"] for person in listed(door)] == ["ada"]
    assert "nobody" in people(door, "purge").stdout


def test_an_expiry_date_is_midnight_of_the_doors_own_time_zone(
    door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    file = door / "oneglance.toml"
    try:
        enrol_drawn(door, "Ada", "--expires", "2099-01-01")
        assert listed(door)[0]["expires_at"] == "2098-12-31T18:30:00+00:00"
        # The machine may be anywhere; rules for the same people go by the door's clock as well.
        text = file.read_text().replace("[site]", '[site]\ntimezone = "Pacific/Auckland"')
        file.write_text(text)
        said = people(door, "edit", "ada", "--from", "2098-07-01", "--expires", "2099-01-01")
        assert "2098-07-01 00:00" in said.stdout
        assert "2099-01-01 00:00" in people(door, "list").stdout
        (person,) = listed(door)
        enrol_drawn(door, "Bob", "--expires", "2099-01-01T12:30", "--force")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert person["valid_from"] == "2098-06-30T12:00:00+00:00"
    assert person["expires_at"] == "2098-12-31T11:00:00+00:00"
    assert listed(door)[1]["expires_at"] == "2098-12-31T23:30:00+00:00"


def test_listing_needs_neither_opencv_nor_the_model(door: Path) -> None:
    enrol_drawn(door)
    code = (
        "import sys; from pathlib import Path;"
        "from oneglance.cli.people.command import list_people;"
        "assert 'numpy' not in sys.modules; list_people(Path(sys.argv[1]), True);"
        "assert not {'cv2', 'ai_edge_litert', 'tensorflow'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(door / "oneglance.toml")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout)["people"][0]["name"] == "Ada Lovelace"


def test_each_command_teaches_by_example() -> None:
    commands = ("enrol", "add-picture", "list", "show", "edit", "delete", "export", "purge")
    for command in (*commands, "rekey", "accept-restore"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert f"oneglance people {command}" in result.stdout


def test_the_wrong_key_is_a_gallery_error(door: Path) -> None:
    enrol_drawn(door)
    (door / "gallery.key").write_bytes(b"x" * 32)
    error = error_of(people(door, "list"))
    assert isinstance(error, GalleryError)
    assert "another key" in str(error)


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_a_listed_id_is_never_cut_however_narrow_the_terminal(
    door: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    long_id, name = "visitor-" + "0123456789" * 5, "Ada " + "Augusta " * 6 + "King"
    enrol_drawn(door, name, "--id", long_id)
    lines = people(door, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [long_id]
    assert name in lines[1]


def test_groups_and_dates_are_kept_shown_and_exported(door: Path) -> None:
    dates = ("--from", "2098-01-01", "--expires", "2099-01-01T12:30")
    enrol_drawn(door, "Ada", "--group", "family", "-g", "staff", *dates)
    (person,) = listed(door)
    assert person["groups"] == ["family", "staff"]
    valid_from, expires_at = str(person["valid_from"]), str(person["expires_at"])
    assert datetime.fromisoformat(valid_from) == datetime(2098, 1, 1).astimezone()
    assert datetime.fromisoformat(expires_at) == datetime(2099, 1, 1, 12, 30).astimezone()
    table = people(door, "list").stdout
    assert "family, staff" in table
    assert "2098-01-01 00:00 (not yet)" in table
    exported = json.loads(people(door, "export", "ada", "--json").stdout)
    assert exported["groups"] == ["family", "staff"]
    assert datetime.fromisoformat(exported["valid_from"]).isoformat() == valid_from
    assert exported["pictures"] == []


def test_an_edit_changes_what_is_given_and_nothing_else(door: Path) -> None:
    enrol_drawn(door, "Ada", "--group", "family", "--expires", "2099-01-01")
    (before,) = listed(door)
    result = people(door, "edit", "ada", "--name", "Ada King", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == before | {"name": "Ada King"} == listed(door)[0]
    assert "Ada King" in people(door, "edit", "ada", "--group", "guest").stdout
    assert people(door, "edit", "ada", "--from", "2098-01-01", "--no-expiry").exit_code == 0
    (after,) = listed(door)
    assert (after["groups"], after["expires_at"]) == (["guest"], None)
    assert after["valid_from"] is not None
    assert people(door, "edit", "ada", "--no-groups", "--no-from").exit_code == 0
    assert listed(door)[0] == before | {"name": "Ada King", "groups": [], "expires_at": None}
    assert people(door, "edit", "ada", "--expires", "2020-01-01").exit_code == 0
    assert "(expired)" in people(door, "list").stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--name", "Ada\x1b"], "control character"),
        (["--group", "Not A Group"], "cannot be a group"),
        (["--from", "2099-01-01", "--expires", "2098-01-01"], "expires before it begins"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    door: Path, options: list[str], complaint: str
) -> None:
    enrol_drawn(door, "Ada")
    before = listed(door)
    assert complaint in str(error_of(people(door, "edit", "ada", *options)))
    assert "nobody has the id" in str(error_of(people(door, "edit", "bob", "--name", "Bob")))
    for wrong in ([], ["--group", "a", "--no-groups"], ["--expires", "2099-01-01", "--no-expiry"]):
        assert people(door, "edit", "ada", *wrong).exit_code == 2
    assert listed(door) == before


def test_a_restored_gallery_is_refused_until_it_is_accepted(door: Path) -> None:
    enrol_drawn(door, "Ada")
    gallery = door / "state" / "gallery.db"
    backup = gallery.read_bytes()
    assert people(door, "delete", "ada", "--yes").exit_code == 0
    gallery.write_bytes(backup)
    for command in (["list"], ["show", "ada"], ["export", "ada", "--json"], ["purge", "--yes"]):
        assert "an older copy of the gallery" in str(error_of(people(door, *command)))
    refused = people(door, "accept-restore", answer="n\n")
    assert refused.exit_code == 1
    assert "ada" in refused.stdout
    assert "Let its 1 people count?" in refused.stderr
    assert people(door, "accept-restore", "--yes").exit_code == 0
    assert [person["id"] for person in listed(door)] == ["ada"]
    gallery.write_bytes(backup)
    assert "an older copy" in str(error_of(people(door, "list")))


def test_a_new_key_is_made_when_it_was_asked_for(door: Path) -> None:
    enrol_drawn(door, "Ada")
    key, before = (door / "gallery.key").read_bytes(), listed(door)
    assert people(door, "rekey", answer="n\n").exit_code == 1
    assert (door / "gallery.key").read_bytes() == key
    result = people(door, "rekey", "--yes")
    assert "Restart the daemon" in result.stdout
    assert (door / "gallery.key").read_bytes() != key
    assert listed(door) == before


def test_who_enrols_one_too_many_is_told_that_the_door_lets_nobody_in_now(door: Path) -> None:
    model = load_model()
    crowd = np.random.default_rng(0).standard_normal((266, model.template_size))
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    config = door / "oneglance.toml"
    with Gallery.open(
        door / "state" / "gallery.db", load_key(door / "gallery.key"), create=True
    ) as gallery:
        gallery.enrol(
            "Crowd",
            crowd.astype(np.float32),
            model.model_id,
            consent_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="test",
        )
    enrolled = people(door, "enrol", "Ada", door / "face.png", "--consent", "--force")
    assert "nobody is let in" not in enrolled.stderr
    config.write_text(config.read_text().replace('far = "1e-3"', 'far = "1e-5"'))
    enrolled = people(door, "add-picture", "ada", door / "face.png", "--force")
    assert enrolled.exit_code == 0, enrolled.output
    assert "from now on nobody is let in: decision.far: 267 templates are too many" in (
        enrolled.stderr
    )
    enrolled = people(door, "enrol", "Bob", door / "face.png", "--consent", "--force")
    assert enrolled.exit_code == 0, enrolled.output
    assert "268 templates are too many" in enrolled.stderr
