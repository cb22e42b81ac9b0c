"""Run a recipe end to end: the run's folder, the runner for the recipe's kind, and the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneglance.training.drawings.compact_run import run_compact
from oneglance.training.drawings.koch_run import run_koch
from oneglance.training.engine import distribute, run_folder
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.record import command_line, record_start
from oneglance.training.faces.aligner_run import run_aligner
from oneglance.training.faces.face_run import run_faces
from oneglance.training.faces.siamese_run import run_siamese
from oneglance.training.recipes.drawing_recipes import (
    CompactRecipe,
    KochAllPairsRecipe,
    KochRecipe,
)
from oneglance.training.recipes.inputs import inputs_of
from oneglance.training.recipes.recipe import AlignerRecipe, FaceRecipe, Recipe, SiameseRecipe

REPORT = "report.json"


def run_recipe(
    recipe: Recipe, *, data_dir: Path, out: Path, resume: bool, stage: Stage
) -> dict[str, Any]:
    """Train what the recipe says into the folder `out`; returns the report, and leaves it there.

    Raises ConfigError for a recipe, folder or file that does not fit, ImageError for pictures and
    ModelError for a teacher.
    """
    if isinstance(recipe, SiameseRecipe | CompactRecipe | KochAllPairsRecipe):
        distribute.current().need_whole_batches(recipe.kind)
    settings = recipe.model_dump(mode="json")
    run_folder.open_run(out, settings, resume=resume)

    def begin() -> None:
        run_folder.begin_run(out, settings)
        record_start(out, settings, inputs_of(recipe, data_dir, out), command_line())

    report = _run(recipe, data_dir, out, stage, begin)
    run_folder.write(out / REPORT, (json.dumps(report, indent=2) + "\n").encode())
    return report


def _run(
    recipe: Recipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    match recipe:
        case AlignerRecipe():
            return run_aligner(recipe, data_dir, out, stage, begin)
        case SiameseRecipe():
            return run_siamese(recipe, data_dir, out, stage, begin)
        case FaceRecipe():
            return run_faces(recipe, data_dir, out, stage, begin)
        case CompactRecipe():
            return run_compact(recipe, data_dir, out, stage, begin)
        case KochRecipe() | KochAllPairsRecipe():
            return run_koch(recipe, data_dir, out, stage, begin)
