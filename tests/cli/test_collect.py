"""`oneglance collect` with real photographs, as a film, a folder, a zip, and in a real window."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oneglance.cli.collect import in_window as in_window_module
from oneglance.cli.collect.camera import Session, View
from oneglance.cli.main import app
from oneglance.errors import CameraError, GalleryError, ImageError, OneglanceError
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.kiosk_ui.display import virtual_display
from oneglance.training.data.collect_store import open_collection

WaitUntil = Callable[[Callable[[], bool], str], None]


@pytest.fixture(scope="session")
def film(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of a man before a camera who comes and goes, one picture a second."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    picture = cv2.imread(str(photos / "obama.jpg"))
    height, width = picture.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 1.0, (480, 360))
    for index in range(120):
        scale = 360 / height * (1.2 + 0.4 * np.sin(index / 10))
        matrix = np.array(
            [[scale, 0, 240 - scale * width / 2 + 5 * np.sin(index)], [0, scale, 0]], np.float64
        )
        writer.write(cv2.warpAffine(picture, matrix, (480, 360), borderValue=(90, 90, 90)))
    writer.release()
    return path


def collect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["collect", *map(str, arguments)])


def from_film(film: Path, out: Path, *more: str) -> Result:
    wanted = ("--person", "Ada Lovelace", "--consent", "--terminal", "--out", out)
    return collect(*wanted, "--camera", film, *more)


def record(out: Path, person_id: str = "ada-lovelace") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / person_id / "collection.json").read_text())
    return content


def error_of(result: Result) -> OneglanceError:
    assert isinstance(result.exception, OneglanceError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def test_a_person_is_led_through_the_steps_and_good_pictures_are_kept(
    film: Path, tmp_path: Path
) -> None:
    result = from_film(film, tmp_path / "out", "--count", "12")
    assert result.exit_code == 0, (result.output, result.exception)
    written = record(tmp_path / "out")
    assert written["name"] == "Ada Lovelace"
    assert written["consent_at"]
    pictures = written["pictures"]
    assert [p["role"] for p in pictures] == 3 * ["anchor"] + 9 * ["positive"]
    assert len({p["step"] for p in pictures}) == 10
    for picture in pictures:
        image = cv2.imread(str(tmp_path / "out" / "ada-lovelace" / picture["file"]))
        assert image.shape == (360, 480, 3)
        x, y, width, height = picture["box_px"]
        assert 0 < x < x + width < 480
        assert -20 < y < y + height < 360
        assert picture["sharpness"] >= 12
        assert 25 <= picture["brightness"] <= 225
    said = result.stderr
    assert said.index("Look straight at the camera") < said.index("Turn your head a little to your")
    assert "12 of 12" in said
    assert "12 new pictures, 12 of 12" in result.stdout


def test_a_second_run_goes_on_where_the_first_one_stopped(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert from_film(film, out, "--count", "4").exit_code == 0
    first = record(out)["pictures"]
    assert from_film(film, out, "--count", "4").exit_code == 0
    assert record(out)["pictures"] == first
    result = from_film(film, out, "--count", "6")
    assert result.exit_code == 0
    assert "2 new pictures, 6 of 6" in result.stdout
    assert record(out)["pictures"][:4] == first
    assert len({p["sha256"] for p in record(out)["pictures"]}) == 6


def test_a_film_that_ends_too_early_keeps_what_there_was_and_says_how_to_go_on(
    film: Path, tmp_path: Path
) -> None:
    error = error_of(from_film(film, tmp_path / "out", "--count", "200"))
    assert isinstance(error, ImageError)
    kept = len(record(tmp_path / "out")["pictures"])
    assert 10 < kept < 200
    assert f"only {kept} of 200" in str(error)
    assert "run it again" in error.fix


def test_a_configured_camera_is_turned_as_the_door_turns_it(
    small_photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "film").mkdir()
    photo = cv2.imread(str(small_photos / "obama.jpg"))
    cv2.imwrite(str(tmp_path / "film/1.png"), cv2.rotate(photo, cv2.ROTATE_180))
    config = tmp_path / "oneglance.toml"
    config.write_text('[[camera]]\nname = "front"\nsource = "film"\nrotate = 180\n')
    result = from_film(Path("front"), tmp_path / "out", "--count", "1", "--config", str(config))
    assert result.exit_code == 0, (result.output, result.exception)
    kept = cv2.imread(str(tmp_path / "out/ada-lovelace/anchor_0001.jpg"))
    assert np.abs(kept.astype(float) - photo).mean() < 5


def test_a_folder_gives_one_picture_for_each_good_photograph(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg"):
        shutil.copy(photos / name, tmp_path / "own")
    cv2.imwrite(str(tmp_path / "own" / "empty.png"), np.full((300, 300, 3), 90, np.uint8))
    result = from_film(tmp_path / "own", tmp_path / "out", "--count", "3")
    assert result.exit_code == 0, (result.output, result.exception)
    assert len(record(tmp_path / "out")["pictures"]) == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of --person and --negatives"),
        (["--person", "Ada", "--negatives", "x.zip"], "one of --person and --negatives"),
        (["--person", "Ada"], "ask this person"),
        (["--person", "Ada", "--consent", "--count", "0"], "--count"),
    ],
)
def test_wrong_use_is_said_before_any_picture_is_taken(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = collect(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_name_that_makes_no_folder_is_refused(tmp_path: Path) -> None:
    wanted = ("--consent", "--camera", "97", "--out", tmp_path / "out")
    assert isinstance(error_of(collect("--person", "!?", *wanted)), GalleryError)
    error = error_of(collect("--person", "Ada", "--id", "../up", *wanted))
    assert isinstance(error, GalleryError)
    assert not (tmp_path / "out").exists()


def test_a_camera_that_is_not_there_is_an_error_and_leaves_no_folder(tmp_path: Path) -> None:
    wanted = ("--person", "Ada", "--consent", "--terminal", "--out", tmp_path / "out")
    error = error_of(collect(*wanted, "--camera", "97"))
    assert isinstance(error, CameraError)
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_keeps_what_was_taken_whole(
    film: Path, tmp_path: Path, wait_until: WaitUntil
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "oneglance.cli.start", "collect", "--person", "Ada Lovelace"]
    command += ["--consent", "--terminal", "--camera", str(film), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--count", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: any(out.rglob("anchor_0002.jpg")), "no picture was taken")
    process.send_signal(signal.SIGINT)
    said, advice = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "goes on from here" in advice
    assert "Traceback" not in advice
    pictures = record(out)["pictures"]
    assert f"{len(pictures)} of 400" in said
    files = sorted(path.name for path in (out / "ada-lovelace").iterdir())
    assert files == sorted([*(p["file"] for p in pictures), "collection.json"])
    for picture in pictures:
        assert cv2.imread(str(out / "ada-lovelace" / picture["file"])) is not None


def test_with_a_display_a_real_window_leads_through_the_steps(film: Path, tmp_path: Path) -> None:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt install xvfb)")
    command = [sys.executable, "-m", "oneglance.cli.start", "collect", "--person", "Ada Lovelace"]
    command += ["--consent", "--camera", str(film), "--out", str(tmp_path), "--count", "6"]
    with virtual_display() as environment:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert result.returncode == 0, result.stderr
    assert "6 new pictures, 6 of 6" in result.stdout
    # In the window nothing is said in the terminal.
    assert "Look straight" not in result.stderr
    assert len(record(tmp_path)["pictures"]) == 6


@pytest.fixture
def in_window(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`in_window(session, run_window)`: collect with a window that a function stands for."""

    def run(session: Session, window: Callable[..., None]) -> None:
        monkeypatch.setattr(in_window_module, "run_window", window)
        in_window_module.run_in_window(session)

    return run


def session_of(source: str | Path, out: Path) -> Session:
    collection = open_collection(out, "ada", {"name": "Ada"})
    return Session(str(source), collection, 400, FaceDetector(), load_model())


def test_closing_the_window_stops_the_camera_and_keeps_what_was_taken(
    film: Path, tmp_path: Path, in_window: Callable[..., None], wait_until: WaitUntil
) -> None:
    session = session_of(film, tmp_path)

    def close_after_two(latest: Callable[[], Any], finished: Callable[[], bool]) -> None:
        wait_until(lambda: latest() is not None and latest().kept >= 2, "nothing was taken")
        assert not finished()

    in_window(session, close_after_two)
    assert session.guide.step is not None
    assert session.guide.taken >= 2
    assert not [t for t in threading.enumerate() if t.name.startswith(("collect", "camera-"))]


def test_a_camera_that_fails_behind_the_window_ends_it_with_its_own_error(
    tmp_path: Path, in_window: Callable[..., None], wait_until: WaitUntil
) -> None:
    def stay_open(latest: Callable[[], Any], finished: Callable[[], bool]) -> None:
        wait_until(finished, "the window stayed open")

    with pytest.raises(CameraError, match="no such camera"):
        in_window(session_of("97", tmp_path), stay_open)


def test_the_window_is_a_mirror() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :50] = 255
    view = View(pixels, Box(20, 30, 40, 50), "text", "advice", True, 5, 20, True)
    screen = in_window_module.screen_of(view)
    shown = np.frombuffer(screen.pixels, np.uint8).reshape(100, 200, 3)
    assert shown[:, 150:].min() == 255
    assert shown[:, :150].max() == 0
    assert screen.face == pytest.approx((0.7, 0.3, 0.2, 0.5))
    assert (screen.progress, screen.kept, screen.good) == (0.25, 5, True)


def test_a_large_picture_is_shown_smaller() -> None:
    pixels = np.zeros((2160, 3840, 3), np.uint8)
    screen = in_window_module.screen_of(View(pixels, None, "", "", False, 0, 20, False))
    assert (screen.width_px, screen.height_px, screen.face) == (1280, 720, None)


def test_a_display_that_does_not_answer_is_one_clear_line(film: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "oneglance.cli.start", "collect", "--person", "Ada Lovelace"]
    command += ["--consent", "--camera", str(film), "--out", str(tmp_path), "--count", "400"]
    environment = {**os.environ, "DISPLAY": ":64321"}
    environment.pop("WAYLAND_DISPLAY", None)
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1
    assert "the display cannot be used" in result.stderr
    assert "--terminal" in result.stderr
    assert "Traceback" not in result.stderr


def test_negatives_are_taken_from_a_folder(photos: Path, tmp_path: Path) -> None:
    for person, name in (("Joe", "biden.jpg"), ("Someone", "astronaut.png")):
        (tmp_path / "in" / person).mkdir(parents=True)
        shutil.copy(photos / name, tmp_path / "in" / person)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = collect("--negatives", tmp_path / "in", "--out", out, "--origin", "sample")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "2 pictures of 2 people" in result.stdout
    assert "broken.jpg: not a picture" in result.stderr
    assert record(out, "joe")["pictures"][0]["origin"] == "sample"
    again = collect("--negatives", tmp_path / "in", "--out", out)
    assert "0 pictures of 2 people" in again.stdout
    assert "2 were there already" in again.stdout


def test_negatives_without_any_face_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), np.full((200, 200, 3), 90, np.uint8))
    error = error_of(collect("--negatives", tmp_path / "in", "--out", tmp_path / "out"))
    assert "shows one face" in str(error)
    assert isinstance(error_of(collect("--negatives", tmp_path / "none.zip")), ImageError)
