"""A Siamese pair for drawings -> a model folder that `evaluate --one-shot` can load."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from oneglance.converter.folder import move_folder, read_about, read_json_object
from oneglance.converter.parity import Parity, parity
from oneglance.converter.request import Job
from oneglance.converter.tflite import convert_archive
from oneglance.errors import ConfigError, OneglanceError
from oneglance.faces.drawings import DRAWING_SIZE, drawing_manifest, load_drawing_model
from oneglance.faces.manifest import MANIFEST_NAME
from oneglance.training.omniglot_run import head_of
from oneglance.training.oneshot import encode

_SAMPLES = 64
_STROKES = 4


def is_for_drawings(pair: keras.Model) -> bool:
    """Whether this is a Siamese pair whose twins take drawings (n, 105, 105, 1)."""
    twins = [layer for layer in pair.layers if layer.name == "encoder"]
    return bool(twins and twins[0].input_shape == (None, DRAWING_SIZE, DRAWING_SIZE, 1))


def convert_drawings(job: Job, pair: keras.Model, limits: Mapping[str, Parity]) -> dict[str, Any]:
    """Convert, check parity, write the folder with the threshold that training fitted.

    Reads report.json, which `train` leaves beside the model. Raises OneglanceError if the result
    is not the same model within its limit, ConfigError for files that do not fit.
    """
    if job.quantize == "int8":
        raise ConfigError(
            "a model of drawings is not made in int8", fix="use --quantize float32 or float16"
        )
    report = Path(job.model).with_name("report.json")
    fix = "give what `oneglance train` left"
    trained = read_json_object(report, fix)
    try:
        threshold = float(trained["threshold"]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError("it has no fitted threshold", where=str(report), fix=fix) from error
    about = read_about(job.about)
    encoder = pair.get_layer("encoder")
    made = _convert(pair, job.quantize)
    manifest = drawing_manifest(
        job.name,
        made,
        encoder.output_shape[-1],
        job.quantize,
        threshold,
        {"training": trained, **about},
    )
    out = Path(job.out)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "encoder.tflite").write_bytes(made)
        _write(folder, manifest)
        shown = _measure(pair, folder)
        if not shown.within(limits[job.quantize]):
            raise OneglanceError(
                f"the converted model is not the same: {shown}",
                where=job.model,
                fix=f"at most {limits[job.quantize]} is let through",
            )
        _write(folder, {**manifest, "parity": shown.as_dict()})
        move_folder(folder, out)
    model_id = load_drawing_model(out).model_id
    return {
        "parity": shown.as_dict(),
        "quantize": job.quantize,
        "thresholds": {},
        "model_id": model_id,
        "out": str(out),
    }


def made_up_drawings(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Drawings uint8 (count, 105, 105) of a few random strokes each, dark on light."""
    generator = np.random.default_rng(seed)
    drawings = np.full((count, DRAWING_SIZE, DRAWING_SIZE), 255, np.uint8)
    for drawing in drawings:
        for _ in range(_STROKES):
            corners = generator.integers(15, DRAWING_SIZE - 15, (4, 1, 2), np.int32)
            cv2.polylines(drawing, [corners], isClosed=False, color=0, thickness=3)
    return drawings


def _convert(pair: keras.Model, quantize: str) -> bytes:
    encoder, head = pair.get_layer("encoder"), head_of(pair)
    size = encoder.output_shape[-1]

    def encode_drawings(drawings: Any) -> dict[str, Any]:
        return {"templates": encoder(tf.cast(drawings, tf.float32), training=False)}

    def compare(probes: Any, templates: Any) -> dict[str, Any]:
        return {"scores": head([probes[:, None, :], templates[None, :, :]])}

    archive = keras.export.ExportArchive()
    archive.track(pair)
    shape = (None, DRAWING_SIZE, DRAWING_SIZE, 1)
    archive.add_endpoint("encode", encode_drawings, [tf.TensorSpec(shape, tf.uint8, "drawings")])
    archive.add_endpoint(
        "compare",
        compare,
        [
            tf.TensorSpec((None, size), tf.float32, "probes"),
            tf.TensorSpec((None, size), tf.float32, "templates"),
        ],
    )
    return convert_archive(archive, ["encode", "compare"], quantize, None)


def _measure(pair: keras.Model, folder: Path) -> Parity:
    drawings = made_up_drawings(_SAMPLES)
    model = load_drawing_model(folder)
    wanted, found = encode(pair.get_layer("encoder"), drawings), model.encode(drawings)
    original = np.asarray(head_of(pair)([wanted[:, None], wanted[None]]), np.float32)
    return parity(wanted, found, original, model.compare(found, found))


def _write(folder: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, "utf-8")
