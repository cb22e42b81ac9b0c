"""One conversion: Keras files in, a finished model folder out, or a refusal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.converter.drawings import convert_drawings, is_for_drawings
from oneglance.converter.fitting import fit_thresholds
from oneglance.converter.folder import (
    move_folder,
    read_about,
    update_manifest,
    write_model_folder,
)
from oneglance.converter.parity import Parity, measure
from oneglance.converter.request import Job
from oneglance.converter.tflite import convert_aligner, convert_encoder
from oneglance.errors import ConfigError, OneglanceError
from oneglance.faces.align import CHIP_SIZE, CROP_SIZE
from oneglance.faces.detect import FaceDetector
from oneglance.faces.model import load_model
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.run import load_keras

# How much of the Keras model must be left: mean and least cosine of templates, and the largest
# difference of a score in units of the scores' own spread.
LIMITS = {
    "float32": Parity(0.99999, 0.9999, 0.01),
    "float16": Parity(0.9999, 0.999, 0.05),
    "int8": Parity(0.97, 0.90, 1.0),
}
_CALIBRATION_PICTURES = 300


def run_job(job: Job) -> dict[str, Any]:
    """Convert, check parity, write the folder, fit thresholds; returns what was measured.

    Raises OneglanceError (exit code 1) if the result is not the same model within LIMITS,
    ConfigError for files that do not fit.
    """
    out = Path(job.out)
    if out.exists():
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    if not job.name:
        raise ConfigError("the model has no name", fix="name it with --name")
    about = read_about(job.about)
    pair = load_keras(Path(job.model))
    if is_for_drawings(pair):
        return convert_drawings(job, pair, LIMITS)
    if job.quantize == "int8" and job.calibration is None:
        raise ConfigError("int8 needs pictures of faces", fix="name some with --calibration")
    aligner = load_keras(Path(job.aligner))
    _check_pair(pair, aligner, job)
    aligner_bytes = convert_aligner(aligner)
    chips = _chips(job, pair, aligner_bytes, about)
    encoder_bytes = convert_encoder(pair, job.quantize, lambda: iter(chips[:, None]))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        _write(folder, job, pair, encoder_bytes, aligner_bytes, about)
        parity = measure(pair, load_model(folder), chips)
        limit = LIMITS[job.quantize]
        if not parity.within(limit):
            raise OneglanceError(
                f"the converted model is not the same: {parity}",
                where=job.model,
                fix=f"at most {limit} is let through: try another --quantize or more --calibration",
            )
        report: dict[str, Any] = {"parity": parity.as_dict(), "quantize": job.quantize}
        if job.fit_images is not None and job.fit_people is not None:
            fitted = fit_thresholds(
                load_model(folder), Path(job.fit_images), Path(job.fit_people), job.fit_folds
            )
            update_manifest(folder, {"thresholds": fitted})
            report["thresholds"] = fitted
        update_manifest(folder, {"parity": parity.as_dict()})
        move_folder(folder, out)
    return {**report, "model_id": load_model(out).model_id, "out": str(out)}


def _check_pair(pair: keras.Model, aligner: keras.Model, job: Job) -> None:
    fix = "give the siamese.keras that 'oneglance train' left"
    if not {"encoder", "head"} <= {layer.name for layer in pair.layers}:
        raise ConfigError("the model has no layers encoder and head", where=job.model, fix=fix)
    seen = pair.get_layer("encoder").input_shape
    if seen != (None, CHIP_SIZE, CHIP_SIZE, 3):
        raise ConfigError(f"its encoder takes {seen}, not chips", where=job.model, fix=fix)
    if (aligner.input_shape, aligner.output_shape) != (
        (None, CROP_SIZE, CROP_SIZE, 1),
        (None, 5, 2),
    ):
        raise ConfigError(
            f"not an aligner: it takes {aligner.input_shape} to {aligner.output_shape}",
            where=job.aligner,
            fix="give the aligner.keras that 'oneglance train' left",
        )


def _chips(
    job: Job, pair: keras.Model, aligner_bytes: bytes, about: Mapping[str, Any]
) -> NDArray[np.uint8]:
    """Chips for calibration and parity: cut by the door from real pictures, else noise."""
    if job.calibration is None:
        noise = np.random.default_rng(0).integers(0, 256, (16, 14, 14, 3), np.uint8)
        return np.repeat(np.repeat(noise, CHIP_SIZE // 14, 1), CHIP_SIZE // 14, 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        # Only its aligner is used: the encoder that stands beside it is not quantized yet.
        _write(folder, job, pair, convert_encoder(pair, "float32", None), aligner_bytes, about)
        model = load_model(folder)
        chips = list(_cut(Pictures(Path(job.calibration)), model))
    if not chips:
        raise ConfigError("no face was found in the pictures", where=job.calibration)
    return np.stack(chips)


def _cut(pictures: Pictures, model: Any) -> Iterator[NDArray[np.uint8]]:
    detector = FaceDetector()
    step = max(1, len(pictures.names) // _CALIBRATION_PICTURES)
    for name in pictures.names[::step][:_CALIBRATION_PICTURES]:
        sample = read_central_face(load_image(pictures.read(name)), detector, model)
        if sample is not None:
            yield sample.chip


def _write(
    folder: Path,
    job: Job,
    pair: keras.Model,
    encoder_bytes: bytes,
    aligner_bytes: bytes,
    about: Mapping[str, Any],
) -> None:
    write_model_folder(
        folder,
        name=job.name,
        encoder=encoder_bytes,
        aligner=aligner_bytes,
        template_size=pair.get_layer("encoder").output_shape[-1],
        passes=job.passes,
        precision=job.quantize,
        about=about,
    )
