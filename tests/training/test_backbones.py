"""Face encoders by name: what they cost, what they give, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest

from oneglance.errors import ConfigError
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import read_manifest
from oneglance.models import default_model_dir
from oneglance.training.faces.encoder_teacher import EncoderTeacher
from oneglance.training.networks.backbones import applications, make_encoder, need_data
from oneglance.training.networks.face_networks import mobileface, siamese
from oneglance.training.networks.heads import make_head
from oneglance.training.networks.koch_faces import koch_on_faces
from oneglance.training.networks.macs import multiply_accumulates
from oneglance.training.networks.slim import keep_channels, slim

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CHIPS = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)


def test_multiply_accumulates_are_counted_as_by_hand() -> None:
    layers = keras.layers
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, 2, padding="same")(inputs)
    x = layers.DepthwiseConv2D(3, padding="valid")(x)
    x = layers.Conv2D(6, 1, groups=2)(x)
    x = layers.Dense(5)(layers.Flatten()(layers.ReLU()(x)))
    inner = keras.Model(inputs, x)
    again = layers.Input((8, 8, 3))
    model = keras.Model(again, layers.Dense(2)(inner(again)))
    wanted = 4 * 4 * 4 * 27 + 2 * 2 * 4 * 9 + 2 * 2 * 6 * 2 + 24 * 5 + 5 * 2
    assert multiply_accumulates(model) == wanted


def test_the_small_network_has_the_same_layers_and_half_the_products() -> None:
    small, wide = make_encoder("mobileface-slim"), mobileface()
    assert [type(layer) for layer in small.layers] == [type(layer) for layer in wide.layers]
    assert 0.45 < multiply_accumulates(small) / multiply_accumulates(wide) < 0.5


@pytest.mark.parametrize("name", ["mobileface", "mobileface-slim", "compact"])
def test_templates_have_length_one_and_a_file_gives_the_network_back(
    tmp_path: Path, name: str
) -> None:
    encoder = make_encoder(name, template_size=24, width=0.125, depth=0.2, seed=5)
    templates = encoder.predict_on_batch(CHIPS.astype(np.float32))
    assert templates.shape == (4, 24)
    assert np.linalg.norm(templates, axis=1) == pytest.approx(np.ones(4), abs=1e-4)
    encoder.save(tmp_path / "encoder.keras")
    again = make_encoder(
        name,
        template_size=24,
        width=0.125,
        depth=0.2,
        seed=6,
        weights=tmp_path / "encoder.keras",
    )
    assert again.predict_on_batch(CHIPS.astype(np.float32)) == pytest.approx(templates, abs=1e-5)


def test_the_same_seed_makes_the_same_network() -> None:
    one, two, three = (make_encoder("compact", width=0.125, seed=seed) for seed in (1, 1, 2))
    assert all(map(np.array_equal, one.get_weights(), two.get_weights()))
    assert not all(map(np.array_equal, one.get_weights(), three.get_weights()))


def test_koch_on_faces_is_the_papers_twin_and_knows_no_colour(tmp_path: Path) -> None:
    assert koch_on_faces().count_params() == 38_947_648
    encoder = make_encoder("koch", width=0.0625)
    assert encoder.input_shape == (None, 112, 112, 3)
    # Red of 100 is as bright as blue of 100 * 0.299 / 0.114.
    red, blue = np.zeros((2, 1, 112, 112, 3), np.float32)
    red[..., 0], blue[..., 2] = 90.0, 90.0 * 0.299 / 0.114
    assert encoder.predict_on_batch(red) == pytest.approx(encoder.predict_on_batch(blue), abs=1e-5)
    encoder.save(tmp_path / "koch.keras")
    again = keras.saving.load_model(tmp_path / "koch.keras")
    chips = CHIPS.astype(np.float32)
    assert again.predict_on_batch(chips) == pytest.approx(encoder.predict_on_batch(chips))


def test_a_file_of_any_of_our_networks_is_read_in_a_fresh_process(tmp_path: Path) -> None:
    siamese(make_encoder("koch", width=0.0625), make_head("cosine")).save(tmp_path / "pair.keras")
    code = (
        "import sys; from pathlib import Path;"
        "from oneglance.training.networks.keras_files import load_keras;"
        "print(load_keras(Path(sys.argv[1])).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pair.keras")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip() == "siamese", done.stderr


def test_any_network_of_keras_applications_takes_raw_chips(tmp_path: Path) -> None:
    encoder = make_encoder("applications.MobileNet", template_size=16)
    templates = encoder.predict_on_batch(CHIPS.astype(np.float32))
    assert templates.shape == (4, 16)
    prepared = encoder.get_layer("preprocess")(CHIPS.astype(np.float32))
    wanted = keras.applications.mobilenet.preprocess_input(CHIPS.astype(np.float32))
    assert np.asarray(prepared) == pytest.approx(wanted, abs=1e-4)
    assert not encoder.get_layer("preprocess").trainable_weights
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    assert all(map(np.array_equal, again.get_weights(), encoder.get_weights()))


def test_preprocessing_that_swaps_colours_is_inside_the_network_too() -> None:
    encoder = make_encoder("applications.VGG16", template_size=16)
    prepared = encoder.get_layer("preprocess")(CHIPS.astype(np.float32))
    wanted = keras.applications.vgg16.preprocess_input(CHIPS.astype(np.float32))
    assert np.asarray(prepared) == pytest.approx(wanted, abs=1e-3)


def test_every_kind_of_network_is_known() -> None:
    assert {"MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny"} <= set(applications())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mobilface", "did you mean 'mobileface'"),
        ("applications.MobilNetV2", "did you mean MobileNetV2"),
        ("MobileNetV2", "did you mean 'applications.MobileNetV2'"),
        ("qqq", "there is no network 'qqq'"),
    ],
)
def test_an_unknown_network_names_its_close_matches(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_encoder(name)
    assert told in caught.value.what


def test_weights_that_cannot_be_fetched_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # So that the proxy is looked up anew, and no weights of an earlier download are found.
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        make_encoder("applications.VGG16", weights="imagenet")
    assert caught.value.what.startswith("the imagenet weights of VGG16 cannot be fetched (")
    assert "\n" not in str(caught.value)


# Keras says that its older form of file is old; it is the one in which most weights are found.
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_backbones_weights_come_from_any_file_that_keras_writes(tmp_path: Path) -> None:
    shape = (112, 112, 3)
    bare = keras.applications.MobileNet(include_top=False, weights=None, input_shape=shape)
    # Fresh biases are all 0: only other values show that each came to its own place.
    generator = np.random.default_rng(2)
    bare.set_weights([generator.uniform(0.1, 1, w.shape) for w in bare.get_weights()])
    wanted = bare.get_weights()
    whole = keras.applications.MobileNet(weights=None)
    whole.set_weights([*wanted, *whole.get_weights()[len(wanted) :]])
    encoder = make_encoder("applications.MobileNet", template_size=8, seed=4)
    bare.save_weights(tmp_path / "bare.weights.h5")
    bare.save(tmp_path / "bare.h5")
    whole.save(tmp_path / "whole.h5")
    whole.save(tmp_path / "whole.keras")
    for name in ("bare.weights.h5", "bare.h5", "whole.h5", "whole.keras"):
        made = make_encoder("applications.MobileNet", template_size=8, weights=tmp_path / name)
        found = made.get_layer(bare.name).get_weights()
        assert all(map(np.array_equal, found, wanted)), name
    encoder.save(tmp_path / "trained.keras")
    again = make_encoder(
        "applications.MobileNet", template_size=8, weights=tmp_path / "trained.keras"
    )
    assert all(map(np.array_equal, again.get_weights(), encoder.get_weights()))
    with pytest.raises(ConfigError, match="not the weights of this network"):
        make_encoder("applications.MobileNetV2", weights=tmp_path / "whole.keras")
    (tmp_path / "torn.h5").write_bytes((tmp_path / "bare.h5").read_bytes()[:1000])
    with pytest.raises(ConfigError, match="not a readable weights file"):
        make_encoder("applications.MobileNet", weights=tmp_path / "torn.h5")
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"weights of \.pt"):
        make_encoder("applications.MobileNet", weights=tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("name", "weights", "told"),
    [
        ("compact", "imagenet", "no imagenet weights of compact"),
        ("compact", "gone.keras", "no such model"),
        ("applications.MobileNet", "gone.weights.h5", "no such weights"),
    ],
)
def test_weights_that_are_not_there_are_refused(name: str, weights: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make_encoder(name, weights=weights)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    make_encoder("compact", width=0.125).save(tmp_path / "compact.keras")
    for name in ("mobileface", "mobileface-slim", "compact"):
        with pytest.raises(ConfigError, match="not the weights of this network"):
            make_encoder(
                name, width=0.25, depth=0.2, weights=tmp_path / "compact.keras", chips=CHIPS
            )


def test_a_network_too_big_for_its_pictures_is_refused() -> None:
    encoder = make_encoder("compact", width=0.25)
    need_data(encoder, 1_000, "compact")
    with pytest.raises(ConfigError, match="too many for 2 training pictures"):
        need_data(encoder, 2, "compact")


def test_kept_channels_are_those_the_rest_cannot_replace() -> None:
    generator = np.random.default_rng(0)
    strong = generator.normal(size=(500, 3))
    # Channels 1 and 3 are copies of others, 5 says next to nothing.
    channels = np.column_stack(
        [
            strong[:, 0],
            2 * strong[:, 0],
            strong[:, 1],
            -strong[:, 1],
            strong[:, 2],
            0.01 * generator.normal(size=500),
        ]
    )
    wanted = strong @ np.array([[1.0], [2.0], [-3.0]]) + 0.7
    rows = np.column_stack([channels, np.ones(500)])
    kept, kernel, bias = keep_channels(rows.T @ rows / 500, rows.T @ wanted / 500, 3)
    assert {number // 2 for number in kept.tolist()} == {0, 1, 2}
    assert 5 not in kept
    assert channels[:, kept] @ kernel + bias == pytest.approx(wanted, abs=0.02)


def test_a_slimmed_network_says_more_of_what_the_wide_one_says_than_a_random_one() -> None:
    keras.utils.set_random_seed(3)
    wide, narrow = mobileface(24, 0.25, 0.2), mobileface(24, 0.25, 0.2, inner=0.5)
    chips = np.repeat(np.repeat(CHIPS[:, :14, :14], 8, 1), 8, 2)
    wanted = wide.predict_on_batch(chips.astype(np.float32))
    before = (narrow.predict_on_batch(chips.astype(np.float32)) * wanted).sum(1).mean()
    slim(wide, narrow, chips)
    after = (narrow.predict_on_batch(chips.astype(np.float32)) * wanted).sum(1).mean()
    assert after > 0.9
    assert after > before


def test_a_teacher_file_gives_templates_of_length_one() -> None:
    teacher = EncoderTeacher(default_model_dir() / read_manifest(default_model_dir()).encoder.name)
    said = teacher.encode(CHIPS)
    assert np.linalg.norm(said, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert said == pytest.approx(load_model().encode(CHIPS), abs=1e-5)
