"""`koch` on all pairs of a batch: the paper's network and loss, as cheaply as a CPU can train them.

A pair costs two passes through the twin, but n drawings, encoded once, are n (n - 1) / 2 pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from oneglance.faces.drawings.one_shot_trials import Run
from oneglance.training.drawings.compact_training import CharacterPairs, figures
from oneglance.training.drawings.koch_training import join_of
from oneglance.training.drawings.omniglot import Drawings, distort
from oneglance.training.engine import loop
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.pairs import all_pairs_model
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.stream import Batch, Stream, generator_of
from oneglance.training.networks.koch import LAYERS, AbsoluteDifference, koch
from oneglance.training.recipes.drawing_recipes import KochAllPairsRecipe


@keras.saving.register_keras_serializable(package="oneglance")
class PairCrossEntropy(keras.losses.Loss):
    """Cross-entropy of all pairs of a batch, same and different ones weighing the same.

    Called with partners (n,), the row of the other drawing of the same character, and logits (n, n)
    of every drawing with every other.
    """

    def __init__(self, name: str = "pair_cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, partners: Any, logits: Any) -> Any:
        """Losses (n,)."""
        ops = keras.ops
        count = ops.shape(logits)[0]
        same = ops.one_hot(partners, count)
        different = 1.0 - same - ops.eye(count)
        missed = ops.sum(same * ops.softplus(-logits), axis=1)
        confused = ops.sum(different * ops.softplus(logits), axis=1) / ops.sum(different, axis=1)
        return (missed + confused) / 2


def train_koch_all_pairs(
    drawings: Drawings, check: list[Run], recipe: KochAllPairsRecipe, folder: Path, stage: Stage
) -> keras.Model:
    """Train on `drawings`; returns the float32 network of the epoch that was best on `check`."""
    start = koch(recipe.seed, width=recipe.width, precision=recipe.precision)
    _start_evenly(start, recipe.seed)
    model = _all_pairs(start)
    rate = loop.cosine(recipe.learning_rate, recipe.epochs, recipe.steps, recipe.warmup_epochs)
    model.compile(keras.optimizers.Adam(rate), loss=PairCrossEntropy())
    characters = CharacterPairs(drawings)
    partners = np.arange(2 * recipe.pairs) ^ 1

    def make(epoch: int, step: int) -> Batch:
        generator = generator_of(recipe.seed, epoch, step)
        rows, _ = characters.draw(recipe.pairs, recipe.pairs, generator)
        images = [
            distort(drawings.images[row], recipe.distortions, generator) for row in rows.reshape(-1)
        ]
        return np.stack(images)[..., None].astype(np.float32), partners

    def validate(net: keras.Model) -> dict[str, float]:
        shown = figures(net.get_layer("encoder"), join_of(net), check)
        return {"one_shot": float(shown["accuracy"])}

    best = loop.train(
        model,
        folder=folder,
        name="koch",
        epochs=recipe.epochs,
        steps=recipe.steps,
        batches=Stream(make, recipe.steps),
        validate=validate,
        stage=stage,
        stop=EarlyStop("one_shot", recipe.patience, larger_is_better=True),
    )
    pair = koch(recipe.seed, width=recipe.width)
    pair.set_weights(best.get_weights())
    return pair


def _all_pairs(pair: keras.Model) -> keras.Model:
    """From drawings (n, 105, 105, 1) to the logits (n, n) that the pair gives each two of them."""
    encoder, join = pair.get_layer("encoder"), pair.get_layer("join")

    def head(both: Any) -> Any:
        return keras.layers.Reshape((-1,))(join(AbsoluteDifference(name="apart")(both)))

    inputs = keras.layers.Input(encoder.input_shape[1:])
    return all_pairs_model(inputs, encoder(inputs), head)


def _start_evenly(pair: keras.Model, seed: int) -> None:
    """Start each layer so that its outputs spread as its inputs do (He for ReLU, else Glorot).

    As the paper draws them, 69 % of the templates' values are within 0.01 of 0 or 1 at the start,
    where a sigmoid hardly learns.
    """
    encoder = pair.get_layer("encoder")
    layers = [*(encoder.get_layer(name) for name in LAYERS[:-1]), pair.get_layer("join")]
    for number, layer in enumerate(layers):
        convolves = isinstance(layer, keras.layers.Conv2D)
        kind = keras.initializers.HeUniform if convolves else keras.initializers.GlorotUniform
        layer.kernel.assign(kind(seed + number)(layer.kernel.shape))
        layer.bias.assign(keras.ops.zeros_like(layer.bias))
