"""Run a recipe for drawings: `compact` or `koch`, from omniglot.zip to a Siamese pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.drawings.one_shot_trials import Run
from oneglance.training.drawings.compact_training import (
    CompactSettings,
    Head,
    encode,
    figures,
    train_compact,
)
from oneglance.training.drawings.koch_training import KochSettings, draw_pairs, join_of, train_koch
from oneglance.training.drawings.omniglot import Distortions, Drawings, draw_runs, read_background
from oneglance.training.engine import run_folder
from oneglance.training.engine.pairs import calibration
from oneglance.training.engine.progress import Stage
from oneglance.training.networks.drawing_networks import compact
from oneglance.training.networks.heads import CosineHead
from oneglance.training.recipes.drawing_recipes import CompactRecipe, KochRecipe, OmniglotRecipe

_WAYS = 20
_THRESHOLD_PAIRS = 4_000


def run_omniglot(
    recipe: OmniglotRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    """Train what the recipe says; leaves siamese.keras in `out` and returns the report.

    `begin` is called when the data is read and found to fit.
    The threshold is fitted on pairs of the validation alphabets. Raises ConfigError or ImageError
    for data that does not fit.
    """
    drawings = read_background(data_dir / recipe.drawings, stage)
    held_out = drawings.of_alphabets(recipe.validation_alphabets)
    learn, check = drawings.rows(~held_out), drawings.rows(held_out)
    if not len(learn.characters):
        raise ConfigError("no alphabet is left to train on", where="validation_alphabets")
    begin()
    keras.utils.set_random_seed(recipe.seed)
    if isinstance(recipe, KochRecipe):
        pair, runs = _koch(recipe, learn, check, out, stage)
    else:
        pair, runs = _compact(recipe, learn, check, out, stage)
    encoder, head = pair.get_layer("encoder"), head_of(pair)
    threshold = fit_threshold(encoder, head, check, recipe.seed)
    run_folder.save_model(pair, out / "siamese.keras")
    return {
        "characters": len(np.unique(learn.characters)),
        "validation_alphabets": list(recipe.validation_alphabets),
        "validation": figures(encoder, head, runs),
        "threshold": threshold,
    }


def head_of(pair: keras.Model) -> Head:
    """What scores two templates in a Siamese pair of drawings, `compact` or `koch`."""
    if any(layer.name == "head" for layer in pair.layers):
        head: Head = pair.get_layer("head")
        return head
    return join_of(pair)


def fit_threshold(
    encoder: keras.Model, head: Head, drawings: Drawings, seed: int
) -> dict[str, float | int]:
    """The score that decides the most pairs rightly, half of which are the same.

    A CosineHead is calibrated first, so that its score is a logit.
    """
    rows, same = draw_pairs(drawings, _THRESHOLD_PAIRS, np.random.default_rng([seed, 9]))
    used, places = np.unique(rows, return_inverse=True)
    templates = encode(encoder, drawings.images[used])[places.reshape(rows.shape)]

    def scores() -> NDArray[np.float64]:
        return np.asarray(head([templates[:, 0], templates[:, 1]]), np.float64)

    if isinstance(head, CosineHead):
        raw = scores()
        head.calibrate(*calibration(raw[same > 0], raw[same == 0]))
    threshold, accuracy = best_threshold(scores(), same > 0)
    return {"threshold": threshold, "accuracy": accuracy, "pairs": len(rows)}


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[float, float]:
    """A threshold between two scores at which the most pairs are decided rightly, and how many."""
    order = np.argsort(-scores, kind="stable")
    falling = np.concatenate([[np.inf], scores[order], [-np.inf]])
    accepted_right = np.concatenate([[0], np.cumsum(same[order])])
    refused_right = np.concatenate([np.cumsum(~same[order][::-1])[::-1], [0]])
    right = np.where(falling[:-1] > falling[1:], accepted_right + refused_right, -1)
    best = int(np.argmax(right))
    above, below = falling[best], falling[best + 1]
    if not np.isfinite(above) or not np.isfinite(below):
        threshold = float(np.nextafter(below, np.inf) if np.isfinite(below) else above)
    else:
        threshold = float((above + below) / 2)
    return threshold, float(right[best] / len(scores))


def _compact(
    recipe: OmniglotRecipe, learn: Drawings, check: Drawings, out: Path, stage: Stage
) -> tuple[keras.Model, list[Run]]:
    if not isinstance(recipe, CompactRecipe):
        raise TypeError(type(recipe).__name__)
    runs = draw_runs(check, recipe.validation_runs, _WAYS, recipe.seed)
    encoder = compact(
        recipe.template_size,
        size=recipe.size,
        channels=recipe.channels,
        strength=recipe.strength,
        zoom=recipe.zoom,
    )
    settings = CompactSettings(
        pairs=recipe.pairs,
        steps=recipe.steps,
        alphabet_pairs=recipe.alphabet_pairs,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        warmup_epochs=recipe.warmup_epochs,
        weight_decay=recipe.weight_decay,
        margin=recipe.margin,
        distortions=_distortions(recipe),
        seed=recipe.seed,
    )
    head = CosineHead(name="head")
    return train_compact(encoder, head, learn, runs, settings, out, stage), runs


def _koch(
    recipe: KochRecipe, learn: Drawings, check: Drawings, out: Path, stage: Stage
) -> tuple[keras.Model, list[Run]]:
    last = recipe.train_drawers + recipe.validation_drawers
    seen = check.rows((check.drawers > recipe.train_drawers) & (check.drawers <= last))
    runs = draw_runs(seen, -(-recipe.validation_trials // _WAYS), _WAYS, recipe.seed)
    settings = KochSettings(
        pairs=recipe.pairs,
        copies=recipe.copies,
        batch=recipe.batch,
        epochs=recipe.epochs,
        learning_rates=recipe.learning_rates,
        momenta=recipe.momenta,
        momentum_epochs=recipe.momentum_epochs,
        l2=recipe.l2,
        width=recipe.width,
        patience=recipe.patience,
        distortions=_distortions(recipe),
        seed=recipe.seed,
    )
    learn = learn.rows(learn.drawers <= recipe.train_drawers)
    return train_koch(learn, runs, settings, out, stage), runs


def _distortions(recipe: OmniglotRecipe) -> Distortions:
    return Distortions(**recipe.distortions.model_dump())
