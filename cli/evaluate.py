"""`oneglance evaluate`: the door's own detector, aligner, encoder and head on labelled pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from oneglance.cli.options import JsonOption


def evaluate(
    images: Annotated[
        Path | None,
        typer.Option(help="The pictures: a folder, or a zip file.", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns fold,image_a,image_b,same.", show_default=False),
    ] = None,
    one_shot: Annotated[
        Path | None,
        typer.Option(
            help="Instead of faces: Lake's omniglot_all_runs.zip, 20-way.", show_default=False
        ),
    ] = None,
    verification: Annotated[
        Path | None,
        typer.Option(
            help="With --one-shot: omniglot.zip, for pairs of its evaluation alphabets.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder; the shipped one unless given.", show_default=False),
    ] = None,
    one_search: Annotated[
        bool,
        typer.Option("--one-search", help="Search each picture as one frame of a video."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how well faces are told apart, on pairs of your own pictures.

    Each picture goes through the door's own parts: find the face (Haar), align, encode, compare.
    A picture is searched as a still, ever harder until a face is found, as at enrolment; with
    `--one-search` only once, as a single frame of a video is. A pair counts as wrong if no face
    was found on one of its pictures. The threshold of a fold comes from the other folds; with a
    single fold it is the model's own.

    Example: `oneglance evaluate --images lfw.zip --pairs pairs.csv --json`

    With `--one-shot` it measures the network for drawn characters instead:
    `oneglance evaluate --one-shot omniglot_all_runs.zip --verification omniglot.zip`
    """
    if one_shot is not None:
        if images is not None or pairs is not None:
            raise typer.BadParameter("--one-shot does not go with --images and --pairs")
        from oneglance.cli.evaluate_oneshot import evaluate_one_shot

        evaluate_one_shot(one_shot, verification, model, as_json=as_json)
        return
    if images is None or pairs is None:
        raise typer.BadParameter("give --images and --pairs, or --one-shot")
    if verification is not None:
        raise typer.BadParameter("--verification goes with --one-shot")
    from rich.console import Console
    from rich.progress import Progress

    from oneglance.faces.detect import FaceDetector
    from oneglance.faces.evaluation import read_pairs, read_templates, report, score_pairs
    from oneglance.faces.model import load_model
    from oneglance.faces.pictures import Pictures

    console = Console(stderr=True)
    pictures = Pictures(images)
    listed = read_pairs(pairs, pictures)
    loaded = load_model(model)
    names = sorted({name for pair in listed for name in (pair.image_a, pair.image_b)})
    with Progress(console=console) as progress:
        task = progress.add_task("reading faces", total=len(names))
        templates = read_templates(
            names,
            pictures,
            FaceDetector(),
            loaded,
            lambda: progress.advance(task),
            one_search=one_search,
        )
    scores, acquired = score_pairs(listed, templates, loaded)
    missed = [name for name in names if name not in templates]
    figures = report(listed, len(names), scores, acquired, missed, loaded)
    if as_json:
        typer.echo(json.dumps(figures, indent=2, allow_nan=False))
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures['pairs']} pairs, {figures['images']} pictures")
    table.add_column("figure")
    table.add_column("value", justify="right")
    accuracy, error = figures["accuracy"], figures["accuracy_se"]
    table.add_row("accuracy", f"{accuracy:.2%} +- {error:.2%}")
    table.add_row("no face found", f"{figures['failure_to_acquire']:.2%} of the pictures")
    if figures["eer"] is not None:
        table.add_row("equal error rate", f"{figures['eer']:.2%}")
        table.add_row("area under the curve", f"{figures['auc']:.4f}")
    for far, tar in figures["tar_at_far"].items():
        table.add_row(f"TAR at FAR {far}", f"{tar:.2%}")
    for fmr, row in figures["at_door_thresholds"].items():
        table.add_row(
            f"at the door's {fmr} threshold", f"TAR {row['tar']:.2%}, FMR {row['fmr']:.3%}"
        )
    table.add_row("model", figures["model"])
    Console().print(table)
