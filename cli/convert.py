"""`oneglance convert`: a trained Keras model becomes a folder that a door can load."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Precision(StrEnum):
    """The number type of the converted encoder; the head always stays in float."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8_WEIGHTS = "int8-weights"
    INT8 = "int8"
    AUTO = "auto"


def convert(
    model: Annotated[
        Path,
        typer.Argument(
            help="siamese.keras, as `train` left it, or a whole Siamese model of another hand, "
            "as .keras or .h5 of Keras 2 or 3."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to make.", show_default=False)],
    quantize: Annotated[
        Precision,
        typer.Option(
            help="What to compute with; auto makes and measures all, and takes the fastest of "
            "those within 0.1 point of float32's accuracy and TAR."
        ),
    ] = Precision.FLOAT32,
    aligner: Annotated[
        Path | None,
        typer.Option(
            help="aligner.keras, or a model folder whose aligner is taken as it is; the one beside "
            "the model unless given."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Pictures (folder or zip) that int8 takes its ranges from."),
    ] = None,
    fit_images: Annotated[
        Path | None,
        typer.Option(help="Pictures (folder or zip) of people that training never saw."),
    ] = None,
    fit_people: Annotated[
        Path | None, typer.Option(help="CSV that names them: person,fold or image,identity.")
    ] = None,
    fit_folds: Annotated[str, typer.Option(help="Only people of these folds, e.g. 7,8.")] = "",
    more_images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Pictures of further people, whom training may have seen, for FMR 1e-6 and "
            "1e-7. Give it once for each set of people."
        ),
    ] = None,
    more_people: Annotated[
        list[Path] | None, typer.Option(help="CSV that names the people of each --more-images.")
    ] = None,
    same_people: Annotated[
        Path | None,
        typer.Option(help="CSV people_sha256: pairs of names that are one person's, left out."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV fold,image_a,image_b,same of --fit-images, to compare with."),
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="JSON object to put into the manifest: licences, data.")
    ] = None,
    custom_objects: Annotated[
        Path | None,
        typer.Option(help="Python code, which is RUN, with layers that Keras does not have."),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name, a part of its id.")] = "model",
    passes: Annotated[int, typer.Option(min=1, max=3, help="Passes of the aligner.")] = 2,
    min_cosine: Annotated[
        float, typer.Option(help="Least mean cosine of templates to float32's.")
    ] = 0.98,
    max_tar_loss: Annotated[
        float, typer.Option(help="Most points of TAR at FAR 1e-3 that may be lost.")
    ] = 0.3,
    max_accuracy_loss: Annotated[
        float, typer.Option(help="Most points of accuracy that may be lost.")
    ] = 0.2,
    max_partitions: Annotated[
        int, typer.Option(min=1, help="Most delegate partitions of a network of faces.")
    ] = 1,
) -> None:
    """Convert a trained Siamese pair and its aligner to TensorFlow Lite, and prove that they agree.

    The folder holds the parity report, parity.json and parity.html. A conversion that exceeds a
    limit is refused (exit code 1), and kept in OUT-refused so that you can look at it. Without
    --fit-images and --fit-people the model has no thresholds, and no door opens on it.

    Example: `oneglance convert runs/siamese/siamese.keras --out my-model --fit-images lfw.zip
    --fit-people people.csv --fit-folds 7,8`
    """
    from rich.console import Console

    from oneglance.converter.child import convert_in_child
    from oneglance.converter.request import Job, Limits

    if (fit_images is None) != (fit_people is None and pairs is None):
        raise typer.BadParameter("--fit-images and --fit-people (or --pairs) go together")
    if fit_folds and fit_people is None:
        raise typer.BadParameter("--fit-folds goes with --fit-images and --fit-people")
    if len(more_images or ()) != len(more_people or ()):
        raise typer.BadParameter("each --more-images needs its --more-people")
    if more_images and fit_people is None:
        raise typer.BadParameter("--more-images goes with --fit-images and --fit-people")
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
        more_images=tuple(map(str, more_images or ())),
        more_people=tuple(map(str, more_people or ())),
        same_people=_text(same_people),
        pairs=_text(pairs),
        about=_text(about),
        custom_objects=_text(custom_objects),
        limits=Limits(min_cosine, max_tar_loss / 100, max_accuracy_loss / 100, max_partitions),
    )
    console = Console(stderr=True)
    if custom_objects is not None:
        console.print(
            f"{custom_objects} is run, with all that it does: give only code that you trust",
            style="yellow",
            markup=False,
        )
    with console.status("converting, in a process of its own") as status:
        report = convert_in_child(job, status.update)
    _show(report)


def _show(report: dict[str, Any]) -> None:
    parity = report["parity"]
    typer.echo(
        f"parity: cosine mean {parity['cosine_mean']:.6f}, min {parity['cosine_min']:.6f}; "
        f"scores differ by at most {parity['score_difference']:.4f} of their spread"
    )
    for part, graph in report["graphs"].items():
        one = next(r for r in graph["speed"] if (r["batch"], r["threads"]) == (1, 1))
        typer.echo(
            f"{part}: {graph['bytes']:,} bytes, {graph['delegate']['partitions']} delegate "
            f"partition(s), {one['ms']:.2f} ms (float32: {one['ms_float32']:.2f}, "
            f"floor: {graph['floor_ms_one_thread']:.2f})"
        )
    for told in report["accuracy"]:
        for side in ("float32", "converted"):
            rates = ", ".join(f"{f}: {t:.2%}" for f, t in told[side]["tar_at_far"].items())
            typer.echo(
                f"{told['protocol']}, {side}: accuracy {told[side]['accuracy']:.2%}, "
                f"EER {told[side]['eer']:.2%}, TAR at FAR {rates}"
            )
    if "chosen" in report:
        typer.echo(f"{report['chosen']} is taken: {report['why']}")
    for fmr, row in report.get("thresholds", {}).get("by_fmr", {}).items():
        typer.echo(f"FMR {fmr}: threshold {row['threshold']:.3f}, TAR {row['tar']:.2%}")
    if "thresholds" in report:
        typer.echo(
            "no common directions: doors that are not calibrated get no correction "
            "(docs/convert.md, 'What a new encoder lacks')"
        )
    else:
        typer.echo("no thresholds were fitted: no door opens on this model yet")
    typer.echo(f"{report['out']}: {report['model_id']}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
