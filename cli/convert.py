"""`oneglance convert`: a trained Keras model becomes a folder that a door can load."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Precision(StrEnum):
    """What numbers the converted encoder computes with; the head always stays in float."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def convert(
    model: Annotated[Path, typer.Argument(help="siamese.keras, as `train` left it.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.", show_default=False)],
    quantize: Annotated[
        Precision,
        typer.Option(
            help="int8 is refused where it is no longer the same model, as for the shipped encoder."
        ),
    ] = Precision.FLOAT32,
    aligner: Annotated[
        Path | None,
        typer.Option(help="aligner.keras; the one beside the model unless given."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Pictures of faces (folder or zip): int8 needs them, parity is shown."),
    ] = None,
    fit_images: Annotated[
        Path | None,
        typer.Option(help="Pictures (folder or zip) of people that training never saw."),
    ] = None,
    fit_people: Annotated[
        Path | None, typer.Option(help="CSV that names them: person,fold or image,identity.")
    ] = None,
    fit_folds: Annotated[str, typer.Option(help="Only people of these folds, e.g. 7,8.")] = "",
    about: Annotated[
        Path | None, typer.Option(help="JSON object to put into the manifest: licences, data.")
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name, a part of its id.")] = "model",
    passes: Annotated[int, typer.Option(min=1, max=3, help="Passes of the aligner.")] = 2,
) -> None:
    """Convert a trained Siamese pair and its aligner to TensorFlow Lite, and prove them the same.

    Nothing is written unless the result gives the same templates and scores (exit code 1).
    Without --fit-images and --fit-people the model has no thresholds, and no door opens on it.

    Example: `oneglance convert runs/siamese/siamese.keras --out my-model --fit-images lfw.zip
    --fit-people people.csv --fit-folds 7,8`
    """
    from rich.console import Console

    from oneglance.converter.child import convert_in_child
    from oneglance.converter.request import Job

    if (fit_images is None) != (fit_people is None):
        raise typer.BadParameter("--fit-images and --fit-people go together")
    if fit_folds and fit_images is None:
        raise typer.BadParameter("--fit-folds goes with --fit-images and --fit-people")
    if not name:
        raise typer.BadParameter("--name is empty")
    try:
        folds = tuple(int(fold) for fold in fit_folds.split(",")) if fit_folds else None
    except ValueError:
        raise typer.BadParameter(f"--fit-folds is {fit_folds!r}, not numbers like 7,8") from None
    job = Job(
        model=str(model),
        aligner=str(aligner or model.with_name("aligner.keras")),
        out=str(out),
        name=name,
        quantize=quantize.value,
        passes=passes,
        calibration=_text(calibration),
        fit_images=_text(fit_images),
        fit_people=_text(fit_people),
        fit_folds=folds,
        about=_text(about),
    )
    console = Console(stderr=True)
    with console.status("converting, in a process of its own"):
        report = convert_in_child(job)
    parity = report["parity"]
    typer.echo(
        f"parity: cosine mean {parity['cosine_mean']:.6f}, min {parity['cosine_min']:.6f}; "
        f"scores differ by at most {parity['score_difference']:.4f} of their spread"
    )
    for fmr, row in report.get("thresholds", {}).get("by_fmr", {}).items():
        typer.echo(f"FMR {fmr}: threshold {row['threshold']:.3f}, TAR {row['tar']:.2%}")
    if "thresholds" not in report:
        typer.echo("no thresholds were fitted: no door opens on this model yet")
    typer.echo(f"{report['out']}: {report['model_id']}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
