"""`oneglance setup`: from an installed door to one that lets its owner in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.cli.setup.answers import Answers
    from oneglance.config import Config

PICTURE = "setup.png"
PREVIEW_COLUMNS = 64
ENROLMENT_FRAMES = 5


def setup(
    config_file: ConfigOption = None,
    answers_file: Annotated[
        Path | None,
        typer.Option(
            "--answers", help="A file that answers, so that nothing is asked.", show_default=False
        ),
    ] = None,
) -> None:
    """Finish a new door: its camera, its first person, its lock.

    `systemd/install.sh` has made users, keys, certificates, broker and services. This shows what
    the camera sees and writes it into the configuration, enrols the first person, opens the lock
    once if you say so, and restarts the services. Run it again to change an answer; whatever is not
    answered stays as it is. `--answers` takes a TOML file instead of asking:

        camera = "rtsp://camera.lan/1"

        person = "Ada Lovelace"

        consent = true            # she has agreed to be enrolled

        photos = ["ada.jpg"]      # without any the camera takes her pictures

        test_lock = true

    Example: `sudo oneglance setup`
    """
    from oneglance.cli.setup.answers import read_answers
    from oneglance.cli.setup.services import DAEMON, LOCK, stopped, unit_name
    from oneglance.config import config_file as find_config
    from oneglance.config import load_config

    console = Console(highlight=False, soft_wrap=True)
    answers = None if answers_file is None else read_answers(answers_file)
    load_config(config_file)
    file = find_config(config_file).absolute()
    with stopped(unit_name(DAEMON, file.parent)):
        _camera(console, file, answers)
        _person(console, load_config(file), answers)
    lock_file = file.with_name("door.toml")
    if lock_file.exists():
        with stopped(unit_name(LOCK, file.parent)):
            _lock(console, load_config(lock_file), answers)
    console.print(f"Done. To look at all of it: oneglance doctor -c {file}")


def _camera(console: Console, file: Path, answers: Answers | None) -> None:
    from oneglance.cli.camera import early_picture, faces_in, picture_file
    from oneglance.cli.camera_source import camera_config
    from oneglance.cli.setup.preview import preview
    from oneglance.cli.setup.source_line import write_source
    from oneglance.config import load_config
    from oneglance.daemon.camera.devices import plugged_in
    from oneglance.errors import CameraError

    configured = load_config(file).camera
    source: str | int | None
    if answers is None:
        found = [str(device) for device in plugged_in()]
        for device in found:
            console.print(f"  found: {device}")
        default = str(configured[0].source) if configured else next(iter(found), "0")
        source = _number(typer.prompt("Camera (device, index, URL or file)", default=default))
    else:
        source = answers.camera
    if source is None:
        return
    while True:
        try:
            pixels = early_picture(camera_config(source, configured), count=10)
            break
        except CameraError as error:
            # Whoever is here can plug it in; a file of answers is obeyed, as the door will wait.
            console.print(f"  {error}", markup=False)
            if answers is not None:
                write_source(file, source)
                return
            source = _number(typer.prompt("Camera", default=str(source)))
    picture = file.with_name(PICTURE)
    picture_file(picture, pixels)
    faces_px, _ = faces_in(pixels)
    if console.is_terminal:
        console.print(preview(pixels, PREVIEW_COLUMNS))
    height, width = pixels.shape[:2]
    console.print(f"Camera {source}: {width} x {height}, faces: {len(faces_px)}; see {picture}")
    if answers is None and not typer.confirm("Is this what the door is to see?", default=True):
        raise typer.Abort
    write_source(file, source)


def _person(console: Console, config: Config, answers: Answers | None) -> None:
    from oneglance.errors import OneglanceError

    if answers is not None:
        if answers.person:
            _enrol(console, config, answers.person, answers.photos)
        return
    name = typer.prompt("Who comes first? A name, or nothing", default="", show_default=False)
    if not name or not typer.confirm(f"Has {name} agreed to be enrolled?"):
        return
    again = True
    while again:
        named = typer.prompt(
            "Photograph (nothing: the camera takes pictures)", default="", show_default=False
        )
        try:
            _enrol(console, config, name, (Path(named).expanduser(),) if named else ())
            return
        except OneglanceError as error:
            # The next step does not need anybody to be enrolled.
            console.print(f"  {error}", markup=False)
            again = typer.confirm("Try again?", default=True)


def _enrol(console: Console, config: Config, name: str, photos: tuple[Path, ...]) -> None:
    from oneglance.cli.people.enrol_person import Pictures, Wish, enrol_person
    from oneglance.errors import ConfigError

    if not photos and not config.camera:
        raise ConfigError("there is no camera to take pictures with", fix="name photographs")
    wish = Wish(
        name=name,
        person_id=None,
        consent_at=datetime.now(UTC),
        groups=(),
        valid_from=None,
        expires_at=None,
        pictures=Pictures(
            photos=photos,
            source="" if photos else config.camera[0].source,
            frames=ENROLMENT_FRAMES,
            force=False,
        ),
    )
    person = enrol_person(wish, config, lambda text: console.print(f"  {text}", markup=False))
    console.print(f"Enrolled {person.name} as {person.person_id!r}.", markup=False)


def _lock(console: Console, config: Config, answers: Answers | None) -> None:
    from oneglance.door.lock import Lock, factory_name, open_factory

    settings = config.door
    name = factory_name(settings.pin_factory)
    what = f"{settings.pin} for {settings.pulse_s:g} s"
    if name == "mock":
        what += " (mock: no real pin moves)"
    wanted = (
        typer.confirm(f"Open the lock once, {what}?", default=False)
        if answers is None
        else answers.test_lock
    )
    if not wanted:
        return
    lock = Lock(settings, open_factory(name), lambda event: console.print(f"  lock {event.state}"))
    try:
        lock.pulse("setup")
        time.sleep(settings.pulse_s)
    finally:
        lock.close()
    console.print(f"The lock was open, {what}, and is shut.")


def _number(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() else text
