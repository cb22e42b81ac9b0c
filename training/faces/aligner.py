"""Train the landmark network."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box
from oneglance.training.engine import loop, run_folder
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.stream import Batch, Stream, generator_of
from oneglance.training.faces.crops import PATCH_SIZE, Patches, sample
from oneglance.training.networks.face_networks import landmarks
from oneglance.training.recipes.recipe import AlignerRecipe

# Distance between the eyes of the mean face, in sides of the crop.
_EYES = float(np.linalg.norm(align.MEAN_POINTS[1] - align.MEAN_POINTS[0]))


@keras.saving.register_keras_serializable(package="oneglance")
def point_error(true: Any, found: Any) -> Any:
    """Mean distance of points (n, 5, 2) in units of the distance between the eyes."""
    squares = keras.ops.sum(keras.ops.square(true - found), axis=-1)
    return keras.ops.mean(keras.ops.sqrt(squares + 1e-8)) / _EYES


def train_aligner(
    patches: Patches,
    people: Sequence[str],
    recipe: AlignerRecipe,
    folder: Path,
    stage: Stage,
) -> dict[str, float]:
    """Train on the patches (n) of `people` (n); leaves aligner.keras and aligner.csv in `folder`.

    The recipe's share `held_out` of the people, chosen by their names, is never trained on; the
    figures logged and returned are measured on them. `error_1`, `error_2` are the mean distance of
    points in eye distances after each pass. With `patience`, training stops after that many epochs
    without a smaller last error, and the best epoch's network is kept. Raises ConfigError if there
    are fewer than two people.
    """
    need_two_people(people)
    held = np.array([zlib.crc32(name.encode()) % 1000 < 1000 * recipe.held_out for name in people])
    if held.all() or not held.any():
        # Too few people to be divided by their names' hashes, so one of them is held out.
        held = np.array([name == min(people) for name in people])
    rows, tests = np.flatnonzero(~held), np.flatnonzero(held)
    steps = max(1, len(rows) // recipe.batch)
    keras.utils.set_random_seed(recipe.seed)
    model = landmarks(recipe.width)
    rate = loop.cosine(recipe.learning_rate, recipe.epochs, steps, recipe.warmup_epochs)
    model.compile(keras.optimizers.Adam(rate), loss=point_error)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([recipe.seed, epoch]).permutation(rows)

    def make(epoch: int, step: int) -> Batch:
        generator = generator_of(recipe.seed, epoch, step)
        chosen = order(epoch)[step * recipe.batch : (step + 1) * recipe.batch]
        made = [sample(patches, int(index), generator) for index in chosen]
        crops, points = zip(*made, strict=True)
        return np.stack(crops).astype(np.float32), np.stack(points)

    model = loop.train(
        model,
        folder=folder,
        name="aligner",
        epochs=recipe.epochs,
        steps=steps,
        batches=Stream(make, steps),
        validate=lambda net: held_out_errors(net, patches, tests, recipe.passes),
        stage=stage,
        stop=None
        if recipe.patience is None
        else EarlyStop(f"error_{recipe.passes}", recipe.patience, larger_is_better=False),
    )
    run_folder.save_model(model, folder / "aligner.keras")
    return held_out_errors(model, patches, tests, recipe.passes)


def need_two_people(people: Sequence[str]) -> None:
    """ConfigError unless somebody can be held out."""
    if len(set(people)) < 2:
        raise ConfigError(
            "all faces show the same person, so nobody is left to measure the aligner on",
            fix="add pictures of other people",
        )


def held_out_errors(
    model: keras.Model, patches: Patches, rows: NDArray[np.integer], passes: int
) -> dict[str, float]:
    """Mean error after each pass in eye distances, and the last one's 95th percentile."""
    errors = np.empty((passes, len(rows)))
    for place, index in enumerate(rows):
        boxes = patches.boxes[index]
        x, y, side = next(row for row in boxes if not np.isnan(row[2])) * PATCH_SIZE
        box = Box(float(x - side / 2), float(y - side / 2), float(side), float(side))
        image = cv2.cvtColor(patches.pixels[index], cv2.COLOR_GRAY2BGR)
        truth = patches.points[index] * PATCH_SIZE
        eyes = float(np.linalg.norm(truth[1] - truth[0]))
        for count in range(passes):
            found = align.locate(image, [box], points_of(model), count + 1).points[0]
            errors[count, place] = np.linalg.norm(found - truth, axis=1).mean() / eyes
    figures = {f"error_{count + 1}": float(errors[count].mean()) for count in range(passes)}
    return {**figures, "error_p95": float(np.percentile(errors[-1], 95))}


def points_of(model: keras.Model) -> align.FindPoints:
    """The Keras aligner as the function that `align.locate` asks for points."""

    def find(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(crops.astype(np.float32)), np.float32)

    return find
