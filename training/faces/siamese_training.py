"""Train the Siamese pair: first the join (frame and head), then the twins themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation.thresholds import Compare, all_pairs
from oneglance.training.engine import loop, run_folder
from oneglance.training.engine.pairs import (
    PairBatches,
    all_pairs_model,
    calibration,
    figures,
    relational_loss,
)
from oneglance.training.engine.progress import Stage, silent
from oneglance.training.engine.stream import Stream
from oneglance.training.faces.door_look import worn
from oneglance.training.networks.face_networks import mobileface, siamese
from oneglance.training.networks.heads import CosineHead, Head, WeightedL1Head
from oneglance.training.networks.three_trunks import three_trunks
from oneglance.training.networks.two_trunks import two_trunks
from oneglance.training.recipes.recipe import SiameseRecipe

_ENCODE_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Chips as the door cuts them, chips as the labels say, and whom they show.

    Both kinds of chips are uint8 (n, 112, 112, 3) RGB.
    """

    chips: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    people: tuple[str, ...]

    def rows(self, keep: NDArray[np.bool_]) -> Faces:
        """Some of the faces."""
        people = tuple(name for name, kept in zip(self.people, keep, strict=True) if kept)
        return Faces(self.chips[keep], self.clean[keep], people)


def make_twin(recipe: SiameseRecipe, template_size: int) -> keras.Model:
    """An untrained encoder of the recipe's network, for templates of `template_size`."""
    if recipe.network == "two-trunks":
        return two_trunks(template_size)
    if recipe.network == "three-trunks":
        return three_trunks(template_size)
    return mobileface(template_size, recipe.width, recipe.depth)


def encode(
    encoder: keras.Model, chips: NDArray[np.uint8], stage: Stage = silent, name: str = "encode"
) -> NDArray[np.float32]:
    """Templates (n, d) of chips (n, 112, 112, 3); the stage `name` counts batches."""
    starts = range(0, len(chips), _ENCODE_BATCH)
    parts = []
    with stage(name, len(starts)) as advance:
        for start in starts:
            some = chips[start : start + _ENCODE_BATCH].astype(np.float32)
            parts.append(encoder.predict_on_batch(some))
            advance("")
    return np.concatenate(parts).astype(np.float32)


def teacher_templates(encoder: keras.Model, faces: Faces, stage: Stage) -> NDArray[np.float32]:
    """What the student should learn: the mean template of the clean chip and its mirror image."""
    both = encode(encoder, faces.clean, stage, "ask the start") + encode(
        encoder, faces.clean[:, :, ::-1], stage, "ask the start of mirrored faces"
    )
    return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), np.float32)


def unseen(
    faces: Faces, templates: NDArray[np.float32], others: NDArray[np.float32], limit: float
) -> NDArray[np.bool_]:
    """Which faces (n,) to keep: of people without any above cosine `limit` to one of `others`.

    Data sets share celebrities under different names, and nobody in the test set may slip into
    training through another data set.
    """
    if limit >= 1:
        return np.ones(len(templates), bool)
    closest = np.concatenate(
        [(templates[at : at + 256] @ others.T).max(1) for at in range(0, len(templates), 256)]
    )
    seen = {name for name, cosine in zip(faces.people, closest, strict=True) if cosine > limit}
    return np.array([name not in seen for name in faces.people])


def train_siamese(
    start: keras.Model,
    faces: Faces,
    targets: NDArray[np.float32],
    check: Faces,
    recipe: SiameseRecipe,
    folder: Path,
    stage: Stage,
) -> dict[str, dict[str, float]]:
    """Train on `faces` (n) toward the teacher's `targets` (n, d); keep what is best on `check`.

    Leaves siamese.keras in `folder` and returns the figures of each candidate on `check`:
    `start` (cosine), `join` (the L1 head on the untouched trunk) and `twins` (the whole encoder
    trained on).
    """
    said = encode(start, check.chips, stage, "check the start")
    report = {"start": _figures_by_cosine(said, check.people)}
    features = encode(start, faces.chips, stage, "templates to join")
    pair = train_join(start, features, targets, faces.people, recipe, folder, stage)
    report["join"] = check_pair(pair, check, stage)
    if recipe.epochs:
        joined = keras.models.clone_model(pair)
        joined.set_weights(pair.get_weights())
        pair = _train_twins(pair, faces, targets, check, recipe, folder, stage)
        report["twins"] = check_pair(pair, check, stage)
        if _merit(report["twins"]) < _merit(report["join"]):
            pair = joined
    calibrate(pair, faces, recipe.seed, stage=stage)
    run_folder.save_model(pair, folder / "siamese.keras")
    return report


def check_pair(pair: keras.Model, check: Faces, stage: Stage = silent) -> dict[str, float]:
    """Figures of a Siamese pair on every pair of faces in `check`."""
    templates = encode(pair.get_layer("encoder"), check.chips, stage, "check the pair")
    return figures(*all_pairs(templates, check.people, scores_of(pair.get_layer("head"))))


def calibrate(
    pair: keras.Model, faces: Faces, seed: int, most: int = 4000, stage: Stage = silent
) -> None:
    """Scale the head so that its score is a logit, by logistic regression on training pairs."""
    head = pair.get_layer("head")
    chosen = np.random.default_rng(seed).permutation(len(faces.people))[:most]
    templates = encode(pair.get_layer("encoder"), faces.chips[chosen], stage, "calibrate")
    people = [faces.people[row] for row in chosen]
    head.calibrate(*calibration(*all_pairs(templates, people, scores_of(head))))


def train_join(
    start: keras.Model,
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    people: Sequence[str],
    recipe: SiameseRecipe,
    folder: Path,
    stage: Stage,
) -> keras.Model:
    """Learn the frame in which the L1 distance of templates agrees with the teacher's cosine.

    `features` (n, d) are those of `start` for the faces of `people` (n,), `targets` (n, d) the
    teacher's. Returns the Siamese pair, its head not calibrated yet.
    """
    size = features.shape[1]
    inputs = keras.layers.Input((size,))
    orthogonal = keras.initializers.Orthogonal(seed=recipe.seed)
    frame = keras.layers.Dense(
        recipe.template_size, use_bias=False, kernel_initializer=orthogonal, name="frame"
    )
    turned = keras.layers.UnitNormalization()(frame(inputs))
    head = WeightedL1Head(name="head")
    model = all_pairs_model(inputs, turned, head)
    # The mean L1 length of a random unit vector of d components is sqrt(2 d / pi).
    even = np.sqrt(np.pi / (2 * recipe.template_size))
    head.weights_l1.assign(np.full(recipe.template_size, even, np.float32))
    batches = PairBatches(people)
    steps = max(1, len(features) // recipe.join_batch)
    rate = loop.cosine(recipe.join_learning_rate, recipe.join_epochs, steps, 0.0)
    model.compile(keras.optimizers.Adam(rate), loss=relational_loss)

    def draw(epoch: int) -> Iterator[loop.Batch]:
        generator = np.random.default_rng([recipe.seed, 1, epoch])
        for _ in range(steps):
            rows = batches.draw(recipe.join_batch, generator)
            yield features[rows], targets[rows] @ targets[rows].T

    model = loop.train(
        model,
        folder=folder,
        name="join",
        epochs=recipe.join_epochs,
        steps=steps,
        batches=draw,
        validate=lambda net: {},
        stage=stage,
    )
    return _joined(start, model, recipe)


def _joined(start: keras.Model, join: keras.Model, recipe: SiameseRecipe) -> keras.Model:
    """The Siamese pair, with the learned frame folded into its last layer."""
    frame = np.asarray(join.get_layer("frame").kernel)
    *trunk, kernel, bias = start.get_weights()
    encoder = make_twin(recipe, recipe.template_size)
    encoder.set_weights([*trunk, kernel @ frame, bias @ frame])
    pair = siamese(encoder)
    pair.get_layer("head").set_weights(join.get_layer("head").get_weights())
    return pair


def _train_twins(
    pair: keras.Model,
    faces: Faces,
    targets: NDArray[np.float32],
    check: Faces,
    recipe: SiameseRecipe,
    folder: Path,
    stage: Stage,
) -> keras.Model:
    """Train the encoder to give degraded chips the templates that the teacher gives clean ones."""
    encoder, head = pair.get_layer("encoder"), pair.get_layer("head")
    inputs = keras.layers.Input(encoder.input_shape[1:])
    model = all_pairs_model(inputs, encoder(inputs), head)
    batches = PairBatches(faces.people)
    steps = max(1, len(faces.people) // recipe.batch)
    rate = loop.cosine(recipe.learning_rate, recipe.epochs, steps, recipe.warmup_epochs)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=relational_loss)

    def make(epoch: int, step: int) -> loop.Batch:
        generator = np.random.default_rng([recipe.seed, 2, epoch, step])
        rows = batches.draw(recipe.batch, generator)
        chips = np.stack([worn(faces.chips[row], generator) for row in rows])
        return chips.astype(np.float32), targets[rows] @ targets[rows].T

    def validate(net: keras.Model) -> dict[str, float]:
        return check_pair(_pair_of(net), check)

    model = loop.train(
        model,
        folder=folder,
        name="twins",
        epochs=recipe.epochs,
        steps=steps,
        batches=Stream(make, steps),
        validate=validate,
        stage=stage,
    )
    return _pair_of(model)


def _pair_of(model: keras.Model) -> keras.Model:
    pair = siamese(model.get_layer("encoder"))
    pair.get_layer("head").set_weights(model.get_layer("head").get_weights())
    return pair


def scores_of(head: Head) -> Compare:
    """A head's logits in numpy, templates (p, d) with (n, d) to (p, n), in little memory."""
    # float() alone refuses a torch tensor that requires gradients.
    bias = float(keras.ops.convert_to_numpy(head.bias))
    if isinstance(head, CosineHead):
        scale = float(keras.ops.convert_to_numpy(head.scale))
        return lambda a, b: np.asarray(scale * (a @ b.T) + bias, np.float32)
    weights = keras.ops.convert_to_numpy(head.weights_l1)
    return lambda a, b: np.stack([bias - np.abs(row - b) @ weights for row in a])


def _figures_by_cosine(templates: NDArray[np.float32], people: Sequence[str]) -> dict[str, float]:
    return figures(*all_pairs(templates, people, lambda a, b: a @ b.T))


def _merit(shown: dict[str, float]) -> float:
    rates = [value for key, value in shown.items() if key.startswith("tar_")]
    return sum(rates) / len(rates) if rates else -shown["eer"]
