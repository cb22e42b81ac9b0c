"""Run a recipe of kind `koch` or `koch-all-pairs`, from omniglot.zip to a Siamese pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from oneglance.training.drawings.finish import finish
from oneglance.training.drawings.koch_all_pairs import train_koch_all_pairs
from oneglance.training.drawings.koch_training import train_koch
from oneglance.training.drawings.omniglot import WAYS, draw_runs, learn_and_check
from oneglance.training.engine.progress import Stage
from oneglance.training.recipes.drawing_recipes import KochAllPairsRecipe, KochRecipe


def run_koch(
    recipe: KochRecipe | KochAllPairsRecipe,
    data_dir: Path,
    out: Path,
    stage: Stage,
    begin: Callable[[], None],
) -> dict[str, Any]:
    """Train what the recipe says; leaves siamese.keras in `out` and returns the report.

    `begin` is called once the data has been read and fits the recipe. Raises ConfigError or
    ImageError for data that does not fit.
    """
    learn, check = learn_and_check(recipe, data_dir, stage)
    begin()
    keras.utils.set_random_seed(recipe.seed)
    last = recipe.train_drawers + recipe.validation_drawers
    seen = check.rows((check.drawers > recipe.train_drawers) & (check.drawers <= last))
    runs = draw_runs(seen, -(-recipe.validation_trials // WAYS), WAYS, recipe.seed)
    shown = learn.rows(learn.drawers <= recipe.train_drawers)
    if isinstance(recipe, KochAllPairsRecipe):
        pair = train_koch_all_pairs(shown, runs, recipe, out, stage)
    else:
        pair = train_koch(shown, runs, recipe, out, stage)
    return finish(recipe, pair, learn, check, runs, out)
