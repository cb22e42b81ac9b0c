"""Train a face encoder and its head with one of the losses, in the common loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.training.engine import loop
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.stream import Stream
from oneglance.training.faces.door_look import worn
from oneglance.training.faces.losses import (
    AngularMargin,
    BatchHardTriplet,
    Contrastive,
    Distillation,
)
from oneglance.training.faces.metric import (
    all_distances,
    class_cosines,
    finished_pair,
    pair_distances,
    student,
)
from oneglance.training.faces.samplers import PairSampler, PeopleSampler
from oneglance.training.faces.siamese_training import Faces, calibrate, check_pair
from oneglance.training.networks.face_networks import siamese
from oneglance.training.networks.heads import Head
from oneglance.training.networks.penalty import penalise
from oneglance.training.recipes.face_sections import CrossEntropySection, DistillationSection
from oneglance.training.recipes.recipe import FaceRecipe

NAME = "faces"
# How steep a cross-entropy's logits start out: 0 at a chord of 1, about -8 between strangers.
_SHARPNESS = 8.0
# Each epoch is judged on at most this many checking faces, the finished pair on all of them.
_JUDGED_EACH_EPOCH = 1_000


def train_faces(
    encoder: keras.Model,
    head: Head,
    faces: Faces,
    targets: NDArray[np.float32] | None,
    check: Faces,
    recipe: FaceRecipe,
    folder: Path,
    stage: Stage,
) -> tuple[keras.Model, dict[str, Any]]:
    """The trained and calibrated Siamese pair, and what to report.

    `targets` (n, d) are the teacher's templates of `faces`, used only for distillation. Raises
    ConfigError for faces that do not make a batch.
    """
    sampler = make_sampler(recipe, faces)
    model = training_model(encoder, head, recipe, len(set(faces.people)))
    rate = loop.cosine(recipe.learning_rate, recipe.epochs, recipe.steps, recipe.warmup_epochs)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=make_loss(encoder, recipe))
    chosen = np.random.default_rng([recipe.seed, 4]).permutation(len(check.people))
    few = check.rows(np.isin(np.arange(len(chosen)), chosen[:_JUDGED_EACH_EPOCH]))
    model = loop.train(
        model,
        folder=folder,
        name=NAME,
        epochs=recipe.epochs,
        steps=recipe.steps,
        batches=Stream(batch_maker(sampler, faces, targets, recipe), recipe.steps),
        validate=lambda net: check_pair(finished_pair(net, head), few),
        stage=stage,
        stop=None
        if recipe.patience is None
        else EarlyStop("eer", recipe.patience, larger_is_better=False),
    )
    pair = finished_pair(model, head)
    calibrate(pair, faces, recipe.seed, stage=stage)
    figures = check_pair(pair, check, stage)
    return pair, {"people_with_one_picture": sampler.alone, "check": figures}


def make_sampler(recipe: FaceRecipe, faces: Faces) -> PairSampler | PeopleSampler:
    """The recipe's sampler over these people; ConfigError if they do not make a batch."""
    section = recipe.sampler
    if section.kind == "pairs":
        return PairSampler(faces.people, section.pairs, section.genuine)
    return PeopleSampler(faces.people, section.people, section.pictures)


def training_model(
    encoder: keras.Model, head: Head, recipe: FaceRecipe, people: int
) -> keras.Model:
    """The model that the recipe's loss trains, with the head initialised as the loss needs it."""
    loss = recipe.loss
    if isinstance(loss, CrossEntropySection):
        pair = siamese(encoder, head)
        head.start(_SHARPNESS)
        penalise(encoder, loss.l2, loss.layers)
        return pair
    if loss.kind == "angular-margin":
        siamese(encoder, head)
        model = class_cosines(encoder, people)
    elif loss.kind == "contrastive":
        model = pair_distances(encoder, head)
    elif loss.kind == "triplet":
        model = all_distances(encoder, head)
    else:
        model = student(encoder, head)
    # The distance that these losses compare with a margin starts out as the chord.
    head.start(1.0)
    return model


def make_loss(encoder: keras.Model, recipe: FaceRecipe) -> keras.losses.Loss:
    """The recipe's loss, for `training_model`."""
    loss = recipe.loss
    if isinstance(loss, CrossEntropySection):
        return keras.losses.BinaryCrossentropy(from_logits=True)
    if isinstance(loss, DistillationSection):
        return Distillation(encoder.output_shape[-1], loss.cosine, loss.relational)
    if loss.kind == "contrastive":
        return Contrastive(loss.margin)
    if loss.kind == "triplet":
        return BatchHardTriplet(loss.margin)
    return AngularMargin(loss.scale, loss.margin)


def batch_maker(
    sampler: PairSampler | PeopleSampler,
    faces: Faces,
    targets: NDArray[np.float32] | None,
    recipe: FaceRecipe,
) -> Callable[[int, int], loop.Batch]:
    """Makes batch `step` of `epoch`: degraded chips as float32, and the targets of the loss."""

    def make(epoch: int, step: int) -> loop.Batch:
        generator = np.random.default_rng([recipe.seed, 3, epoch, step])
        rows, wanted = sampler.draw(recipe.seed, epoch, step)
        chips = np.stack([worn(faces.chips[row], generator) for row in rows.ravel()])
        chips = chips.astype(np.float32)
        if targets is not None:
            return chips, targets[rows.ravel()]
        if rows.ndim == 2:
            twins = chips.reshape(*rows.shape, *chips.shape[1:])
            return [twins[:, 0], twins[:, 1]], wanted
        return chips, wanted

    return make
