"""`oneglance evaluate --one-shot`: the shipped network for drawings on made-up alphabets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from drawn_alphabets import write_omniglot, write_runs
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from oneglance.cli.evaluate.command import evaluate
from oneglance.errors import ConfigError, ImageError, ModelError
from oneglance.faces.drawings.drawing_model import DRAWING_MODEL, load_drawing_model
from oneglance.faces.drawings.one_shot_trials import (
    Run,
    one_shot_figures,
    read_pairs_of_drawings,
    read_runs,
    verification_figures,
)
from oneglance.models import default_model_dir, model_dir

APP = typer.Typer()
APP.command()(evaluate)


@pytest.fixture(scope="module")
def runs_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs") / "omniglot_all_runs.zip", ways=8)


@pytest.fixture(scope="module")
def omniglot_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_omniglot(tmp_path_factory.mktemp("omniglot") / "omniglot.zip")


def test_json_is_one_object_with_both_figures(runs_zip: Path, omniglot_zip: Path) -> None:
    args = ["--one-shot", str(runs_zip), "--verification", str(omniglot_zip), "--json"]
    result = CliRunner().invoke(APP, args, catch_exceptions=False)
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert (figures["trials"], figures["ways"], figures["runs"]) == (16, 8, 2)
    # Chance is 1 in 8 and 1 in 2; scribbles are not letters, but near enough.
    assert figures["accuracy"] > 0.8
    assert figures["verification_accuracy"] > 0.75
    assert figures["verification_pairs"] == 20_000
    share = figures["accuracy"]
    assert figures["accuracy_se"] == pytest.approx((share * (1 - share) / 16) ** 0.5)
    assert figures["model"].startswith(DRAWING_MODEL + ":")


def test_the_table_says_accuracy_with_its_error(runs_zip: Path) -> None:
    result = CliRunner().invoke(APP, ["--one-shot", str(runs_zip)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "16 one-shot trials, 8-way" in result.stdout
    assert "+-" in result.stdout


def test_it_needs_no_tensorflow(runs_zip: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from oneglance.cli.evaluate.one_shot import evaluate_one_shot\n"
        f"evaluate_one_shot(Path({str(runs_zip)!r}), None, None, as_json=True)\n"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--images", "x"],
        ["--one-shot", "x", "--pairs", "y"],
        ["--images", "x", "--pairs", "y", "--verification", "z"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(args: list[str]) -> None:
    assert CliRunner().invoke(APP, args).exit_code == 2


def test_runs_read_the_same_below_any_folder(tmp_path: Path, runs_zip: Path) -> None:
    deeper = write_runs(tmp_path / "deeper.zip", ways=8, below="all_runs/")
    with zipfile.ZipFile(runs_zip) as file:
        file.extractall(tmp_path / "unpacked")
    for source in (deeper, tmp_path / "unpacked"):
        for one, other in zip(read_runs(runs_zip), read_runs(source), strict=True):
            assert one.name == other.name
            assert np.array_equal(one.probes, other.probes)
            assert np.array_equal(one.gallery, other.gallery)
            assert np.array_equal(one.answers, other.answers)


def test_answers_follow_the_labels(runs_zip: Path) -> None:
    for run in read_runs(runs_zip):
        # Labels go by class, and classes are the gallery's rows.
        assert run.answers.tolist() == list(range(8))
        assert not np.array_equal(run.probes[0], run.gallery[0])


def test_a_zip_without_runs_is_refused(omniglot_zip: Path) -> None:
    with pytest.raises(ConfigError, match="no run in it"):
        read_runs(omniglot_zip)


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run01").mkdir()
    (tmp_path / "run01" / "class_labels.txt").write_text("one two three\n")
    with pytest.raises(ConfigError, match="not: probe picture, class picture"):
        read_runs(tmp_path)


def test_a_picture_that_the_labels_name_but_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "run01").mkdir()
    (tmp_path / "run01" / "class_labels.txt").write_text("run01/test/a.png run01/training/b.png\n")
    with pytest.raises(ImageError, match=r"run01/t\w+/[ab]\.png"):
        read_runs(tmp_path)


def test_a_missing_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.zip"):
        read_runs(tmp_path / "nowhere.zip")


def test_pairs_are_half_the_same_from_evaluation_alphabets_by_two_drawers(
    omniglot_zip: Path,
) -> None:
    pairs = read_pairs_of_drawings(omniglot_zip, 300, seed=1)
    known = {}
    with zipfile.ZipFile(omniglot_zip) as file:
        import cv2

        for name in file.namelist():
            picture = cv2.imdecode(np.frombuffer(file.read(name), np.uint8), 0)
            known[picture.tobytes()] = name.split("/")
    assert pairs.same.sum() == 150
    for (a, b), same in zip(pairs.rows, pairs.same, strict=True):
        first, second = known[pairs.drawings[a].tobytes()], known[pairs.drawings[b].tobytes()]
        assert first[0] == "images_evaluation"
        assert first[:2] == second[:2]
        assert (first[2] == second[2]) is bool(same)
        assert first[3][-6:] != second[3][-6:]


def test_the_same_seed_draws_the_same_pairs(omniglot_zip: Path) -> None:
    one, again, other = (read_pairs_of_drawings(omniglot_zip, 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.rows, again.rows)
    assert not np.array_equal(one.rows, other.rows)


def test_pairs_need_the_evaluation_alphabets(tmp_path: Path) -> None:
    path = write_omniglot(tmp_path / "half.zip", evaluation=0)
    with pytest.raises(ConfigError, match="images_evaluation"):
        read_pairs_of_drawings(path, 10, seed=1)


def made_run(scores: NDArray[np.float32]) -> tuple[Run, Any]:
    empty = np.zeros((len(scores), 105, 105), np.uint8)
    return Run("run", empty, empty, np.arange(len(scores))), lambda probes, gallery: scores


@given(st.integers(2, 20), st.data())
def test_accuracy_is_the_share_of_probes_that_like_their_own_class_best(
    ways: int, data: st.DataObject
) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=ways, max_size=ways))
    scores = np.zeros((ways, ways), np.float32)
    for row, good in enumerate(right):
        scores[row, row if good else (row + 1) % ways] = 1
    run, score = made_run(scores)
    assert one_shot_figures([run], score)["accuracy"] == pytest.approx(np.mean(right))


def test_a_tie_is_no_recognition() -> None:
    run, score = made_run(np.ones((5, 5), np.float32))
    assert one_shot_figures([run], score)["accuracy"] == 0.0


def test_not_a_number_is_no_recognition() -> None:
    run, score = made_run(np.full((5, 5), np.nan, np.float32))
    assert one_shot_figures([run], score)["accuracy"] == 0.0


def test_a_pair_at_the_threshold_counts_as_the_same() -> None:
    figures = verification_figures(np.array([2.0, 1.0, 1.0]), np.array([True, True, False]), 1.0)
    assert figures["verification_accuracy"] == pytest.approx(2 / 3)


def test_the_shipped_model_compares_by_its_signature() -> None:
    model = load_drawing_model()
    drawings = np.random.default_rng(0).integers(0, 256, (5, 105, 105), np.uint8)
    templates = model.encode(drawings)
    assert templates.shape == (5, model.template_size)
    assert np.linalg.norm(templates, axis=1) == pytest.approx(np.ones(5), abs=1e-4)
    one_by_one = np.concatenate([model.encode(drawings[[row]]) for row in range(5)])
    assert one_by_one == pytest.approx(templates, abs=1e-4)
    scores = model.compare(templates, templates)
    assert scores == pytest.approx(scores.T, abs=1e-3)
    assert np.all(scores.argmax(1) == np.arange(5))
    assert model.encode(drawings[:0]).shape == (0, model.template_size)
    assert model.compare(templates[:0], templates).shape == (0, 5)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir(DRAWING_MODEL), tmp_path / "model"))


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    data = bytearray((folder / "encoder.tflite").read_bytes())
    data[-1] ^= 1
    (folder / "encoder.tflite").write_bytes(data)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_drawing_model(folder)


def test_a_model_of_faces_is_refused() -> None:
    with pytest.raises(ModelError, match="not a model of drawings"):
        load_drawing_model(default_model_dir())


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": "high"},
        {"threshold": None},
        {"encoder": {}},
        {"name": 3},
        {"encoder": {"file": "../encoder.tflite", "sha256": "0", "template_size": 8}},
        {"encoder": {"file": "encoder.tflite", "sha256": "0", "template_size": 0}},
    ],
)
def test_a_manifest_of_another_shape_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = copied(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(ModelError, match="not of the known shape"):
        load_drawing_model(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_an_unreadable_manifest_is_refused(tmp_path: Path, text: str) -> None:
    folder = copied(tmp_path)
    (folder / "manifest.json").write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ModelError):
        load_drawing_model(folder)
