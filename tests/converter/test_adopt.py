"""Siamese models of other hands: the webcam tutorial's, trained small with plain Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from oneglance.converter.adopt import adopt
from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.converter.whole_file import read_whole
from oneglance.errors import ConfigError
from oneglance.faces.model.face_model import load_model

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:.*HDF5 file via:UserWarning",
)


class L1Dist(keras.layers.Layer):
    """As the tutorial has it: the settings of a layer are not handed on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()

    def call(self, input_embedding: Any, validation_embedding: Any) -> Any:
        return keras.ops.abs(input_embedding - validation_embedding)


class Squared(keras.layers.Layer):
    def call(self, a: Any, b: Any) -> Any:
        return (a - b) ** 2


def tutorial(join: Callable[[Any, Any], Any]) -> keras.Model:
    layers = keras.layers
    picture = layers.Input((100, 100, 3), name="input_image")
    x = layers.Conv2D(8, 10, strides=5, activation="relu")(picture)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Dense(16, activation="sigmoid")(layers.Flatten()(x))
    embedding = keras.Model(picture, x, name="embedding")
    a = layers.Input((100, 100, 3), name="input_img")
    b = layers.Input((100, 100, 3), name="validation_img")
    answer = layers.Dense(1, activation="sigmoid")(join(embedding(a), embedding(b)))
    return keras.Model([a, b], answer, name="SiameseNetwork")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """A few steps on made-up people, and all the ways in which it is saved."""
    keras.utils.set_random_seed(3)
    model = tutorial(L1Dist())
    drawn = np.random.default_rng(0)
    people = drawn.random((8, 10, 10, 3), np.float32).repeat(10, 1).repeat(10, 2)
    i, j = drawn.integers(0, 8, (2, 64))
    j[::2] = i[::2]
    model.compile("adam", "binary_crossentropy")
    model.fit([people[i], people[j]], (i == j).astype(np.float32), epochs=4, verbose=0)
    folder = tmp_path_factory.mktemp("tutorial")
    model.save(folder / "three.keras")
    model.save(folder / "three.h5")
    model.save_weights(folder / "only.weights.h5")
    as_keras_2(folder / "three.keras", folder / "two.keras")
    as_keras_2(folder / "three.h5", folder / "two.h5")
    return model, folder


def as_keras_2(source: Path, out: Path) -> None:
    """The same file as Keras 2 describes it: its class elsewhere, its second input by name."""

    def old(config: dict[str, Any]) -> None:
        if "module" in config and config["class_name"] == "Functional":
            config["module"] = "keras.src.engine.functional"
        inner = config["config"]
        for layer in inner.get("layers", ()):
            old(layer)
            nodes = []
            for node in layer["inbound_nodes"]:
                tensors = [t["config"]["keras_history"] for t in tensors_in(node["args"])]
                # There the making of a model counts as its first call.
                told = [[n, c + (n == "embedding"), t] for n, c, t in tensors]
                named = {"validation_embedding": told[1]} if len(told) == 2 else {}
                nodes.append([[*told[0], named]])
            layer["inbound_nodes"] = nodes

    out.write_bytes(source.read_bytes())
    if out.suffix == ".h5":
        with h5py.File(out, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            old(config)
            file.attrs["model_config"] = json.dumps(config)
        return
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(out, "w") as after:
        config = json.loads(before.read("config.json"))
        old(config)
        for name in before.namelist():
            text = json.dumps(config) if name == "config.json" else before.read(name)
            after.writestr(name, text)


def tensors_in(arguments: Any) -> list[Any]:
    if isinstance(arguments, dict):
        return [arguments]
    return [tensor for one in arguments for tensor in tensors_in(one)]


@pytest.mark.parametrize("name", ["three.keras", "three.h5", "two.keras", "two.h5"])
def test_the_tutorials_model_is_read_and_answers_the_same(
    trained: tuple[keras.Model, Path], name: str
) -> None:
    model, folder = trained
    a, b = np.random.default_rng(1).random((2, 4, 100, 100, 3), np.float32)
    read = read_whole(folder / name)
    wanted = np.asarray(model([a, b]))
    np.testing.assert_allclose(np.asarray(read([a, b])), wanted, atol=1e-5)
    pair = adopt(read, name)
    # A chip that is scaled to 100 px, and brought to 0..1, is what the model was made for.
    chips = np.random.default_rng(2).integers(0, 256, (3, 112, 112, 3)).astype(np.float32)
    small = np.asarray(keras.ops.image.resize(chips, (100, 100))) / 255
    logit = np.asarray(pair([chips, chips[::-1]]))
    wanted = np.asarray(model([small, small[::-1]])).reshape(-1)
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), wanted, atol=1e-4)


def test_it_becomes_a_model_that_a_door_can_load(
    trained: tuple[keras.Model, Path], tmp_path: Path
) -> None:
    job = Job(
        model=str(trained[1] / "two.h5"),
        aligner=str(tmp_path / "none.keras"),
        out=str(tmp_path / "made"),
        name="tutorial",
        quantize="float32",
        passes=2,
    )
    report = run_job(job)
    assert report["parity"]["cosine_mean"] > 0.99999
    door = load_model(tmp_path / "made")
    chips = np.random.default_rng(2).integers(0, 256, (3, 112, 112, 3), np.uint8)
    templates = door.encode(chips)
    assert templates.shape == (3, 17)
    pair = adopt(read_whole(trained[1] / "three.keras"), "")
    wanted = np.asarray(pair([chips.astype(np.float32), chips[::-1].astype(np.float32)]))
    np.testing.assert_allclose(
        door.compare(templates, templates)[[0, 1, 2], [2, 1, 0]], wanted, atol=1e-3
    )
    with pytest.raises(ConfigError, match="int8 is for networks"):
        run_job(Job(**{**job_fields(job), "quantize": "int8", "out": str(tmp_path / "no")}))


def job_fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in job.__slots__}


def test_a_layer_of_no_known_name_needs_its_code_and_is_named(tmp_path: Path) -> None:
    tutorial(Squared(name="apart")).save(tmp_path / "other.keras")
    with pytest.raises(ConfigError, match=r"'apart' is of the class Squared.*--custom-objects"):
        read_whole(tmp_path / "other.keras")
    code = tmp_path / "layers.py"
    code.write_text(
        "import keras\nclass Squared(keras.layers.Layer):\n"
        "    def call(self, a, b):\n        return (a - b) ** 2\n"
    )
    model = read_whole(tmp_path / "other.keras", code)
    with pytest.raises(ConfigError, match=r"'apart' \(Squared\) is not \|a - b\|"):
        adopt(model, "other.keras")
    code.write_text("1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        read_whole(tmp_path / "other.keras", code)


def test_a_difference_by_keras_ops_is_taken_from_a_file_that_tells_it(tmp_path: Path) -> None:
    model = tutorial(lambda a, b: keras.ops.absolute(a - b))
    model.save(tmp_path / "ops.keras")
    pair = adopt(read_whole(tmp_path / "ops.keras"), "ops.keras")
    assert [one.shape for one in pair.inputs] == [(None, 112, 112, 3)] * 2
    # Of HDF5 not even Keras itself knows which step was meant.
    model.save(tmp_path / "ops.h5")
    with pytest.raises(ConfigError, match=r"class Absolute.*from a \.keras file only"):
        read_whole(tmp_path / "ops.h5")


def test_each_file_that_is_no_whole_model_says_why(
    trained: tuple[keras.Model, Path], tmp_path: Path
) -> None:
    inner = keras.layers.Input((4,))
    keras.Model(inner, keras.layers.Lambda(lambda x: x + 1)(inner)).save(tmp_path / "lambda.keras")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "made.tflite").write_bytes(b"\0\0\0\0TFL3")
    (tmp_path / "made.h5").write_bytes(b"text")
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as file:
        file.writestr("net/data.pkl", b"")
    for name, text in {"list": "[]", "layers": '{"config": {"layers": [1]}}'}.items():
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w") as file:
            file.writestr("config.json", text)
    whole = (trained[1] / "three.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    for name, why in {
        "lambda.keras": "is a Lambda, whose code lies in the file",
        "saved": "SavedModel folder",
        "made.tflite": "a TensorFlow Lite file",
        "made.h5": "no .keras or .h5",
        "net.pth": "a PyTorch file",
        "cut.keras": "no .keras or .h5",
        "list.keras": "cannot read it",
        "layers.keras": "cannot read it",
        "none.keras": "no such model",
        str(trained[1] / "only.weights.h5"): "weights only",
    }.items():
        with pytest.raises(ConfigError, match=why) as caught:
            read_whole(tmp_path / name)
        assert caught.value.fix
