"""One conversion: from Keras files to a finished model folder, or a refusal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.converter import report as reports
from oneglance.converter.accuracy import compare_pairs, compare_people, read_both
from oneglance.converter.adopt import adopt, is_ours
from oneglance.converter.calibration import Faces, calibration_faces
from oneglance.converter.choice import choose
from oneglance.converter.drawing_job import convert_drawings, is_for_drawings
from oneglance.converter.finish import finish, write_report
from oneglance.converter.fitting import fit_to, read_faces
from oneglance.converter.folder import read_about, update_manifest, write_model_folder
from oneglance.converter.parity import Parity, measure
from oneglance.converter.request import Job
from oneglance.converter.tflite import (
    PRECISIONS,
    Recipe,
    Twins,
    convert_aligner,
    convert_prepared,
    convert_twins,
)
from oneglance.converter.whole_file import read_whole
from oneglance.errors import ConfigError
from oneglance.faces.evaluation.listed_pairs import read_pairs
from oneglance.faces.evaluation.strangers import SamePeople
from oneglance.faces.find.align import CHIP_SIZE, CROP_SIZE
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import read_manifest, verified_bytes
from oneglance.faces.pictures import Pictures
from oneglance.models import default_model_dir
from oneglance.training.data.datasets import labelled_pictures
from oneglance.training.networks.keras_files import load_aligner, load_keras

# How close to the Keras model it must be: mean and least cosine of templates, and the largest
# difference of a score in units of the scores' own spread. For the rest see request.Limits.
LIMITS = {
    "float32": Parity(0.99999, 0.9999, 0.01),
    "float16": Parity(0.9999, 0.999, 0.05),
    "int8-weights": Parity(0.97, 0.90, 1.0),
    "int8": Parity(0.97, 0.90, 1.0),
}
_SCORED = 64
_MADE_UP = 16
_ANY_PARTITIONS = 1_000
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What is converted, and the float32 folder that it is compared with."""

    job: Job
    twins: Twins
    aligner: keras.Model | None
    about: Mapping[str, Any]
    faces: Faces
    reference: FaceModel
    encoder: bytes
    aligner_bytes: bytes


def run_job(job: Job, tell: Tell = lambda text: None) -> dict[str, Any]:
    """Convert, measure, write the folder with its report, and fit thresholds; returns the report.

    `tell` is called with what is being done. Raises OneglanceError (exit code 1) if the result is
    not the same model within the limits (its files are then kept beside `out`, in a folder named
    "<out>-refused"), ConfigError for files that do not fit.
    """
    out = Path(job.out)
    if out.exists():
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    if not job.name:
        raise ConfigError("the model has no name", fix="name it with --name")
    about = read_about(job.about)
    code = None if job.custom_objects is None else Path(job.custom_objects)
    pair = read_whole(Path(job.model), code)
    if is_for_drawings(pair):
        return convert_drawings(job, pair, LIMITS, tell)
    aligner: keras.Model | None
    if is_ours(pair):
        if job.quantize in ("int8", "auto") and job.calibration is None:
            raise ConfigError("int8 needs pictures of faces", fix="name some with --calibration")
        # A folder is a finished model's, whose aligner is taken as it is.
        aligner = None if Path(job.aligner).is_dir() else load_keras(Path(job.aligner))
        _check_pair(pair, aligner, job)
    else:
        tell("taking over a Siamese model that 'oneglance train' did not make")
        if job.quantize in ("int8", "auto"):
            raise ConfigError(
                f"{job.quantize} is for networks that 'oneglance train' made",
                where=job.model,
                fix="take --quantize float32, float16 or int8-weights",
            )
        pair = adopt(pair, job.model)
        aligner = _aligner_beside(job)
        # Its layers were somebody else's choice, so how much a delegate takes is reported, not
        # limited.
        job = replace(job, limits=replace(job.limits, partitions=_ANY_PARTITIONS))
    with tempfile.TemporaryDirectory() as scratch:
        source = _prepared(job, pair, aligner, about, Path(scratch) / "float32-reference", tell)
        wanted = PRECISIONS if job.quantize == "auto" else (job.quantize,)
        made = {
            precision: _convert(source, precision, Path(scratch) / precision, tell)
            for precision in wanted
        }
        if job.quantize != "auto":
            return finish(made[job.quantize], Path(scratch) / job.quantize, out, _id)
        chosen, why = choose(made)
        finished = finish(made[chosen], Path(scratch) / chosen, out, _id)
        others = {name: report for name, report in made.items() if name != chosen}
        return {**finished, "chosen": chosen, "why": why, "others": others}


def _prepared(
    job: Job,
    pair: keras.Model,
    aligner: keras.Model | None,
    about: Mapping[str, Any],
    folder: Path,
    tell: Tell,
) -> _Source:
    twins = Twins(pair, pair.get_layer("encoder"), pair.get_layer("head"), "chips")
    tell("converting to float32, with which the others are compared")
    encoder = convert_twins(twins, "float32")
    aligner_bytes = (
        _finished_aligner(job, "float32") if aligner is None else convert_aligner(aligner)
    )
    _write(folder, job, twins, "float32", encoder, aligner_bytes, about)
    reference = load_model(folder)
    if job.calibration is None:
        faces = _made_up()
    else:
        tell("cutting faces from the calibration pictures")
        faces = calibration_faces(Path(job.calibration), reference)
    templates = reference.encode(faces.chips)
    if not np.isfinite(templates).all() or not np.abs(templates).sum(axis=1).all():
        raise ConfigError(
            "its templates of faces are no numbers, or all zero",
            where=job.model,
            fix="look at the run's figures: its training came to nothing",
        )
    return _Source(job, twins, aligner, about, faces, reference, encoder, aligner_bytes)


def _convert(source: _Source, precision: str, folder: Path, tell: Tell) -> dict[str, Any]:
    """Make one variant's folder with its report; the report says whether it is refused."""
    job, faces = source.job, source.faces
    tell(f"{precision}: converting")
    integer = precision == "int8"
    prepared = None
    encoder, aligner = source.encoder, source.aligner_bytes
    if integer:
        encoder, prepared = convert_prepared(source.twins, faces.chips, Recipe())
        aligner = (
            _finished_aligner(job, "int8")
            if source.aligner is None
            else convert_aligner(source.aligner, "int8", faces.crops)
        )
    elif precision != "float32":
        encoder = convert_twins(source.twins, precision)
    _write(folder, job, source.twins, precision, encoder, aligner, source.about)
    model = load_model(folder)
    tell(f"{precision}: comparing templates and scores")
    parity = measure(source.twins.pair, model, faces.chips)
    wanted, found = source.reference.encode(faces.chips), model.encode(faces.chips)
    usable = bool(np.isfinite(found).all())
    few = slice(0, _SCORED)
    report: dict[str, Any] = {
        "kind": "faces",
        "name": job.name,
        "model": job.model,
        "quantize": precision,
        "calibration": faces.told(),
        "parity": parity.as_dict(),
        "templates": reports.template_part(wanted, found),
        "scores": reports.score_part(
            source.reference.compare(wanted[few], wanted[few]),
            model.compare(found[few], found[few]),
        ),
        "layers": None,
        "accuracy": [],
        "limits": job.limits.as_dict(),
    }
    if prepared is not None:
        tell(f"{precision}: comparing layer by layer")
        report["layers"] = reports.layer_part(prepared, encoder, "encode", faces.chips)
    tell(f"{precision}: measuring times")
    report["graphs"] = {
        "encoder": reports.graph_part(
            encoder, source.encoder, "encode", "chips", faces.chips, precision
        ),
        "aligner": reports.graph_part(
            aligner, source.aligner_bytes, "align", "crops", faces.crops, precision
        ),
    }
    tell(f"{precision}: deciding on the same pictures")
    fitted = _decisions(source, model, report) if usable else None
    report["refused"] = reports.refusals(report, job.limits)
    if not parity.within(LIMITS[precision]):
        report["refused"].append(f"{parity}; at most {LIMITS[precision]} is let through")
    changes: dict[str, Any] = {"parity": parity.as_dict()} if usable else {}
    if integer:
        changes["calibration"] = faces.told()
    if fitted is not None:
        changes["thresholds"] = report["thresholds"] = fitted
    update_manifest(folder, changes)
    write_report(folder, report)
    return report


def _decisions(source: _Source, model: FaceModel, report: dict[str, Any]) -> dict[str, Any] | None:
    """Figures of both models on the pictures given, and the newly fitted thresholds."""
    job = source.job
    if job.fit_images is None:
        return None
    pictures = Pictures(Path(job.fit_images))
    person: dict[str, str] = {}
    if job.fit_people is not None:
        listed = labelled_pictures(Path(job.fit_images), Path(job.fit_people), job.fit_folds)
        person = {picture.name: picture.person for picture in listed}
    names = set(person)
    if job.pairs is not None:
        for pair in read_pairs(Path(job.pairs), pictures):
            names |= {pair.image_a, pair.image_b}
    both = read_both(pictures, sorted(names), model, source.reference)
    if job.pairs is not None:
        told = compare_pairs(Path(job.pairs), pictures, both, model, source.reference)
        report["accuracy"].append(told)
    if job.fit_people is None:
        return None
    fitted = fit_to(
        {name: row for name, row in zip(both.names, both.found, strict=True) if name in person},
        person,
        model,
        {"images": Path(job.fit_images).name, "people": Path(job.fit_people).name},
        job.fit_folds,
        Path(job.fit_people),
        [
            read_faces(Path(images), Path(people), model)
            for images, people in zip(job.more_images, job.more_people, strict=True)
        ],
        None if job.same_people is None else SamePeople.read(Path(job.same_people)),
    )
    kept = np.array([name in person for name in both.names])
    people = [person[name] for name in both.names if name in person]
    report["accuracy"].append(compare_people(both.rows(kept), people, model, source.reference))
    return fitted


def _id(folder: Path) -> str:
    return load_model(folder).model_id


def _aligner_beside(job: Job) -> keras.Model | None:
    """The aligner that was named, or that lies beside a model made elsewhere; None without one."""
    if not Path(job.aligner).is_file():
        return None
    return load_aligner(Path(job.aligner))


def _finished_aligner(job: Job, variant: str) -> bytes:
    """The aligner of the named model folder; of the shipped one where none is named.

    Models made elsewhere rarely bring their own.
    """
    folder = Path(job.aligner) if Path(job.aligner).is_dir() else default_model_dir()
    manifest = read_manifest(folder, variant=variant)
    return verified_bytes(folder, manifest.aligner)


def _check_pair(pair: keras.Model, aligner: keras.Model | None, job: Job) -> None:
    fix = "give the siamese.keras that 'oneglance train' left"
    if not {"encoder", "head"} <= {layer.name for layer in pair.layers}:
        raise ConfigError("the model has no layers encoder and head", where=job.model, fix=fix)
    seen = pair.get_layer("encoder").input_shape
    if seen != (None, CHIP_SIZE, CHIP_SIZE, 3):
        raise ConfigError(f"its encoder takes {seen}, not chips", where=job.model, fix=fix)
    if aligner is not None and (aligner.input_shape, aligner.output_shape) != (
        (None, CROP_SIZE, CROP_SIZE, 1),
        (None, 5, 2),
    ):
        raise ConfigError(
            f"not an aligner: it takes {aligner.input_shape} to {aligner.output_shape}",
            where=job.aligner,
            fix="give the aligner.keras that 'oneglance train' left",
        )


def _made_up() -> Faces:
    """Patches of noise, for when no pictures are given: enough to compare float files with."""

    def patches(size: int, channels: int) -> NDArray[np.uint8]:
        drawn = np.random.default_rng(0).integers(0, 256, (_MADE_UP, 16, 16, channels), np.uint8)
        return np.repeat(np.repeat(drawn, size // 16, 1), size // 16, 2)

    return Faces(patches(CHIP_SIZE, 3), patches(CROP_SIZE, 1), "made-up patches", _MADE_UP)


def _write(
    folder: Path,
    job: Job,
    twins: Twins,
    precision: str,
    encoder: bytes,
    aligner: bytes,
    about: Mapping[str, Any],
) -> None:
    write_model_folder(
        folder,
        name=job.name,
        encoder=encoder,
        aligner=aligner,
        template_size=twins.template_size,
        passes=job.passes,
        precision=precision,
        about=about,
    )
