"""`oneglance evaluate`: the door's own detector, aligner, encoder and head on labelled pairs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import JsonOption

if TYPE_CHECKING:
    from oneglance.faces.model.face_model import FaceModel


def evaluate(
    images: Annotated[
        Path | None,
        typer.Option(help="The pictures: a folder, or a zip file.", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns fold,image_a,image_b,same.", show_default=False),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --pairs, every picture against every other: CSV with the columns "
            "person,fold (a folder of pictures a person) or image,identity.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        str,
        typer.Option(help="With --people: only people of these folds, e.g. 7,8."),
    ] = "",
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
    strangers: Annotated[
        Path | None,
        typer.Option(
            help="Calibrate first, as a door is, on these pictures of other people: a folder or "
            "zip file.",
            show_default=False,
        ),
    ] = None,
    one_search: Annotated[
        bool,
        typer.Option("--one-search", help="Search each picture as one frame of a video."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write report.html (curves, worst pairs) and figures.json into this folder.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well faces are told apart, on pairs of your own pictures.

    Each picture goes through the door's own parts: find the face (Haar), align, encode, compare.
    A picture is searched as a still, ever harder until a face is found, as at enrolment; with
    `--one-search` only once, as a single frame of a video is. A pair counts as wrong if no face
    was found on one of its pictures. The threshold of a fold comes from the other folds; with a
    single fold it is the model's own.

    Example: `oneglance evaluate --images lfw.zip --pairs pairs.csv --report evaluation`

    With `--people` instead of `--pairs` every picture is compared with every other, which makes
    millions of impostor pairs of a few thousand pictures. The page that `--report` writes shows
    people, and only you may read it; it needs the extra `report`.

    Templates are compared as at a door that is not calibrated: what pictures of bad doors have in
    common counts less, which on good photographs costs a little. With `--strangers` the model is
    calibrated first, on pictures of other people that were taken as these were; then thresholds are
    what that door would use: `oneglance calibrate --help`.

    With `--one-shot` it measures the network for drawn characters instead:
    `oneglance evaluate --one-shot omniglot_all_runs.zip --verification omniglot.zip`
    """
    if one_shot is not None:
        if images or pairs or people or report or strangers:
            raise typer.BadParameter(
                "--one-shot does not go with --images, --pairs, --people, --strangers and --report"
            )
        from oneglance.cli.evaluate.one_shot import evaluate_one_shot

        evaluate_one_shot(one_shot, verification, model, as_json=as_json)
        return
    if images is None or (pairs is None) == (people is None):
        raise typer.BadParameter("give --images and --pairs or --people, or --one-shot")
    if verification is not None:
        raise typer.BadParameter("--verification goes with --one-shot")
    chosen = _folds(folds)
    if people is None and chosen is not None:
        raise typer.BadParameter("--folds goes with --people")
    from oneglance.cli.evaluate.faces import measure_pairs, measure_people, show, write_pages
    from oneglance.faces.model.face_model import load_model

    if report is not None:
        from oneglance.cli.private_file import private_folder

        # A missing matplotlib or Jinja2 shows now, not after the reading of all pictures.
        import_module("oneglance.cli.evaluate.report")
        private_folder(report, "--report")
    loaded = load_model(model)
    loaded = _at_a_door(loaded, strangers)
    if people is not None:
        measured = measure_people(images, people, chosen, loaded, one_search=one_search)
    elif pairs is not None:
        measured = measure_pairs(images, pairs, loaded, one_search=one_search)
    try:
        if report is not None:
            write_pages(measured, loaded, report, one_search=one_search)
    finally:
        measured.pictures.close()
    show(measured.figures, as_json=as_json)


def _at_a_door(model: FaceModel, strangers: Path | None) -> FaceModel:
    """The model as at a door calibrated on these pictures, or on none.

    Raises TooFewStrangersError, and ModelError for a model that cannot be calibrated.
    """
    from oneglance.faces.calibration.setup import DoorModel, any_door, fitted_spread

    if strangers is None:
        door = any_door(model)
        return model if door is None else DoorModel(model, door)
    import numpy as np

    from oneglance.cli.calibrate.command import enough
    from oneglance.cli.calibrate.sources import from_images
    from oneglance.faces.calibration.fit import fit
    from oneglance.faces.calibration.strangers import sifted

    templates, unusable = from_images(strangers, model)
    nobody = np.empty((0, model.template_size), np.float32)
    usual = fitted_spread(model)
    found = sifted(templates, nobody, model.compare, usual)
    enough(found, unusable)
    fitted = fit(found.strangers, model.compare, usual, np.random.default_rng(0))
    return DoorModel(model, fitted.door, ", calibrated")


def _folds(written: str) -> list[int] | None:
    try:
        return [int(fold) for fold in written.split(",")] if written else None
    except ValueError:
        raise typer.BadParameter(f"--folds is {written!r}, not numbers like 7,8") from None
