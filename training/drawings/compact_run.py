"""Run a recipe of kind `compact`, from omniglot.zip to a Siamese pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from oneglance.training.drawings.compact_training import train_compact
from oneglance.training.drawings.finish import finish
from oneglance.training.drawings.omniglot import WAYS, draw_runs, learn_and_check
from oneglance.training.engine.progress import Stage
from oneglance.training.networks.drawing_networks import compact
from oneglance.training.networks.heads import CosineHead
from oneglance.training.recipes.drawing_recipes import CompactRecipe


def run_compact(
    recipe: CompactRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    """Train what the recipe says; leaves siamese.keras in `out` and returns the report.

    `begin` is called once the data has been read and fits the recipe. Raises ConfigError or
    ImageError for data that does not fit.
    """
    learn, check = learn_and_check(recipe, data_dir, stage)
    begin()
    keras.utils.set_random_seed(recipe.seed)
    runs = draw_runs(check, recipe.validation_runs, WAYS, recipe.seed)
    encoder = compact(
        recipe.template_size,
        size=recipe.size,
        channels=recipe.channels,
        strength=recipe.strength,
        zoom=recipe.zoom,
    )
    pair = train_compact(encoder, CosineHead(name="head"), learn, runs, recipe, out, stage)
    return finish(recipe, pair, learn, check, runs, out)
