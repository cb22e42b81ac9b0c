"""Train `compact` to tell apart characters that it has never seen, on batches of pairs in which
each pair serves the others as distractors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.drawings.one_shot_trials import Run, one_shot_figures
from oneglance.training.drawings.omniglot import Drawings, distort
from oneglance.training.engine import loop
from oneglance.training.engine.pairs import all_pairs_model
from oneglance.training.engine.progress import Stage
from oneglance.training.networks.drawing_networks import all_poses
from oneglance.training.recipes.drawing_recipes import CompactRecipe

# From templates a and b, whose shapes broadcast, to logits.
Head = Callable[[Any], Any]

_ENCODE_BATCH = 128
# Four quarter turns of the drawing, and of its mirror image.
_POSES = 8


class CharacterPairs:
    """Batches of pairs: two people's drawings of one character, few alphabets in a batch.

    The other characters of the alphabet are what a one-shot trial confuses it with. Each
    alphabet of a batch takes one of eight poses (quarter turns, mirrored or not): a turned
    alphabet is one more alphabet to learn from.
    """

    def __init__(self, drawings: Drawings) -> None:
        rows = np.arange(len(drawings.characters))
        by_character = {c: rows[drawings.characters == c] for c in np.unique(drawings.characters)}
        self._alphabets = [
            [by_character[c] for c in np.unique(drawings.characters[drawings.alphabets == a])]
            for a in np.unique(drawings.alphabets)
        ]
        few = sum(len(found) < 2 for found in by_character.values())
        if few or len(self._alphabets) < 2:
            raise ConfigError("training needs two alphabets, and each character drawn twice")

    def draw(
        self, pairs: int, most: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows (pairs, 2) and poses (pairs,), at most `most` pairs of one alphabet.

        ConfigError if there are too few characters: one that came twice would be its own
        distractor.
        """
        rows: list[NDArray[np.int64]] = []
        poses: list[int] = []
        for number in generator.permutation(len(self._alphabets)):
            alphabet = self._alphabets[number]
            chosen = generator.permutation(len(alphabet))[: min(most, pairs - len(rows))]
            rows += [generator.choice(alphabet[c], 2, replace=False) for c in chosen]
            poses += [int(generator.integers(_POSES))] * len(chosen)
            if len(rows) == pairs:
                return np.stack(rows), np.array(poses, np.int64)
        raise ConfigError(
            f"a batch of {pairs} pairs needs more characters than there are",
            fix="lower pairs, or raise alphabet_pairs",
        )


def posed(drawing: NDArray[np.uint8], pose: int) -> NDArray[np.uint8]:
    """A square drawing in one of its eight poses; 0 is as it is."""
    return np.rot90(drawing if pose < _POSES // 2 else drawing.T, pose % (_POSES // 2))


@keras.saving.register_keras_serializable(package="oneglance")
class MatchingLoss(keras.losses.Loss):
    """Cross-entropy of finding each drawing's partner among all others of the batch.

    Called with partners (2n,), the row of the other drawing of the same character, and scores (2n,
    2n) of every drawing with every other. The partner has to win by `margin`. Source: N-pair loss
    (Sohn, NIPS 2016), with the margin of CosFace (Wang et al., CVPR 2018).
    """

    def __init__(self, margin: float, name: str = "matching", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, partners: Any, scores: Any) -> Any:
        """Losses (2n,)."""
        ops = keras.ops
        count = ops.shape(scores)[0]
        itself = 1e9 * ops.eye(count)
        handicap = self.margin * ops.one_hot(partners, count)
        return ops.sparse_categorical_crossentropy(
            partners, scores - itself - handicap, from_logits=True
        )

    def get_config(self) -> dict[str, Any]:
        """What is needed to make this loss again."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="oneglance")
class DecayedAdam(keras.optimizers.AdamW):
    """AdamW that decays neither biases nor norms.

    A plain AdamW that is loaded from a checkpoint has forgotten what it was told to exclude.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])


def pair_of(encoder: keras.Model, head: keras.layers.Layer) -> keras.Model:
    """The Siamese pair: drawings a and b (n, 105, 105, 1) to logits (n,)."""
    a = keras.layers.Input(encoder.input_shape[1:], name="a")
    b = keras.layers.Input(encoder.input_shape[1:], name="b")
    return keras.Model([a, b], head([encoder(a), encoder(b)]), name="siamese")


def train_compact(
    encoder: keras.Model,
    head: keras.layers.Layer,
    drawings: Drawings,
    check: list[Run],
    recipe: CompactRecipe,
    folder: Path,
    stage: Stage,
) -> keras.Model:
    """Train the encoder on `drawings`; returns the pair that judges all poses of a drawing.

    The figures on `check` are logged after each epoch, for one pose only.
    """
    inputs = keras.layers.Input(encoder.input_shape[1:])
    model = all_pairs_model(inputs, encoder(inputs), head)
    rate = loop.cosine(recipe.learning_rate, recipe.epochs, recipe.steps, recipe.warmup_epochs)
    model.compile(
        DecayedAdam(rate, weight_decay=recipe.weight_decay), loss=MatchingLoss(recipe.margin)
    )
    batches = CharacterPairs(drawings)
    partners = np.arange(2 * recipe.pairs) ^ 1

    def draw(epoch: int) -> Iterator[loop.Batch]:
        generator = np.random.default_rng([recipe.seed, epoch])
        for _ in range(recipe.steps):
            rows, poses = batches.draw(recipe.pairs, recipe.alphabet_pairs, generator)
            images = [
                distort(posed(drawings.images[row], pose), recipe.distortions, generator)
                for pair, pose in zip(rows, poses, strict=True)
                for row in pair
            ]
            yield np.stack(images)[..., None].astype(np.float32), partners

    def validate(net: keras.Model) -> dict[str, float]:
        found = figures(net.get_layer("encoder"), net.get_layer("head"), check)
        return {"one_shot": found["accuracy"]}

    model = loop.train(
        model,
        folder=folder,
        name="compact",
        epochs=recipe.epochs,
        steps=recipe.steps,
        batches=draw,
        validate=validate,
        stage=stage,
    )
    return pair_of(all_poses(model.get_layer("encoder")), model.get_layer("head"))


def figures(encoder: keras.Model, head: Head, runs: list[Run]) -> dict[str, float | int]:
    """One-shot figures of a Keras encoder and head."""

    def score(probes: NDArray[np.uint8], gallery: NDArray[np.uint8]) -> NDArray[np.float32]:
        a, b = encode(encoder, probes), encode(encoder, gallery)
        return np.asarray(head([a[:, None], b[None]]), np.float32)

    return one_shot_figures(runs, score)


def encode(encoder: keras.Model, drawings: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Templates (n, d) of drawings uint8 (n, 105, 105)."""
    parts = [
        encoder.predict_on_batch(drawings[at : at + _ENCODE_BATCH, ..., None].astype(np.float32))
        for at in range(0, len(drawings), _ENCODE_BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)
