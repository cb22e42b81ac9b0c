"""What a full-integer file must keep to, and what is refused."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.converter.calibration import calibration_faces, neighbours_alike, stratified
from oneglance.converter.choice import choose
from oneglance.converter.delegate import macs_of, only, taken_by_delegate
from oneglance.converter.folder import write_model_folder
from oneglance.converter.job import run_job
from oneglance.converter.layers import layer_errors, worst_layer
from oneglance.converter.report import refusals, template_part
from oneglance.converter.request import Job, Limits
from oneglance.converter.tflite import Recipe, Twins, convert_aligner, convert_prepared
from oneglance.errors import ConfigError, OneglanceError
from oneglance.faces.model.face_model import ENCODER_SIGNATURES, FaceModel, load_model
from oneglance.faces.model.litert import Signatures
from oneglance.training.networks.face_networks import landmarks, mobileface, siamese

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter:UserWarning"),
]


def smooth_chips(count: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return np.stack([cv2.resize(chip, (112, 112)) for chip in small])


def twins_of(encoder: keras.Model) -> Twins:
    pair = siamese(encoder)
    return Twins(pair, encoder, pair.get_layer("head"), "chips")


@pytest.fixture(scope="module")
def twins() -> Twins:
    keras.utils.set_random_seed(5)
    encoder = mobileface(16, 0.125, 0.2)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.PReLU):
            shape = layer.alpha.shape
            layer.set_weights([np.random.default_rng(1).uniform(-1, 2, shape)])
    return twins_of(encoder)


@pytest.fixture(scope="module")
def files(twins: Twins) -> tuple[bytes, bytes]:
    return convert_prepared(twins, smooth_chips(32), Recipe())


@pytest.fixture(scope="module")
def net(files: tuple[bytes, bytes]) -> Signatures:
    return Signatures(Path("int8"), ENCODER_SIGNATURES, content=files[0])


# One quantization step of the values behind a template of length 1.
STEP = 2.5 / 127


@pytest.fixture(scope="module")
def model(files: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    folder = tmp_path_factory.mktemp("int8") / "made"
    write_model_folder(
        folder,
        name="tiny",
        encoder=files[0],
        aligner=convert_aligner(landmarks(0.25)),
        template_size=16,
        passes=2,
        precision="int8",
        about={},
    )
    return load_model(folder)


@given(count=st.integers(0, 33), seed=st.integers(0, 1000))
@settings(max_examples=12)
def test_a_batch_of_any_size_gives_what_its_faces_give_one_by_one(
    model: FaceModel, count: int, seed: int
) -> None:
    chips = smooth_chips(33, seed)[:count]
    together = model.encode(chips)
    assert together.shape == (count, 16)
    for place in {0, count // 2, count - 1} if count else ():
        alone = model.encode(chips[place : place + 1])[0]
        assert np.abs(together[place] - alone).max() <= STEP


def test_int8_is_one_partition_and_close_to_float(
    files: tuple[bytes, bytes], net: Signatures, twins: Twins
) -> None:
    taken = taken_by_delegate(files[0], "encode")
    assert (taken.partitions, set(taken.outside)) == (1, {"CAST"})
    chips = smooth_chips(8, 3)
    wanted = np.asarray(twins.encoder.predict_on_batch(chips.astype(np.float32)))
    assert template_part(wanted, net.run("encode", chips=chips))["mean"] > 0.98


def test_both_runtimes_give_the_same_int8_templates(
    files: tuple[bytes, bytes], net: Signatures, tmp_path: Path
) -> None:
    import tensorflow as tf

    path = tmp_path / "int8.tflite"
    path.write_bytes(files[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = Signatures(path, ENCODER_SIGNATURES, interpreter=tf.lite.Interpreter)
    chips = smooth_chips(3)
    assert np.abs(other.run("encode", chips=chips) - net.run("encode", chips=chips)).max() <= STEP


def test_macs_are_counted_by_convolution(twins: Twins, files: tuple[bytes, bytes]) -> None:
    encoder = keras.models.clone_model(twins.encoder)
    wanted = 0
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _, height, width, _ = layer.output.shape
            wanted += height * width * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.PReLU):
            # Rewritten: two depthwise 1x1 convolutions.
            wanted += 2 * int(np.prod(layer.output.shape[1:]))
    assert macs_of(files[0], "encode") == wanted


def test_the_layer_that_is_ruined_is_named(twins: Twins) -> None:
    encoder = keras.models.clone_model(twins.encoder)
    encoder.set_weights(twins.encoder.get_weights())
    bad = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)][4]
    kernel, bias = bad.get_weights()
    bias[0] = 1e5
    bad.set_weights([kernel, bias])
    chips = smooth_chips(8)
    made, prepared = convert_prepared(twins_of(encoder), chips, Recipe(ranges="minmax"))
    errors = layer_errors(only(prepared, "encode"), only(made, "encode"), [chips])
    worst = worst_layer(errors)
    assert worst is not None
    report = {
        "kind": "faces",
        "templates": {"mean": 0.5},
        "layers": {"worst": {"layer": worst.layer, "error": worst.error}},
        "accuracy": [],
        "graphs": {},
    }
    (text,) = refusals(report, Limits())
    assert worst.layer in text
    order = [row.layer for row in errors]
    ruined = next(n for n, name in enumerate(order) if name.startswith(f"{bad.name}_"))
    # It is the ruined one itself, or what reads it first.
    assert ruined <= order.index(worst.layer) <= ruined + 2


def graph(partitions: int) -> dict[str, Any]:
    return {"delegate": {"partitions": partitions, "outside": ["PRELU"]}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"templates": {"mean": 0.97}}, "mean cosine"),
        ({"templates": {"mean": float("nan")}}, "mean cosine"),
        ({"graphs": {"encoder": graph(2)}}, "encoder is 2 delegate partitions"),
        ({"graphs": {"encoder": graph(0)}}, "encoder is 0 delegate partitions"),
        ({"accuracy": [0.995, 0.99]}, "TAR at FAR 1e-3"),
        ({"accuracy": [0.99, 0.994]}, "accuracy falls"),
    ],
)
def test_each_limit_refuses_alone(change: dict[str, Any], told: str) -> None:
    report: dict[str, Any] = {
        "kind": "faces",
        "templates": {"mean": 0.99},
        "layers": None,
        "accuracy": [0.994, 0.993],
        "graphs": {"encoder": graph(1)},
    }
    report.update(change)
    accuracy, tar = report["accuracy"]
    report["accuracy"] = [
        {
            "protocol": "all pairs",
            "float32": {"accuracy": 0.995, "tar_at_far": {"1e-3": 0.995}},
            "converted": {"accuracy": accuracy, "tar_at_far": {"1e-3": tar}},
        }
    ]
    (said,) = refusals(report, Limits())
    assert told in said


def measured(
    ms: float, accuracy: float, refused: list[str], strict: float = 0.98
) -> dict[str, Any]:
    return {
        "refused": refused,
        "accuracy": [
            {
                "float32": {"accuracy": 0.99, "tar_at_far": {"1e-4": 0.98}},
                "converted": {"accuracy": accuracy, "tar_at_far": {"1e-4": strict}},
            }
        ],
        "graphs": {"encoder": {"speed": [{"batch": 1, "threads": 1, "ms": ms}]}},
    }


def test_auto_takes_the_fastest_that_is_good_enough_and_says_why() -> None:
    reports = {
        "float32": measured(5, 0.99, []),
        "float16": measured(4, 0.9895, []),
        "int8": measured(2, 0.988, []),
        "int8-weights": measured(1, 0.99, ["17 partitions"]),
    }
    chosen, why = choose(reports)
    assert chosen == "float16"
    assert "int8 is out (accuracy falls by 0.20%)" in why
    assert "int8-weights is out (17 partitions)" in why
    with pytest.raises(OneglanceError, match="no conversion is the same"):
        choose({"int8": reports["int8"]})


def test_auto_leaves_out_what_loses_at_the_thresholds_that_doors_use() -> None:
    reports = {
        "float32": measured(5, 0.99, []),
        "float16": measured(4, 0.99, [], strict=0.9791),
        "int8": measured(2, 0.99, [], strict=0.9788),
    }
    chosen, why = choose(reports)
    assert chosen == "float16"
    assert "int8 is out (TAR at FAR 1e-4 falls by 0.12%)" in why


def test_each_third_of_light_and_size_is_drawn_from() -> None:
    generator = np.random.default_rng(0)
    light, size = np.exp(generator.normal(0, 1, (2, 900)))
    rows = stratified(light, size, 18, np.random.default_rng(1))
    assert len(set(rows.tolist())) == 18
    for values in (light, size):
        thirds = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values[rows])
        assert np.bincount(thirds, minlength=3).tolist() == [6, 6, 6]
    again = stratified(light, size, 18, np.random.default_rng(1))
    assert np.array_equal(rows, again)


def test_noise_is_told_from_a_photograph() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    assert neighbours_alike(noise) < 0.2
    assert neighbours_alike(cv2.GaussianBlur(noise, (9, 9), 0)) > 0.8


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, twins: Twins) -> Job:
    folder = tmp_path_factory.mktemp("run")
    twins.pair.save(folder / "siamese.keras")
    landmarks(0.25).save(folder / "aligner.keras")
    return Job(
        model=str(folder / "siamese.keras"),
        aligner=str(folder / "aligner.keras"),
        out="",
        name="tiny",
        quantize="int8",
        passes=2,
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [("noise", "random noise"), ("walls", "no face was found"), ("none", "there are no pictures")],
)
def test_unfit_calibration_is_refused(tmp_path: Path, kind: str, told: str) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(0 if kind == "none" else 2):
        picture = generator.integers(0, 256, (90, 90, 3), np.uint8)
        if kind == "walls":
            picture = np.full((90, 90, 3), 120, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    with pytest.raises(ConfigError, match=told):
        calibration_faces(folder, load_model())


def test_too_few_faces_to_calibrate_with_are_counted_and_leave_nothing_behind(
    trained: Job, small_photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "one.jpg").write_bytes((small_photos / "obama.jpg").read_bytes())
    job = replace(trained, calibration=str(folder), out=str(tmp_path / "made"))
    with pytest.raises(ConfigError, match="1 faces in 1 pictures are too few"):
        run_job(job)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_killed_conversion_leaves_nothing_behind(trained: Job, tmp_path: Path) -> None:
    out = tmp_path / "out" / "made"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = (
        "import os, signal, sys\n"
        "from oneglance.converter import child\n"
        "from oneglance.converter.request import Job\n"
        "started = child.subprocess.Popen\n"
        "born = []\n"
        "def watched(*a, **k):\n"
        "    born.append(started(*a, **k))\n"
        "    return born[0]\n"
        "child.subprocess.Popen = watched\n"
        "def tell(text):\n"
        "    print(text, flush=True)\n"
        "    if 'measuring' in text:\n"
        "        os.kill(born[0].pid, signal.SIGKILL)\n"
        f"job = Job({trained.model!r}, {trained.aligner!r}, {str(out)!r}, 'tiny', 'float32', 2)\n"
        "child.convert_in_child(job, tell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "measuring" in done.stdout
    assert f"died with exit code {-signal.SIGKILL}" in done.stderr
    assert not out.parent.exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of it")
def test_a_child_whose_parent_is_killed_ends_and_clears_up(trained: Job, tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out" / "made"
    scratch.mkdir()
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from oneglance.converter import child\n"
        "from oneglance.converter.request import Job\n"
        "def tell(text):\n"
        "    print(Path('/proc/thread-self/children').read_text(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"job = Job({trained.model!r}, {trained.aligner!r}, {str(out)!r}, 'tiny', 'float32', 2)\n"
        "child.convert_in_child(job, tell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        child = os.pidfd_open(int(done.stdout))
        ended, _, _ = select.select([child], [], [], 120)
        os.close(child)
        assert ended
    assert not out.parent.exists()
    assert list(scratch.iterdir()) == []
