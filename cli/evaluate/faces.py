"""What `oneglance evaluate` does with faces: score pairs, then print or write what they show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oneglance.faces.evaluation.figures import Comparisons, WorstPairs
    from oneglance.faces.evaluation.readings import Reading
    from oneglance.faces.model.face_model import FaceModel
    from oneglance.faces.pictures import Pictures

# How many of each kind: more than these nobody looks at.
WORST_PAIRS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One evaluation: the pictures, the scores of their pairs, and the figures made of them."""

    pictures: Pictures
    made: Comparisons
    worst: WorstPairs
    figures: dict[str, Any]


def measure_pairs(images: Path, pairs: Path, model: FaceModel, *, one_search: bool) -> Measured:
    """Score the pairs that a CSV file lists."""
    from oneglance.faces.evaluation.listed_pairs import (
        comparisons,
        read_pairs,
        report,
        score_pairs,
        worst_pairs,
    )

    pictures = _opened(images)
    listed = read_pairs(pairs, pictures)
    names = sorted({name for pair in listed for name in (pair.image_a, pair.image_b)})
    reading = _read(names, pictures, model, one_search=one_search)
    scores, _ = score_pairs(listed, reading.templates, model)
    figures = report(listed, scores, reading, model)
    worst = worst_pairs(listed, scores, WORST_PAIRS)
    return Measured(pictures, comparisons(listed, scores), worst, figures)


def measure_people(
    images: Path, people: Path, folds: Sequence[int] | None, model: FaceModel, *, one_search: bool
) -> Measured:
    """Score every pair of the pictures whose people a CSV file names."""
    from oneglance.faces.evaluation.all_against_all import compare_all, report_all
    from oneglance.training.data.datasets import labelled_pictures

    _opened(images).close()
    listed = labelled_pictures(images, people, folds)
    pictures = listed[0].pictures
    person_of = {picture.name: picture.person for picture in listed}
    reading = _read(sorted(person_of), pictures, model, one_search=one_search)
    made, worst = compare_all(person_of, reading.templates, model, WORST_PAIRS)
    return Measured(pictures, made, worst, report_all(made, person_of, reading, model))


def write_pages(measured: Measured, model: FaceModel, folder: Path, *, one_search: bool) -> None:
    """Write the report with its pictures into `folder`."""
    from oneglance.cli.evaluate.report import write_report
    from oneglance.faces.find.detect import FaceDetector
    from oneglance.faces.reader import load_image, read_central_face, read_central_face_once

    read_face = read_central_face_once if one_search else read_central_face
    detector = FaceDetector()

    def chip_of(name: str) -> NDArray[np.uint8] | None:
        face = read_face(load_image(measured.pictures.read(name)), detector, model)
        return None if face is None else face.chip

    write_report(folder, measured.figures, measured.made, measured.worst, chip_of)


def show(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures on standard output: one JSON object, or a table."""
    if as_json:
        typer.echo(json.dumps(figures, indent=2, allow_nan=False))
    else:
        _print_table(figures)


def _opened(images: Path) -> Pictures:
    from oneglance.errors import ImageError
    from oneglance.faces.pictures import Pictures

    pictures = Pictures(images)
    if not pictures.names:
        raise ImageError(
            "there is no picture in it",
            where=str(images),
            fix="name a folder or zip file with JPEG or PNG files",
        )
    return pictures


def _read(
    names: Sequence[str], pictures: Pictures, model: FaceModel, *, one_search: bool
) -> Reading:
    from rich.console import Console
    from rich.progress import Progress

    from oneglance.faces.evaluation.readings import read_pictures
    from oneglance.faces.find.detect import FaceDetector

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("reading faces", total=len(names))
        return read_pictures(
            names,
            pictures,
            FaceDetector(),
            model,
            lambda: progress.advance(task),
            one_search=one_search,
        )


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures['pairs']} pairs, {figures['images']} pictures")
    table.add_column("figure")
    table.add_column("value", justify="right")
    accuracy, error = figures["accuracy"], figures["accuracy_se"]
    table.add_row("accuracy", f"{accuracy:.2%} +- {error:.2%}")
    for name in ("precision", "recall"):
        if figures[name] is not None:
            low, high = figures[f"{name}_95"]
            table.add_row(name, f"{figures[name]:.2%} ({low:.2%} to {high:.2%})")
    table.add_row("no face found", f"{figures['failure_to_acquire']:.2%} of the pictures")
    if figures["eer"] is not None:
        eer, auc = figures["eer_95"], figures["auc_95"]
        bounds = "" if eer is None else f" ({eer[0]:.2%} to {eer[1]:.2%})"
        table.add_row("equal error rate", f"{figures['eer']:.2%}{bounds}")
        bounds = "" if auc is None else f" ({auc[0]:.4f} to {auc[1]:.4f})"
        table.add_row("area under the curve", f"{figures['auc']:.4f}{bounds}")
    for far, tar in figures["tar_at_far"].items():
        low, high = figures["tar_at_far_95"][far]
        table.add_row(f"TAR at FAR {far}", f"{tar:.2%} ({low:.2%} to {high:.2%})")
    for fmr, row in figures["at_door_thresholds"].items():
        table.add_row(
            f"at the door's {fmr} threshold", f"TAR {row['tar']:.2%}, FMR {row['fmr']:.3%}"
        )
    table.add_row("in brackets", figures["confidence"])
    table.add_row("of EER and AUC", figures["confidence_of_eer_and_auc"])
    table.add_row("model", figures["model"])
    Console().print(table)
