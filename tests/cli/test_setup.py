"""`oneglance setup`: a new door gets its camera, its first person, and a lock that was tried."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from oneglance.cli.main import app
from oneglance.cli.setup.answers import read_answers
from oneglance.cli.setup.services import unit_name
from oneglance.cli.setup.source_line import with_source
from oneglance.daemon.camera.devices import plugged_in
from oneglance.errors import ConfigError

FILE = """\
[site]
name = "home"   # source = "no camera"

[[camera]]
# a comment
name = "front"
source = 0
rotate = 90

[[camera]]
name = "back"
source = "rtsp://back"
"""


@given(
    st.one_of(st.integers(0, 99), st.text(st.characters(categories=("L", "N", "P")), min_size=1))
)
def test_only_the_first_cameras_source_changes(source: str | int) -> None:
    changed = with_source(FILE, source)
    before, after = tomllib.loads(FILE), tomllib.loads(changed)
    assert after["camera"][0].pop("source") == source
    before["camera"][0].pop("source")
    assert after == before
    assert [line for line in changed.splitlines() if not line.startswith("source")] == [
        line for line in FILE.splitlines() if not line.startswith("source")
    ]


@pytest.mark.parametrize("text", ["", "[[camera]]\nname = 'a'\n[door]\nsource = 1\n"])
def test_a_file_without_such_a_line_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(ConfigError, match="no line 'source"):
        with_source(text, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("camra = 1", "camra"),
        ("person = 'Ada'", "agreed"),
        ("photos = 'ada.jpg'", "list of files"),
        ("x =", "not valid TOML"),
    ],
)
def test_wrong_answers_are_refused_before_anything_is_done(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "answers.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_answers(tmp_path / "answers.toml")


def test_a_camera_is_named_by_what_lasts(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert plugged_in((tmp_path / "none",), tmp_path) == [tmp_path / "video0"]
    for name in ("usb-A-video-index0", "usb-A-video-index1"):
        (tmp_path / name).touch()
    assert plugged_in((tmp_path,), tmp_path) == [tmp_path / "usb-A-video-index0"]


def test_a_door_of_several_has_units_of_its_own() -> None:
    assert unit_name("oneglance", Path("/etc/oneglance")) == "oneglance.service"
    assert unit_name("oneglance", Path("/etc/oneglance/back")) == "oneglance@back.service"
    assert unit_name("oneglance-door", Path("/home/ada/door")) == "oneglance-door.service"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new door, on a machine without systemd."""
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "door"
    made = CliRunner().invoke(app, ["init", "--dir", str(folder)])
    assert made.exit_code == 0, made.output
    text = (folder / "oneglance.toml").read_text()
    assert "pulse_s" not in text
    (folder / "door.toml").write_text(text.replace('pin = "GPIO17"', "pulse_s = 0.5\n"))
    return folder


def test_a_file_of_answers_asks_nothing(door: Path, small_photos: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text(
        f"""\
camera = {json.dumps(str(small_photos))}
person = "Barack Obama"
consent = true
photos = [{json.dumps(str(small_photos / "obama.jpg"))}]
test_lock = true
"""
    )
    done = CliRunner().invoke(app, ["setup", "-c", str(door), "--answers", str(answers)])
    assert done.exit_code == 0, done.output
    for said in ("faces: 1", "Enrolled Barack Obama", "lock unlocked", "lock locked", "is shut"):
        assert said in done.output
    assert (door / "setup.png").stat().st_mode & 0o777 == 0o600
    config = tomllib.loads((door / "oneglance.toml").read_text())
    assert config["camera"][0]["source"] == str(small_photos)


def test_whoever_sits_there_is_asked_and_may_say_no(door: Path, small_photos: Path) -> None:
    before = (door / "oneglance.toml").read_text()
    said = CliRunner().invoke(
        app, ["setup", "-c", str(door)], input=f"no-such\n{small_photos}\nn\n"
    )
    assert said.exit_code == 1
    assert "  no-such: " in said.output
    assert (door / "oneglance.toml").read_text() == before
    # A photograph mistyped is asked for again, and keeps nobody from the next step.
    typed = f"{small_photos}\ny\nAda\ny\nno-such.jpg\ny\nnot-this.jpg\nn\nn\n"
    said = CliRunner().invoke(app, ["setup", "-c", str(door)], input=typed)
    assert said.exit_code == 0, said.output
    for name in ("no-such.jpg", "not-this.jpg"):
        assert f"{name}: the picture cannot be read" in said.output
    assert "Open the lock once" in said.output
    assert "Done." in said.output
    assert "unlocked" not in said.output
