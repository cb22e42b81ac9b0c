"""How every run on drawings ends: the threshold, the file of the pair, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from oneglance.faces.drawings.one_shot_trials import Run
from oneglance.training.drawings.compact_training import figures
from oneglance.training.drawings.omniglot import Drawings
from oneglance.training.drawings.threshold import fit_threshold, head_of
from oneglance.training.engine import run_folder
from oneglance.training.recipes.drawing_recipes import OmniglotRecipe


def finish(
    recipe: OmniglotRecipe,
    pair: keras.Model,
    learn: Drawings,
    check: Drawings,
    runs: list[Run],
    out: Path,
) -> dict[str, Any]:
    """Fit the threshold on pairs of `check`, leave siamese.keras in `out`; returns the report.

    `learn` are the drawings of the training alphabets, `runs` the one-shot runs to be measured.
    Raises ConfigError if `check` has no pairs or the disk is full.
    """
    encoder, head = pair.get_layer("encoder"), head_of(pair)
    threshold = fit_threshold(encoder, head, check, recipe.seed)
    run_folder.save_model(pair, out / "siamese.keras")
    return {
        "characters": len(np.unique(learn.characters)),
        "validation_alphabets": list(recipe.validation_alphabets),
        "validation": figures(encoder, head, runs),
        "threshold": threshold,
    }
