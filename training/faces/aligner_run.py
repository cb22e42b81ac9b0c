"""Run a recipe of kind `aligner`: data, and the training of the landmark network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneglance.training.engine.progress import Stage
from oneglance.training.faces.aligner import need_two_people, train_aligner
from oneglance.training.faces.crops import cut_patches
from oneglance.training.faces.face_sources import training_faces
from oneglance.training.recipes.recipe import AlignerRecipe


def run_aligner(
    recipe: AlignerRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    """Train what the recipe says; leaves aligner.keras in `out` and returns the report.

    `begin` is called once the data has been read and fits the recipe. Raises ConfigError or
    ImageError for data that does not fit.
    """
    source = training_faces(recipe, data_dir, out, stage)
    need_two_people(source.people)
    begin()
    patches = cut_patches(source.image, source.table)
    figures = train_aligner(patches, source.people, recipe, out, stage)
    return {
        "faces": len(source.people),
        "people": len(set(source.people)),
        "unreadable_pictures": source.unreadable,
        **figures,
    }
