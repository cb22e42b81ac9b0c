"""Rewriting, folding and equalising leave the function as it was."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.converter.correct import correct_biases, rounded
from oneglance.converter.equalise import channel_ranges, equalise
from oneglance.converter.fold import fold, linear_of
from oneglance.converter.graph import Graph, activations, build_model, read_graph
from oneglance.converter.rewrite import rewrite_prelu
from oneglance.training.networks.face_networks import Vector, mobileface

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIDE = 8


def pictures(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def batches() -> Iterator[np.ndarray]:
    yield pictures()


def randomised(model: keras.Model, seed: int, slopes: float = 9.0) -> keras.Model:
    """Every weight drawn anew; slopes of PReLUs between minus and plus `slopes`."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.PReLU):
            layer.set_weights([generator.uniform(-slopes, slopes, layer.alpha.shape)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights([generator.uniform(0.5, 2, shape) for shape in shapes])
        elif layer.get_weights():
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights([generator.normal(0, 0.3, shape) for shape in shapes])
    return model


def two_trunks() -> keras.Model:
    """Every kind of join: a residual sum, two trunks side by side, pooling, batch norms."""
    layers = keras.layers
    given_pictures = layers.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128)(given_pictures)
    sides = []
    for _ in range(2):
        y = layers.Conv2D(6, 3, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization()(y)
        y = skipped = layers.PReLU(shared_axes=[1, 2])(y)
        y = layers.DepthwiseConv2D(3, padding="same")(y)
        y = layers.PReLU(shared_axes=[1, 2])(y)
        y = layers.Conv2D(6, 1)(y)
        y = layers.Add()([y, skipped])
        y = layers.MaxPooling2D(2)(y)
        y = layers.Conv2D(5, 4, activation="relu")(y)
        sides.append(Vector()(y))
    both = layers.Concatenate()(sides)
    return keras.Model(given_pictures, layers.UnitNormalization()(layers.Dense(7)(both)))


def difference(graph: Graph, model: keras.Model, given_pictures: np.ndarray) -> float:
    x = given_pictures.astype(np.float32)
    wanted = np.asarray(model.predict_on_batch(x))
    found = np.asarray(build_model(graph).predict_on_batch(x))
    return float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=5)
def test_rewriting_and_equalising_are_exact_for_any_slopes(seed: int) -> None:
    model = randomised(two_trunks(), seed)
    graph = rewrite_prelu(fold(read_graph(model)))
    assert not [n for n in graph.nodes if n.kind in ("PReLU", "BatchNormalization")]
    assert difference(graph, model, pictures()) < 1e-4
    assert difference(equalise(graph, batches), model, pictures()) < 1e-4


def test_a_large_graph_gives_its_activations_in_parts_that_fit() -> None:
    layers = keras.layers
    given_pictures = layers.Input((SIDE, SIDE, 3))
    steps = [layers.Conv2D(8, 1), layers.Conv2D(4, 1), layers.ReLU(), layers.Conv2D(2, 1)]
    x = given_pictures
    for step in steps:
        x = step(x)
    graph = read_graph(randomised(keras.Model(given_pictures, x), 4))
    names = [node.name for node in graph.nodes]
    (whole,) = activations(graph, names, batches)
    parts = list(activations(graph, names, batches, most=6 * SIDE * SIDE))
    assert [list(part) for part in parts] == [names[:1], names[1:2], names[2:]]
    for part in parts:
        assert all(np.allclose(values, whole[name], atol=1e-3) for name, values in part.items())


def test_a_sign_that_nothing_absorbs_is_undone() -> None:
    given_pictures = keras.layers.Input((SIDE, SIDE, 3))
    active = keras.layers.PReLU(shared_axes=[1, 2])(keras.layers.Conv2D(4, 1)(given_pictures))
    model = randomised(keras.Model(given_pictures, active), 3)
    model.layers[-1].set_weights([np.array([[[5.0, -5.0, 1.0, 2.0]]])])
    assert difference(rewrite_prelu(read_graph(model)), model, pictures()) < 1e-5


def test_a_prelu_with_a_slope_for_every_pixel_is_left_alone() -> None:
    given_pictures = keras.layers.Input((SIDE, SIDE, 3))
    model = keras.Model(given_pictures, keras.layers.PReLU()(given_pictures))
    assert [n.kind for n in rewrite_prelu(read_graph(model)).nodes] == ["PReLU"]


def test_a_model_inside_a_model_is_unpacked() -> None:
    inner = randomised(two_trunks(), 5)
    given_pictures = keras.layers.Input((SIDE, SIDE, 3))
    scaled = keras.layers.Rescaling(0.5)(given_pictures)
    model = keras.Model(given_pictures, inner(scaled))
    assert difference(read_graph(model), model, pictures()) < 1e-5


def test_our_encoder_is_the_same_after_all_steps() -> None:
    model = randomised(mobileface(16, 0.125, 0.2), 2, 3.0)
    chips = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    graph = equalise(rewrite_prelu(fold(read_graph(model))), lambda: iter([chips]))
    assert difference(graph, model, chips) < 1e-4


def test_equalising_brings_a_loud_channel_and_quiet_ones_together() -> None:
    model = randomised(two_trunks(), 7)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    first.set_weights([first.get_weights()[0] * np.array([8, 1, 1, 1, 1, 1])])
    graph = rewrite_prelu(fold(read_graph(model)))
    (name,) = {n.inputs[0] for n in graph.nodes if n.name.endswith("_straight")} & {first.name}

    def spread(made: Graph) -> float:
        ranges = channel_ranges(made, [name], batches)[name]
        return float(ranges.max() / ranges.min())

    assert spread(graph) > 4
    assert spread(equalise(graph, batches)) < 1.1


def test_corrected_biases_take_the_mean_error_of_rounded_weights_out() -> None:
    given_pictures = keras.layers.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(given_pictures)
    model = randomised(keras.Model(given_pictures, keras.layers.Conv2D(4, 1)(x)), 9)
    graph = read_graph(model)

    def mean_error(made: Graph) -> float:
        nodes = []
        for node in made.nodes:
            linear = linear_of(node)
            if linear is not None:
                node = node.with_weights(rounded(linear), linear.bias)
            nodes.append(node)
        x = pictures().astype(np.float32)
        found = np.asarray(build_model(made.changed(nodes)).predict_on_batch(x))
        wanted = np.asarray(model.predict_on_batch(x))
        return float(np.abs((found - wanted).mean(axis=(0, 1, 2))).max())

    assert mean_error(correct_biases(graph, batches)) < 0.01 * mean_error(graph)
