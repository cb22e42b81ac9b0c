"""The paper's training of `koch`: fixed pairs, distorted copies, early stop by one-shot trials."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.drawings.one_shot_trials import Run
from oneglance.training.drawings.compact_training import Head, figures
from oneglance.training.drawings.omniglot import Drawings, distort
from oneglance.training.engine import loop
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.stream import Batch, Stream
from oneglance.training.networks.koch import LAYERS, LayerwiseMomentum, koch
from oneglance.training.recipes.drawing_recipes import KochRecipe


def draw_pairs(
    drawings: Drawings, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows (count, 2) of pairs and whether they are the same (1) or not (0), half of each.

    Same: one character by two drawers. Different: two characters of one alphabet, by any two
    drawers. Alphabets are equally likely.
    """
    alphabets = [np.flatnonzero(drawings.alphabets == a) for a in np.unique(drawings.alphabets)]
    rows = np.empty((count, 2), np.int64)
    same = (np.arange(count) % 2 == 0).astype(np.float32)
    for number, alike in enumerate(same):
        alphabet = alphabets[generator.integers(len(alphabets))]
        first = generator.choice(alphabet)
        of_first = drawings.characters[alphabet] == drawings.characters[first]
        others = alphabet[of_first & (alphabet != first)] if alike else alphabet[~of_first]
        if not len(others):
            raise ConfigError("an alphabet has too few characters or drawers to make pairs")
        rows[number] = first, generator.choice(others)
    return rows, same


def train_koch(
    drawings: Drawings, check: list[Run], recipe: KochRecipe, folder: Path, stage: Stage
) -> keras.Model:
    """Train on `drawings`; returns the network of the epoch that was best on `check`."""
    rows, same = draw_pairs(drawings, recipe.pairs, np.random.default_rng([recipe.seed, 0]))
    shown = recipe.pairs * (1 + recipe.copies)
    steps = max(1, shown // recipe.batch)
    model = koch(recipe.seed, recipe.l2, recipe.width)
    model.compile(
        LayerwiseMomentum(
            dict(zip(LAYERS, recipe.learning_rates, strict=True)),
            dict(zip(LAYERS, recipe.momenta, strict=True)),
            steps,
            recipe.momentum_epochs,
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )

    @lru_cache(maxsize=2)
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([recipe.seed, 1, epoch]).permutation(shown)

    def make(epoch: int, step: int) -> Batch:
        chosen = order(epoch)[step * recipe.batch : (step + 1) * recipe.batch]
        pairs, copies = chosen % recipe.pairs, chosen // recipe.pairs
        images = np.stack(
            [
                _twins(drawings, rows[pair], recipe, int(pair), int(copy))
                for pair, copy in zip(pairs, copies, strict=True)
            ],
            axis=1,
        )
        return [images[0], images[1]], same[pairs]

    def validate(net: keras.Model) -> dict[str, float]:
        shown = figures(net.get_layer("encoder"), join_of(net), check)
        return {"one_shot": float(shown["accuracy"])}

    return loop.train(
        model,
        folder=folder,
        name="koch",
        epochs=recipe.epochs,
        steps=steps,
        batches=Stream(make, steps),
        validate=validate,
        stage=stage,
        stop=EarlyStop("one_shot", recipe.patience, larger_is_better=True),
    )


def join_of(pair: keras.Model) -> Head:
    """The join of a trained pair: templates (..., d) twice to logits (...); shapes broadcast."""
    join = pair.get_layer("join")

    def score(inputs: Any) -> Any:
        a, b = inputs
        return join(keras.ops.abs(a - b))[..., 0]

    return score


def _twins(
    drawings: Drawings, pair: NDArray[np.int64], recipe: KochRecipe, number: int, copy: int
) -> NDArray[np.float32]:
    """Both drawings of a pair, (2, 105, 105, 1): unchanged for copy 0, otherwise distorted."""
    images = drawings.images[pair]
    if copy:
        # A copy is distorted the same way in every epoch, as if it were part of the data set.
        generator = np.random.default_rng([recipe.seed, 2, number, copy])
        images = np.stack([distort(one, recipe.distortions, generator) for one in images])
    return images[..., None].astype(np.float32)
