"""Conversion: the same model comes out, whole, or nothing does."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from oneglance.converter import job as job_module
from oneglance.converter.child import convert_in_child
from oneglance.converter.delegate import taken_by_delegate
from oneglance.converter.folder import update_manifest, write_model_folder
from oneglance.converter.job import run_job
from oneglance.converter.parity import Parity
from oneglance.converter.request import Job
from oneglance.converter.tflite import Recipe, Twins, convert_prepared, convert_twins
from oneglance.errors import ConfigError, ModelError, OneglanceError
from oneglance.faces.model.face_model import ENCODER_SIGNATURES, load_model
from oneglance.faces.model.litert import Signatures
from oneglance.faces.model.manifest import read_manifest
from oneglance.models import default_model_dir
from oneglance.training.networks.face_networks import landmarks, mobileface, siamese

# TensorFlow's variables do not know NumPy 2's `copy` yet, and its int8 calibration still goes
# through its own interpreter, which it calls deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter:UserWarning"),
]


@pytest.fixture(scope="module")
def pair() -> keras.Model:
    keras.utils.set_random_seed(5)
    made = siamese(mobileface(16, 0.125, 0.2))
    made.get_layer("head").weights_l1.assign(np.linspace(0, 3, 16))
    made.get_layer("head").bias.assign(1.5)
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, pair: keras.Model) -> Path:
    folder = tmp_path_factory.mktemp("run")
    pair.save(folder / "siamese.keras")
    landmarks(0.25).save(folder / "aligner.keras")
    return folder


@pytest.fixture
def job(trained: Path, tmp_path: Path) -> Job:
    return Job(
        model=str(trained / "siamese.keras"),
        aligner=str(trained / "aligner.keras"),
        out=str(tmp_path / "made"),
        name="tiny",
        quantize="float32",
        passes=2,
    )


def chips(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 112, 112, 3), np.uint8)


@pytest.fixture(scope="module")
def made(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder that the command made, and what it said."""
    out = tmp_path_factory.mktemp("converted") / "made"
    command = [sys.executable, "-m", "oneglance.cli.start", "convert"]
    command += [str(trained / "siamese.keras"), "--out", str(out), "--name", "tiny"]
    # The aligner of a finished model, as it is.
    command += ["--aligner", str(default_model_dir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return out, done


Made = tuple[Path, subprocess.CompletedProcess[str]]


def test_the_command_prints_parity_and_what_is_missing(made: Made) -> None:
    out, done = made
    assert done.returncode == 0, done.stderr
    assert "parity: cosine mean 1.0000" in done.stdout
    assert "no thresholds were fitted" in done.stdout
    assert f"{out}: {load_model(out).model_id}" in done.stdout
    assert load_model(out).model_id.startswith("tiny:")
    finished = read_manifest(default_model_dir(), variant="float32").aligner
    assert read_manifest(out).aligner.sha256 == finished.sha256


def test_a_converted_pair_says_what_the_keras_pair_says(made: Made, pair: keras.Model) -> None:
    model = load_model(made[0])
    batch = chips(3)
    encoder, head = pair.get_layer("encoder"), pair.get_layer("head")
    wanted = np.asarray(encoder.predict_on_batch(batch.astype(np.float32)))
    assert model.encode(batch) == pytest.approx(wanted, abs=1e-4)
    scores = np.asarray(head([wanted[:, None], wanted[None]]))
    assert model.compare(wanted, wanted) == pytest.approx(scores, abs=1e-3)


def test_a_model_without_fitted_thresholds_opens_no_door(made: Made) -> None:
    with pytest.raises(ModelError, match="no threshold"):
        load_model(made[0]).threshold("1e-4")


def test_a_result_that_is_not_the_same_model_is_refused_and_kept_aside(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(job_module.LIMITS, "float32", Parity(2.0, 2.0, 0.0))
    with pytest.raises(OneglanceError, match="not the same") as caught:
        run_job(job)
    assert caught.value.exit_code == 1
    aside = Path(job.out).with_name("made-refused")
    assert str(aside) in caught.value.fix
    assert list(aside.parent.iterdir()) == [aside]
    assert "Refused" in (aside / "parity.html").read_text()
    assert json.loads((aside / "parity.json").read_text())["refused"]
    assert (aside / "encoder.tflite").is_file()


def test_int8_without_pictures_of_faces_is_refused_from_the_child(job: Job) -> None:
    with pytest.raises(ConfigError, match="int8 needs pictures") as caught:
        convert_in_child(replace(job, quantize="int8"))
    assert "--calibration" in caught.value.fix


@pytest.mark.parametrize("missing", ["model", "aligner"])
def test_a_missing_or_damaged_model_is_named(job: Job, tmp_path: Path, missing: str) -> None:
    changes: dict[str, Any] = {missing: str(tmp_path / "gone.keras")}
    with pytest.raises(ConfigError, match="no such model"):
        run_job(replace(job, **changes))
    (tmp_path / "gone.keras").write_bytes(b"PK damaged")
    with pytest.raises(ConfigError, match=r"not a readable \.keras|not a Keras model"):
        run_job(replace(job, **changes))


def test_a_keras_model_that_is_no_pair_is_refused(job: Job) -> None:
    with pytest.raises(ConfigError, match="not two pictures"):
        run_job(replace(job, model=job.aligner))


def test_an_existing_folder_is_never_overwritten(job: Job) -> None:
    Path(job.out).mkdir()
    (Path(job.out) / "mine").write_text("keep")
    with pytest.raises(ConfigError, match="exists"):
        run_job(job)
    assert (Path(job.out) / "mine").read_text() == "keep"


def test_int8_keeps_the_head_in_float(pair: keras.Model, tmp_path: Path) -> None:
    twins = Twins(pair, pair.get_layer("encoder"), pair.get_layer("head"), "chips")
    made, _ = convert_prepared(twins, chips(8), Recipe())
    assert len(made) < 0.8 * len(convert_twins(twins, "float32"))
    path = tmp_path / "int8.tflite"
    path.write_bytes(made)
    net = Signatures(path, ENCODER_SIGNATURES)
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 3, 16)).astype(np.float32)
    wanted = 1.5 - (np.abs(a[:, None] - b[None]) * np.linspace(0, 3, 16)).sum(-1)
    assert net.run("compare", probes=a, templates=b) == pytest.approx(wanted, abs=1e-3)
    assert net.run("encode", chips=chips(2)).shape == (2, 16)


def test_every_shipped_encoder_and_aligner_is_one_partition() -> None:
    folder = default_model_dir()
    for variant in read_manifest(folder).document.variants.values():
        for file, signature in ((variant.encoder, "encode"), (variant.aligner, "align")):
            taken = taken_by_delegate((folder / file).read_bytes(), signature)
            assert (taken.partitions, set(taken.outside)) == (1, {"CAST"}), file


def test_tensorflows_own_interpreter_gives_the_same_as_litert() -> None:
    import tensorflow as tf

    path = default_model_dir() / read_manifest(default_model_dir()).encoder.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = Signatures(path, ENCODER_SIGNATURES, interpreter=tf.lite.Interpreter)
    ours = Signatures(path, ENCODER_SIGNATURES)
    batch = chips(3)
    templates = ours.run("encode", chips=batch)
    assert other.run("encode", chips=batch) == pytest.approx(templates, abs=1e-5)
    scores = ours.run("compare", probes=templates, templates=templates)
    theirs = other.run("compare", probes=templates, templates=templates)
    assert theirs == pytest.approx(scores, abs=1e-4)


def test_parity_that_is_no_number_is_never_good_enough() -> None:
    limit = Parity(0.9, 0.9, 1.0)
    assert Parity(0.9, 0.9, 1.0).within(limit)
    nan = float("nan")
    for bad in (Parity(nan, 1, 0), Parity(1, nan, 0), Parity(1, 1, nan)):
        assert not bad.within(limit)


def test_a_folder_that_cannot_be_finished_does_not_appear(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(ValueError, match="JSON"):
        write_model_folder(
            out,
            name="x",
            encoder=b"e",
            aligner=b"a",
            template_size=4,
            passes=1,
            precision="float32",
            about={"figure": float("nan")},
        )
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_changed_whole(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes((default_model_dir() / "manifest.json").read_bytes())
    update_manifest(tmp_path, {"thresholds": {"by_fmr": {}, "accuracy": None}})
    kept = path.read_text()
    manifest = json.loads(kept)
    assert manifest["variants"][manifest["default"]]["thresholds"]["by_fmr"] == {}
    with pytest.raises(ValueError, match="thresholds"):
        update_manifest(tmp_path, {"thresholds": 2})
    assert path.read_text() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
