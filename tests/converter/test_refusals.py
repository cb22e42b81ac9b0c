"""What a conversion refuses, each in one clear line, leaving nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from typer.testing import CliRunner

from oneglance.cli.main import app
from oneglance.converter.folder import move_folder, read_about
from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.errors import ConfigError
from oneglance.training.networks.face_networks import landmarks, mobileface, siamese

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    siamese(mobileface(8, 0.125, 0.2)).save(folder / "siamese.keras")
    landmarks(0.25).save(folder / "aligner.keras")
    return folder


@pytest.fixture
def job(trained: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model": str(trained / "siamese.keras"),
        "aligner": str(trained / "aligner.keras"),
        "out": str(tmp_path / "out" / "made"),
        "name": "tiny",
        "quantize": "float32",
        "passes": 2,
    }


@pytest.mark.parametrize(
    "key",
    [
        "format",
        "name",
        "encoder",
        "aligner",
        "cutout",
        "threshold",
        "thresholds",
        "parity",
        "training",
        "common",
    ],
)
def test_about_cannot_say_what_the_conversion_says(
    job: dict[str, Any], tmp_path: Path, key: str
) -> None:
    about = tmp_path / "about.json"
    about.write_text(json.dumps({"licence": "MIT", key: {"by_fmr": {"1e-4": {"threshold": -99}}}}))
    with pytest.raises(ConfigError, match=key) as caught:
        run_job(Job(**job, about=str(about)))
    assert caught.value.where == str(about)
    assert not Path(job["out"]).exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"figure": NaN}', "[" * 100_000])
def test_about_must_be_a_json_object(tmp_path: Path, content: str) -> None:
    about = tmp_path / "about.json"
    about.write_text(content)
    with pytest.raises(ConfigError, match="JSON"):
        read_about(str(about))


def test_about_is_read_as_it_is(tmp_path: Path) -> None:
    about = tmp_path / "about.json"
    about.write_text('{"licence": "MIT"}')
    assert read_about(str(about)) == {"licence": "MIT"}
    assert read_about(None) == {}


def test_a_pair_in_the_place_of_the_aligner_is_refused(job: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not an aligner") as caught:
        run_job(Job(**{**job, "aligner": job["model"]}))
    assert "aligner.keras" in caught.value.fix


def test_a_pair_whose_twins_take_no_chips_is_refused(job: dict[str, Any], tmp_path: Path) -> None:
    a, b = keras.layers.Input((4,)), keras.layers.Input((4,))
    twin = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)], name="encoder")
    score = keras.layers.Dot(-1, name="head")([twin(a), twin(b)])
    keras.Model([a, b], score).save(tmp_path / "numbers.keras")
    with pytest.raises(ConfigError, match="not chips"):
        run_job(Job(**{**job, "model": str(tmp_path / "numbers.keras")}))


def test_a_model_without_a_name_is_refused(job: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no name"):
        run_job(Job(**{**job, "name": ""}))


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "file").write_text("keep")
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        move_folder(tmp_path / "made", tmp_path / "file" / "x")
    assert "--out" in caught.value.fix
    assert (tmp_path / "file").read_text() == "keep"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fit-images", "a.zip"], "go together"),
        (["--fit-folds", "7,8"], "--fit-folds goes with"),
        (["--name", ""], "--name is empty"),
        (["--fit-folds", "x", "--fit-images", "a", "--fit-people", "b"], "not numbers"),
        (["--more-images", "a.zip"], "needs its --more-people"),
        (["--more-images", "a.zip", "--more-people", "b.csv"], "--more-images goes with"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_any_work(
    tmp_path: Path, options: list[str], told: str
) -> None:
    out = tmp_path / "made"
    done = CliRunner().invoke(app, ["convert", "none.keras", "--out", str(out), *options])
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
