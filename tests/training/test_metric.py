"""Heads and training models: what they measure, and that a file gives them back."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from oneglance.training.faces.metric import (
    ClassDirections,
    all_distances,
    class_cosines,
    finished_pair,
    pair_distances,
    student,
)
from oneglance.training.faces.siamese_training import scores_of
from oneglance.training.networks.backbones import compact_faces
from oneglance.training.networks.face_networks import siamese
from oneglance.training.networks.heads import CosineHead, Distance, WeightedL1Head, make_head
from oneglance.training.networks.penalty import penalise

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEADS = ["l1", "cosine"]


def units(seed: int, count: int, size: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def built(name: str, size: int = 4, **options: bool) -> WeightedL1Head | CosineHead:
    head = make_head(name, **options)
    head.build([(None, size), (None, size)])
    return head


def test_a_cosine_heads_distance_is_the_chord() -> None:
    a, b = units(0, 5, 4), units(1, 5, 4)
    wanted = np.linalg.norm(a - b, axis=1)
    assert np.asarray(built("cosine").distance([a, b])) == pytest.approx(wanted, abs=1e-4)


def test_an_l1_heads_distance_is_the_weighted_sum_and_its_logit_falls_with_it() -> None:
    head = built("l1")
    head.weights_l1.assign([0.5, 1.0, 0.0, 2.0])
    head.bias.assign(3.0)
    a, b = (
        np.array([[1.0, 2.0, 3.0, 4.0]], np.float32),
        np.array([[2.0, 0.0, 9.0, 3.0]], np.float32),
    )
    assert float(head.distance([a, b])[0]) == pytest.approx(0.5 + 2.0 + 2.0)
    assert float(head([a, b])[0]) == pytest.approx(3.0 - 4.5)


@pytest.mark.parametrize("name", HEADS)
def test_a_started_head_parts_near_from_far_at_a_chord_of_one(name: str) -> None:
    head = built(name, 256)
    head.start(8.0)
    a, b = units(0, 64, 256), units(1, 64, 256)
    strangers = np.asarray(head([a, b]))
    assert strangers.max() < -1
    near = (a + 0.3 * b) / np.linalg.norm(a + 0.3 * b, axis=1, keepdims=True)
    assert np.asarray(head([a, near])).min() > 1


@pytest.mark.parametrize("name", HEADS)
def test_numpy_scores_are_the_heads_own(name: str) -> None:
    head = built(name)
    head.start(5.0)
    head.calibrate(0.7, -0.4)
    a, b = units(2, 3, 4), units(3, 6, 4)
    wanted = np.asarray(head([a[:, None], b[None]]))
    assert scores_of(head)(a, b) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_calibration_is_a_line_through_the_old_scores(name: str) -> None:
    head = built(name)
    head.start(5.0)
    a, b = units(2, 6, 4), units(3, 6, 4)
    before = np.asarray(head([a, b]))
    head.calibrate(0.5, -3.0)
    assert np.asarray(head([a, b])) == pytest.approx(0.5 * before - 3.0, abs=1e-4)


def test_only_an_unsigned_l1_head_keeps_its_weights_from_below_zero() -> None:
    assert built("l1").weights_l1.constraint is not None
    signed = built("l1", 512, signed=True)
    assert signed.weights_l1.constraint is None
    assert np.asarray(signed.weights_l1).min() < 0


@pytest.mark.parametrize(
    "layer",
    [
        WeightedL1Head(signed=True, name="head"),
        CosineHead(9.0, learned=True, name="head"),
        Distance(CosineHead(9.0, learned=True), name="apart"),
        ClassDirections(7, name="classes"),
    ],
)
def test_a_layer_is_made_again_from_its_config(layer: keras.layers.Layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", ["pair", "distances", "all", "classes", "student"])
def test_a_training_model_in_a_file_comes_back_with_its_pair(
    tmp_path: Path, name: str, kind: str
) -> None:
    encoder, head = compact_faces(8, 0.125), make_head(name)
    make = {
        "pair": lambda: siamese(encoder, head),
        "distances": lambda: pair_distances(encoder, head),
        "all": lambda: all_distances(encoder, head),
        "classes": lambda: class_cosines(encoder, 3),
        "student": lambda: student(encoder, head),
    }
    built_pair = siamese(encoder, head)
    head.start(3.0)
    model = make[kind]()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    chips = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.float32)
    inputs = [chips, chips[::-1]] if kind in ("pair", "distances") else chips
    wanted = model.predict_on_batch(inputs)
    assert again.predict_on_batch(inputs) == pytest.approx(wanted, abs=1e-5)
    pair = finished_pair(again, head)
    scores = built_pair.predict_on_batch([chips, chips[::-1]])
    assert pair.predict_on_batch([chips, chips[::-1]]) == pytest.approx(scores, abs=1e-5)


def test_a_student_says_templates_and_how_near_they_are() -> None:
    encoder = compact_faces(8, 0.125)
    chips = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.float32)
    said = student(encoder, make_head("cosine")).predict_on_batch(chips)
    templates = encoder.predict_on_batch(chips)
    assert said[:, :8] == pytest.approx(templates, abs=1e-5)
    apart = np.linalg.norm(templates[:, None] - templates[None], axis=2)
    off = ~np.eye(3, dtype=bool)
    assert said[:, 8:][off] == pytest.approx(-apart[off], abs=2e-3)


def test_a_penalty_is_the_weighted_sum_of_squares_and_outlives_a_file(tmp_path: Path) -> None:
    encoder = compact_faces(8, 0.125)
    kernels = {
        layer.name: np.asarray(layer.kernel)
        for layer in encoder.layers
        if layer.weights and hasattr(layer, "kernel")
    }
    first = next(iter(kernels))
    penalise(encoder, 0.01, {first: 0.5})
    wanted = sum(
        (0.5 if name == first else 0.01) * float((kernel**2).sum())
        for name, kernel in kernels.items()
    )
    assert float(sum(encoder.losses)) == pytest.approx(wanted, rel=1e-5)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    assert float(sum(again.losses)) == pytest.approx(wanted, rel=1e-5)
