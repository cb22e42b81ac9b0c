"""Run a recipe of kind `faces`: data, network, training, and the finished pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.find import align
from oneglance.faces.model.face_model import ALIGNER_SIGNATURES
from oneglance.faces.model.litert import Signatures
from oneglance.faces.model.manifest import read_manifest, verified_bytes
from oneglance.models import default_model_dir
from oneglance.training.engine import run_folder
from oneglance.training.engine.progress import Stage
from oneglance.training.faces.aligner import points_of
from oneglance.training.faces.encoder_teacher import EncoderTeacher
from oneglance.training.faces.face_sources import (
    checking_faces,
    cut_faces,
    need_pairs,
    training_faces,
)
from oneglance.training.faces.face_training import make_sampler, train_faces
from oneglance.training.faces.siamese_training import unseen
from oneglance.training.networks.backbones import IMAGENET, make_encoder, need_data
from oneglance.training.networks.heads import make_head
from oneglance.training.networks.keras_files import load_aligner
from oneglance.training.networks.macs import multiply_accumulates
from oneglance.training.recipes.face_sections import CrossEntropySection, DistillationSection
from oneglance.training.recipes.recipe import FaceRecipe


def run_faces(
    recipe: FaceRecipe, data_dir: Path, out: Path, stage: Stage, begin: Callable[[], None]
) -> dict[str, Any]:
    """Train what the recipe says; leaves siamese.keras in `out` and returns the report.

    `begin` is called once the data has been read and fits the recipe. Raises ConfigError for what
    does not fit, ModelError for a teacher that does not.
    """
    # Find mistakes before minutes are spent on cutting faces out.
    encoder = _encoder(recipe, data_dir, None) if _starts_alone(recipe) else None
    teacher, screener = _teachers(recipe, data_dir)
    find_points = _aligner(recipe, out)
    source = training_faces(recipe, data_dir, out, stage)
    check_source = checking_faces(recipe, data_dir, out, stage)
    need_pairs(source.people, "to train on")
    need_pairs(check_source.people, "to check on")
    begin()
    _keep_aligner(recipe, out)
    faces = cut_faces(source, find_points, recipe.passes, stage, "training chips")
    check = cut_faces(check_source, find_points, recipe.passes, stage, "checking chips")
    count = len(faces.people)
    keep = np.ones(count, bool)
    said: dict[EncoderTeacher, NDArray[np.float32]] = {}
    for asked in (screener, teacher):
        if asked is not None and asked not in said:
            said[asked] = asked.of_faces(faces.clean, stage, "ask the teacher")
    if screener is not None:
        others = screener.of_faces(check.clean, stage, "ask the screener")
        keep = unseen(faces, said[screener], others, recipe.screen)
    faces = faces.rows(keep)
    need_pairs(faces.people, "to train on, without those who look like a checking one")
    targets = None if teacher is None else said[teacher][keep]
    if encoder is None:
        encoder = _encoder(recipe, data_dir, faces.chips)
    if recipe.weights is None:
        need_data(encoder, len(faces.people), recipe.network)
    _need_size(encoder.output_shape[-1], targets, recipe)
    make_sampler(recipe, faces)
    head = make_head(
        recipe.head,
        signed=recipe.network == "koch",
        learned=isinstance(recipe.loss, CrossEntropySection),
    )
    pair, figures = train_faces(encoder, head, faces, targets, check, recipe, out, stage)
    run_folder.save_model(pair, out / "siamese.keras")
    return {
        "faces": len(faces.people),
        "people": len(set(faces.people)),
        "unreadable_pictures": source.unreadable + check_source.unreadable,
        "screened_out_faces": count - len(faces.people),
        "check_faces": len(check.people),
        "check_people": len(set(check.people)),
        "parameters": encoder.count_params(),
        "multiply_accumulates": multiply_accumulates(encoder),
        **figures,
    }


def _starts_alone(recipe: FaceRecipe) -> bool:
    """Whether the network can be made without any faces at hand."""
    return not (recipe.network == "mobileface-slim" and recipe.weights)


def _encoder(recipe: FaceRecipe, data_dir: Path, chips: NDArray[np.uint8] | None) -> Any:
    weights: Path | str | None = recipe.weights
    if weights not in (None, IMAGENET):
        weights = data_dir / str(weights)
    return make_encoder(
        recipe.network,
        template_size=recipe.template_size,
        width=recipe.width,
        depth=recipe.depth,
        seed=recipe.seed,
        weights=weights,
        chips=chips,
    )


def _teachers(
    recipe: FaceRecipe, data_dir: Path
) -> tuple[EncoderTeacher | None, EncoderTeacher | None]:
    """The teacher and the screener; a file that serves as both is opened once."""
    teacher = screener = None
    if isinstance(recipe.loss, DistillationSection):
        named = recipe.loss.teacher
        teacher = EncoderTeacher(_shipped_encoder() if named is None else data_dir / named)
    if recipe.screener is not None and recipe.screen < 1:
        same = isinstance(recipe.loss, DistillationSection) and (
            recipe.loss.teacher == recipe.screener
        )
        screener = teacher if same else EncoderTeacher(data_dir / recipe.screener)
    return teacher, screener


def _shipped_encoder() -> Path:
    folder = default_model_dir()
    return folder / read_manifest(folder).encoder.name


def _aligner(recipe: FaceRecipe, out: Path) -> align.FindPoints | None:
    if recipe.drawn is not None and recipe.aligner is None:
        return None
    if recipe.aligner is not None:
        return points_of(load_aligner((out / recipe.aligner).resolve()))
    folder = default_model_dir()
    file = read_manifest(folder).aligner
    content = verified_bytes(folder, file)
    shipped = Signatures(folder / file.name, ALIGNER_SIGNATURES, content=content)
    return lambda crops: shipped.run("align", crops=crops)


def _keep_aligner(recipe: FaceRecipe, out: Path) -> None:
    """The run's own copy, for `oneglance convert`."""
    if recipe.aligner is not None:
        run_folder.copy_file(out / recipe.aligner, out / "aligner.keras")


def _need_size(size: int, targets: NDArray[np.float32] | None, recipe: FaceRecipe) -> None:
    loss = recipe.loss
    if targets is None or not isinstance(loss, DistillationSection) or not loss.cosine:
        return
    if targets.shape[1] != size:
        raise ConfigError(
            f"the teacher's templates have {targets.shape[1]} numbers, the network's have {size}",
            where="loss.cosine",
            fix=f"set template_size = {targets.shape[1]}, or cosine = 0 and a relational weight",
        )
