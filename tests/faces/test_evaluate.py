"""`oneglance evaluate`: its figures, its one JSON object, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Container, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from oneglance.errors import ConfigError, ImageError, OneglanceError
from oneglance.faces.evaluation.listed_pairs import Pair, read_pairs, report
from oneglance.faces.evaluation.readings import Reading
from oneglance.faces.model.face_model import load_model
from oneglance.faces.pictures import Pictures


def reading_of(names: Iterable[str], missed: Container[str] = ()) -> Reading:
    """Pictures with upright, well lit faces, but for those `missed`."""
    picture = {"shorter_side_px": 250.0, "brightness": 100.0, "sharpness": 300.0}
    face = {"tilt_deg": 3.0, "eyes_px": 50.0, "brightness": 120.0, "sharpness": 300.0}
    found = [name for name in names if name not in missed]
    return Reading(
        dict.fromkeys(names, picture),
        dict.fromkeys(found, face),
        {name: np.ones(1, np.float32) for name in found},
    )


HEADER = "fold,image_a,image_b,same\n"


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.full((80, 80, 3), 90, np.uint8))
    return Pictures(folder)


@pytest.mark.parametrize(
    ("content", "error", "place", "what"),
    [
        ("", ConfigError, ":1", "header is nothing"),
        ("image_a,image_b,same\n", ConfigError, ":1", "header is image_a"),
        (HEADER, ConfigError, "", "no pairs"),
        (HEADER + "1,a.png,b.png\n", ConfigError, ":2", "3 fields"),
        (HEADER + "1,a.png,b.png,1,extra\n", ConfigError, ":2", "5 fields"),
        (HEADER + "1,a.png,b.png,1\nx,a.png,b.png,1\n", ConfigError, ":3", "fold is 'x'"),
        (HEADER + "9" * 5_000 + ",a.png,b.png,1\n", ConfigError, ":2", "fold is '999"),
        (HEADER + "1,a.png,b.png,yes\n", ConfigError, ":2", "same is 'yes'"),
        (HEADER + "1,a.png,c.png,1\n", ImageError, ":2", "no picture 'c.png'"),
        (HEADER + "1,../a.png,b.png,1\n", ImageError, ":2", "no picture '../a.png'"),
        (HEADER + '1,"a.png,b.png,1\n', ConfigError, "", "fields"),
    ],
)
def test_a_bad_list_of_pairs_is_refused_with_its_line(
    tmp_path: Path,
    pictures: Pictures,
    content: str,
    error: type[OneglanceError],
    place: str,
    what: str,
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(content)
    with pytest.raises(error) as caught:
        read_pairs(path, pictures)
    assert what in caught.value.what
    assert caught.value.where.startswith(f"{path}{place}")
    assert caught.value.fix


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00bad"])
def test_a_list_that_cannot_be_read_is_refused(
    tmp_path: Path, pictures: Pictures, content: bytes | None
) -> None:
    path = tmp_path / "pairs.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError):
        read_pairs(path, pictures)


def test_a_list_saved_by_a_spreadsheet_is_read(tmp_path: Path, pictures: Pictures) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"3,a.png,b.png,0\r\n")
    assert read_pairs(path, pictures) == [Pair(3, "a.png", "b.png", False)]


def test_failures_to_acquire_lower_the_accuracy() -> None:
    model = load_model()
    pairs = [Pair(fold, f"{n}a", f"{n}b", n % 2 == 0) for fold in (1, 2) for n in range(10)]
    scores = np.array([5.0 if pair.same else -5.0 for pair in pairs])
    names = [f"{n}{side}" for n in range(10) for side in "ab"]
    whole = report(pairs, scores, reading_of(names), model)
    assert whole["accuracy"] == 1.0
    assert whole["failure_to_acquire"] == 0.0
    scores[[3, 15]] = np.nan
    some = report(pairs, scores, reading_of(names, missed={"3a", "5b"}), model)
    assert some["accuracy"] == pytest.approx(0.9)
    assert some["failure_to_acquire"] == pytest.approx(2 / 20)
    assert some["not_acquired"] == ["3a", "5b"]
    assert some["eer"] == 0.0


def test_a_single_fold_is_judged_by_the_models_own_threshold() -> None:
    model = load_model()
    threshold = model.manifest.accuracy_threshold
    assert threshold is not None
    pairs = [Pair(1, "a", "b", True), Pair(1, "c", "d", False)]
    scores = np.array([threshold + 1, threshold + 2])
    figures = report(pairs, scores, reading_of("abcd"), model)
    assert figures["threshold"] == threshold
    assert figures["accuracy"] == figures["accuracy_at_shipped_threshold"] == 0.5


def test_pictures_without_any_face_are_one_clear_error(pictures: Pictures) -> None:
    pairs = [Pair(1, "a.png", "b.png", True)]
    with pytest.raises(ImageError, match="no pair has a face"):
        report(pairs, np.array([np.nan]), Reading(), load_model())


def run_evaluate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oneglance.cli.start", "evaluate", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_standard_output_is_exactly_one_json_object(small_photos: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    rows = ["1,obama.jpg,obama2.jpg,1", "1,obama.jpg,biden.jpg,0"]
    pairs.write_text(HEADER + "\n".join(rows) + "\n")
    done = run_evaluate("--images", str(small_photos), "--pairs", str(pairs), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["pairs"] == 2
    assert figures["accuracy"] == 1.0
    assert figures["failure_to_acquire"] == 0.0
    assert {"accuracy_se", "threshold", "eer", "auc", "tar_at_far"} <= set(figures)


def test_a_broken_picture_ends_with_one_line_and_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "pairs.csv").write_text(HEADER + "1,a.jpg,a.jpg,1\n")
    done = run_evaluate("--images", str(tmp_path), "--pairs", str(tmp_path / "pairs.csv"))
    assert done.returncode == 65
    assert done.stdout == ""
    (line,) = [text for text in done.stderr.splitlines() if "error" in text]
    assert "a.jpg" in line
    assert "Traceback" not in done.stderr


def test_evaluation_needs_no_tensorflow() -> None:
    code = (
        "import sys;"
        "import oneglance.faces.evaluation.listed_pairs, oneglance.cli.evaluate.command;"
        "from oneglance.faces.model.face_model import load_model; load_model();"
        "print([m for m in ('tensorflow', 'keras', 'paho') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_sixty_pairs_of_people_never_trained_on_are_told_apart(
    shared_data: Path, tmp_path: Path
) -> None:
    lines = (shared_data / "lfw_pairs_folds1-8.csv").read_text().splitlines()
    eighth = [line for line in lines[1:] if line.startswith("8,")]
    chosen = eighth[:30] + eighth[-30:]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(HEADER + "\n".join(chosen) + "\n")
    images = str(shared_data / "lfw_folds1-8.zip")
    done = run_evaluate("--images", images, "--pairs", str(pairs), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["genuine_pairs"], figures["impostor_pairs"]) == (30, 30)
    assert figures["accuracy"] >= 58 / 60
