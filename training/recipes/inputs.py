"""What running a recipe reads."""

from __future__ import annotations

from pathlib import Path

from oneglance.training.recipes.drawing_recipes import OmniglotRecipe
from oneglance.training.recipes.recipe import FaceRecipe, Recipe


def inputs_of(recipe: Recipe, data_dir: Path, out: Path) -> list[Path]:
    """Every file and folder that a run of the recipe reads."""
    if isinstance(recipe, OmniglotRecipe):
        return [data_dir / recipe.drawings]
    sources = [*recipe.data, *getattr(recipe, "check", ())]
    names = [name for s in sources for name in (s.images, s.people, s.split)]
    names += [recipe.teacher, getattr(recipe, "start", None)]
    if isinstance(recipe, FaceRecipe):
        names += [recipe.screener, getattr(recipe.loss, "teacher", None)]
        # Keras fetches its own weights, and knows their hashes.
        names += [None if recipe.weights == "imagenet" else recipe.weights]
    found = [data_dir / name for name in dict.fromkeys(names) if name is not None]
    aligner = getattr(recipe, "aligner", None)
    return found if aligner is None else [*found, (out / aligner).resolve()]
