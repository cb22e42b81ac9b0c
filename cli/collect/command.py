"""`oneglance collect`: training pictures, of one person in front of a camera, or of others."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import ConfigOption, optional_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneglance.cli.collect.camera import Session
    from oneglance.config import CameraConfig


def collect(
    person: Annotated[
        str | None,
        typer.Option(help="Whose pictures are taken, e.g. 'Ada Lovelace'.", show_default=False),
    ] = None,
    camera: Annotated[
        str,
        typer.Option(
            help="A camera (its name in the configuration, or 0, 1...), device, stream, video file "
            "or folder."
        ),
    ] = "0",
    negatives: Annotated[
        Path | None,
        typer.Option(
            help="Instead: take pictures of other people from this folder or zip file.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The data set: a folder for each person goes in here.")
    ] = Path("collected"),
    count: Annotated[
        int, typer.Option(min=1, max=5000, help="Pictures of the person, earlier runs included.")
    ] = 40,
    consent: Annotated[
        bool, typer.Option("--consent", help="This person has agreed that pictures are kept.")
    ] = False,
    person_id: Annotated[
        str | None, typer.Option("--id", help="Instead of an id made of the name.")
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="No window, even where there could be one.")
    ] = False,
    origin: Annotated[
        str,
        typer.Option(help="With --negatives: where they are from and under which licence."),
    ] = "",
    several: Annotated[
        bool,
        typer.Option("--several", help="With --negatives: also pictures with several faces."),
    ] = False,
    people: Annotated[
        Path | None,
        typer.Option(help="With --negatives: a CSV (image,identity) of who is who, not folders."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Collect training pictures: anchors and positives of one person, negatives of others.

    A person is led through ten small steps (straight, turned, near, far, glasses, light), and a
    picture is taken when it is good. A configured camera is rotated, cropped and logged in to as at
    the door. Stop at any time: what was taken is kept, and the same command continues where it
    stopped. Only you may read the pictures.

    Example: `oneglance collect --person "Ada Lovelace" --camera 0 --consent`

    Or: `oneglance collect --negatives lfw.zip --origin "LFW, research use" --out collected`
    """
    if (person is None) == (negatives is None):
        raise typer.BadParameter("give one of --person and --negatives")
    if negatives is not None:
        from oneglance.cli.collect.others import collect_others

        collect_others(negatives, out, people, origin=origin, several=several)
        return
    if person is not None:
        cameras = optional_config(config).camera
        _collect_person(
            *(person, person_id, camera, cameras, out, count), consent=consent, terminal=terminal
        )


def _collect_person(
    person: str,
    person_id: str | None,
    camera: str,
    configured: Sequence[CameraConfig],
    out: Path,
    count: int,
    *,
    consent: bool,
    terminal: bool,
) -> None:
    if not consent:
        raise typer.BadParameter("pictures are kept: ask this person first, then add --consent")
    from oneglance.cli.collect.camera import Session
    from oneglance.faces.find.detect import FaceDetector
    from oneglance.faces.gallery.person import checked_name, checked_person_id, person_id_from
    from oneglance.faces.model.face_model import load_model
    from oneglance.training.data.collect_store import open_collection

    name = checked_name(person)
    chosen_id = person_id_from(name) if person_id is None else checked_person_id(person_id)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"name": name, "consent_at": now, "origin": "own camera", "begun_at": now}
    detector, model = FaceDetector(), load_model()
    collection = open_collection(out, chosen_id, about)
    session = Session(camera, collection, count, detector, model, configured=configured)
    before = session.guide.taken
    if session.guide.step is None:
        typer.echo(f"All {count} pictures are in {collection.folder}; more with a higher --count.")
        return
    try:
        stopped = _run(session, terminal=terminal)
    finally:
        collection.discard_if_empty()
    taken = session.guide.taken
    typer.echo(f"{taken - before} new pictures, {taken} of {count}, in {collection.folder}")
    if stopped:
        typer.echo("Stopped early; the same command goes on from here.", err=True)
        raise typer.Exit(130)


def _run(session: Session, *, terminal: bool) -> bool:
    """Run the session, in a window if possible; True if it was stopped early."""
    from oneglance.signals import stop_on_signals

    with stop_on_signals(session.stop):
        if terminal or not _window_possible():
            from oneglance.cli.collect.terminal import run_in_terminal

            run_in_terminal(session)
        else:
            from oneglance.cli.collect.in_window import run_in_window

            run_in_window(session)
    return session.guide.step is not None


def _window_possible() -> bool:
    from importlib.util import find_spec

    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) and find_spec("kivy") is not None
