"""Turn a Siamese pair for drawings into a model folder that `evaluate --one-shot` can load."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.converter import report as reports
from oneglance.converter.calibration import (
    CHIPS,
    LEAST,
    LEAST_LIKENESS,
    SEED,
    neighbours_alike,
)
from oneglance.converter.choice import choose
from oneglance.converter.finish import finish, write_report
from oneglance.converter.folder import read_about, read_json_object
from oneglance.converter.parity import Parity, parity
from oneglance.converter.request import Job
from oneglance.converter.tflite import (
    PRECISIONS,
    Recipe,
    Twins,
    convert_prepared,
    convert_twins,
)
from oneglance.errors import ConfigError
from oneglance.faces.drawings.drawing_model import (
    DRAWING_SIZE,
    drawing_manifest,
    load_drawing_model,
    read_drawing,
)
from oneglance.faces.model.manifest import MANIFEST_NAME
from oneglance.faces.pictures import Pictures
from oneglance.training.drawings.compact_training import encode
from oneglance.training.drawings.threshold import head_of

_SAMPLES = 64
_STROKES = 4


def is_for_drawings(pair: keras.Model) -> bool:
    """Whether this is a Siamese pair whose twins take drawings (n, 105, 105, 1)."""
    twins = [layer for layer in pair.layers if layer.name == "encoder"]
    return bool(twins and twins[0].input_shape == (None, DRAWING_SIZE, DRAWING_SIZE, 1))


def convert_drawings(
    job: Job,
    pair: keras.Model,
    limits: Mapping[str, Parity],
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Convert, measure, and write the folder with the threshold that training fitted.

    Reads report.json, which `train` leaves beside the model. Raises OneglanceError if the result is
    not the same model within the limits (its files are then kept beside `out`), ConfigError for
    files that do not fit.
    """
    if job.quantize in ("int8", "auto") and job.calibration is None:
        raise ConfigError("int8 needs drawings", fix="name some with --calibration")
    report = Path(job.model).with_name("report.json")
    fix = "give what `oneglance train` left"
    trained = read_json_object(report, fix)
    try:
        threshold = float(trained["threshold"]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError("it has no fitted threshold", where=str(report), fix=fix) from error
    about = read_about(job.about)
    samples = (
        made_up_drawings(_SAMPLES)
        if job.calibration is None
        else calibration_drawings(Path(job.calibration))
    )
    twins = Twins(pair, pair.get_layer("encoder"), head_of(pair), "drawings")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = PRECISIONS if job.quantize == "auto" else (job.quantize,)
        plain = convert_twins(twins, "float32")
        made = {}
        for precision in wanted:
            tell(f"{precision}: converting and measuring")
            folder = Path(scratch) / precision
            folder.mkdir()
            told = {"training": trained, **about}
            one = _one(job, twins, precision, plain, samples, threshold, told, folder)
            if not one.parity.within(limits[precision]):
                one.report["refused"].append(f"{one.parity}; at most {limits[precision]} passes")
            write_report(folder, one.report)
            made[precision] = one.report
        if job.quantize != "auto":
            return finish(made[job.quantize], Path(scratch) / job.quantize, Path(job.out), _id)
        chosen, why = choose(made)
        finished = finish(made[chosen], Path(scratch) / chosen, Path(job.out), _id)
        others = {name: told for name, told in made.items() if name != chosen}
        return {**finished, "chosen": chosen, "why": why, "others": others}


def calibration_drawings(source: Path) -> NDArray[np.uint8]:
    """Drawings uint8 (n, 105, 105) from a folder or zip, chosen with a fixed seed.

    Raises ConfigError for fewer than 16 drawings or for noise, ImageError for other pictures.
    """
    pictures = Pictures(source)
    names = np.random.default_rng(SEED).permutation(pictures.names)[:CHIPS]
    fix = "name a folder or zip of Omniglot's drawings"
    if len(names) < LEAST:
        raise ConfigError(
            f"{len(names)} drawings are too few to calibrate with, at least {LEAST} are needed",
            where=str(source),
            fix=fix,
        )
    made = np.stack([read_drawing(pictures.read(str(n)), f"{source}:{n}") for n in names])
    alike = [neighbours_alike(cv2.cvtColor(one, cv2.COLOR_GRAY2BGR)) for one in made]
    if float(np.median(alike)) < LEAST_LIKENESS:
        raise ConfigError("the pictures are random noise, not drawings", where=str(source), fix=fix)
    return made


def made_up_drawings(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Drawings uint8 (count, 105, 105) with a few random strokes each, dark on light."""
    generator = np.random.default_rng(seed)
    drawings = np.full((count, DRAWING_SIZE, DRAWING_SIZE), 255, np.uint8)
    for drawing in drawings:
        for _ in range(_STROKES):
            corners = generator.integers(15, DRAWING_SIZE - 15, (4, 1, 2), np.int32)
            cv2.polylines(drawing, [corners], isClosed=False, color=0, thickness=3)
    return drawings


@dataclass(frozen=True, slots=True)
class _Made:
    report: dict[str, Any]
    parity: Parity


def _one(
    job: Job,
    twins: Twins,
    precision: str,
    plain: bytes,
    samples: NDArray[np.uint8],
    threshold: float,
    told: Mapping[str, Any],
    folder: Path,
) -> _Made:
    """Write one variant's folder, and measure it."""
    images = samples[..., None]
    prepared = None
    made = plain
    if precision == "int8":
        made, prepared = convert_prepared(twins, images, Recipe())
    elif precision != "float32":
        made = convert_twins(twins, precision)
    (folder / "encoder.tflite").write_bytes(made)
    manifest = drawing_manifest(job.name, made, twins.template_size, precision, threshold, told)
    _write(folder, manifest)
    model = load_drawing_model(folder)
    wanted, found = encode(twins.encoder, samples), model.encode(samples)
    few = slice(0, _SAMPLES)
    original = np.asarray(twins.head([wanted[few, None], wanted[None, few]]), np.float32)
    original = original.reshape(len(wanted[few]), -1)
    scores = model.compare(found[few], found[few])
    same = parity(wanted, found, original, scores)
    report: dict[str, Any] = {
        "kind": "drawings",
        "name": job.name,
        "model": job.model,
        "quantize": precision,
        "calibration": {
            "source": "made-up" if job.calibration is None else Path(job.calibration).name,
            "pictures": len(samples),
            "seed": SEED,
        },
        "parity": same.as_dict(),
        "templates": reports.template_part(wanted, found),
        "scores": reports.score_part(original, scores),
        "layers": None,
        "accuracy": [],
        "limits": job.limits.as_dict(),
        "thresholds": {},
    }
    if prepared is not None:
        report["layers"] = reports.layer_part(prepared, made, "encode", images)
    report["graphs"] = {
        "encoder": reports.graph_part(made, plain, "encode", "drawings", images, precision)
    }
    report["refused"] = reports.refusals(report, job.limits)
    _write(folder, {**manifest, "parity": same.as_dict(), "calibration": report["calibration"]})
    return _Made(report, same)


def _id(folder: Path) -> str:
    return load_drawing_model(folder).model_id


def _write(folder: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, "utf-8")
