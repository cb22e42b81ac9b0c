"""`oneglance attack-test`: how often a photograph, a phone or a film passes at your own door."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from oneglance.cli.attack_test.door import Trial
    from oneglance.cli.attack_test.tally import Attempt, Kind
    from oneglance.config import CameraConfig, Config

_ASKED = {
    "visit": ("you yourself", "Come to the door as you do every day."),
    "print": (
        "a printed photograph",
        "Hold up a print of your face, large and sharp; move, tilt and bend it as you like.",
    ),
    "phone": ("a photograph on a phone", "Show your photograph on a phone, bright and near."),
    "tablet": ("a photograph on a tablet", "Show it on a tablet or laptop, as large as it goes."),
    "replay": ("a film of you", "Play a film of your face on a phone or tablet."),
}
_SAID = {
    "passed": "the door would open",
    "refused": "refused: not seen to live",
    "not_recognised": "refused: not recognised, so liveness was not asked",
    "no_decision": "no decision: no good face was seen for long enough",
}


def attack_test(
    config: ConfigOption = None,
    kinds: Annotated[
        str, typer.Option(help="What to try, of visit, print, phone, tablet and replay.")
    ] = "visit,print,phone,tablet,replay",
    attempts: Annotated[int, typer.Option(min=1, max=100, help="So many of each kind.")] = 10,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera",
            "--source",
            help="A camera (0, /dev/video0) or stream instead of the configured one.",
            show_default=False,
        ),
    ] = None,
    film: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=FILE",
            help="Instead: a recorded film of one attempt, e.g. print=me-on-paper.avi, of 4 s or "
            "more with the face in view. May be given many times; nothing is asked.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=2, max=600, help="Wait at most so long for each decision.")
    ] = 30.0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The report; attack-test-DATE.json here unless given.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure at your own door how often an attack passes, and how often you do not.

    You are asked to stand in front of the camera yourself, then to hold up a print, a phone, a
    tablet and a film of yourself. Each attempt is judged by the configured model, policy and
    gallery as the daemon would; nothing is published, and nothing opens. Stop the daemon first: it
    is using the camera. Keep your own face out of the picture while you hold something up, or have
    somebody else press Enter. With the policy `passive+challenge`, only the passive part is
    measured.

    The report has the rates with exact 95 % bounds, APCER and BPCER of ISO/IEC 30107-3, and
    neither pictures nor names; only you may read it. How to read it: docs/attacks.md.

    Exit code 0 if no attack passed, 1 if one did, 130 if it was stopped early; the attempts so far
    are kept.

    Example: `oneglance attack-test --kinds visit,print,phone --attempts 20`
    """
    from oneglance.cli.attack_test.door import Trial
    from oneglance.config import load_config

    wanted = [_kind(word) for word in kinds.split(",")]
    films = [_film(text) for text in film or []]
    settings = load_config(config)
    recorded = [(kind, file) for kind, file in films if kind in wanted]
    if films and camera is not None:
        raise typer.BadParameter("--film goes without --camera")
    live = None if films else _camera(settings, camera)
    path = out or Path(f"attack-test-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    trial = Trial.of(settings)
    console = Console(stderr=True, highlight=False)
    if trial.about["policy"] != trial.about["measured"]:
        console.print(
            "The challenge that the screen asks for is not measured, only what is passive."
        )
    record = Record(path, trial.about, console)
    stopped = False
    try:
        if live is None:
            watch_films(trial, recorded, record)
        else:
            guide(trial, live, wanted, attempts, seconds, record)
    except (KeyboardInterrupt, EOFError):
        stopped = True
        console.print("\nStopped early.")
    if record.attempts:
        _show(record.body, path, console, as_json=as_json)
    else:
        console.print("Nothing was tried, and nothing written.")
    if stopped:
        raise typer.Exit(130)
    if record.attack_passed:
        raise typer.Exit(1)


class Record:
    """The attempts so far, in a private file after each."""

    def __init__(self, path: Path, about: dict[str, Any], console: Console) -> None:
        self.attempts: list[Attempt] = []
        self.body: dict[str, Any] = {}
        self.console = console
        self._path = path
        self._about = about

    def add(self, attempt: Attempt) -> None:
        """Print the attempt and record it. Raises OneglanceError if the file cannot be written."""
        from oneglance.cli.attack_test.tally import report
        from oneglance.cli.private_file import write_private

        after = "" if attempt.after_s is None else f", after {attempt.after_s:.1f} s"
        self.console.print(f"  {attempt.kind}: {_SAID[attempt.answer]}{after}")
        self.attempts.append(attempt)
        self.body = report(self.attempts, self._about)
        write_private(self._path, (json.dumps(self.body, indent=2) + "\n").encode(), "--out")

    @property
    def attack_passed(self) -> bool:
        """Whether the door would have opened for anything but a live person."""
        return any(one.answer == "passed" and one.kind != "visit" for one in self.attempts)


def _kind(word: str) -> Kind:
    from oneglance.cli.attack_test.tally import Kind

    try:
        return Kind(word.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{word.strip()!r} is no kind; there are {', '.join(Kind)}"
        ) from None


def _film(text: str) -> tuple[Kind, Path]:
    kind, equals, file = text.partition("=")
    if not equals or not file:
        raise typer.BadParameter(f"{text!r} is not KIND=FILE, e.g. print=me-on-paper.avi")
    return _kind(kind), Path(file)


def _camera(config: Config, source: str | None) -> CameraConfig:
    """The camera to attack. Raises ConfigError if none is configured, or if it is a recording."""
    from oneglance.cli.camera_source import camera_config
    from oneglance.daemon.camera.sources import is_recording
    from oneglance.errors import ConfigError

    if source is None and not config.camera:
        raise ConfigError(
            "no camera is configured", where="camera", fix="add a [[camera]], or give --camera 0"
        )
    chosen = config.camera[0] if source is None else camera_config(source, config.camera)
    if is_recording(chosen):
        raise typer.BadParameter("a film is given as --film KIND=FILE, e.g. --film print=me.avi")
    return chosen


def watch_films(trial: Trial, films: list[tuple[Kind, Path]], record: Record) -> None:
    """One attempt per film. Raises CameraError for one that cannot be read."""
    from rich.progress import track

    from oneglance.cli.attack_test.door import Eye, film_config

    configs = [(kind, film_config(file)) for kind, file in films]
    for kind, config in track(configs, "Watching", console=record.console, transient=True):
        with Eye(config) as eye:
            # A film ends by itself.
            record.add(eye.watch(trial, trial.pipeline(), kind, math.inf))


def guide(
    trial: Trial,
    camera: CameraConfig,
    kinds: list[Kind],
    attempts: int,
    seconds: float,
    record: Record,
) -> None:
    """Ask for `attempts` of each kind, and watch them. Raises CameraError."""
    from oneglance.cli.attack_test.door import Eye

    say = record.console
    with Eye(camera) as eye:
        eye.wait_ready()
        say.print("Nothing opens now. Ctrl-C stops; what was measured by then is kept.")
        for kind in kinds:
            name, request = _ASKED[kind]
            say.print(f"\n[bold]{name}[/]: {request}")
            for number in range(1, attempts + 1):
                pipeline = trial.pipeline()
                say.input(f"{number} of {attempts}: press Enter, then show it. ")
                record.add(eye.watch(trial, pipeline, kind, seconds))


def _show(body: dict[str, Any], path: Path, console: Console, *, as_json: bool) -> None:
    from rich.table import Table

    if as_json:
        typer.echo(json.dumps(body))
    else:
        table = Table("", "tried", "recognised", "errors", "rate", "95 %")
        for kind, figures in body["kinds"].items():
            rate, (low, high) = figures["rate"], figures["rate_95"]
            what = "BPCER" if kind == "visit" else "APCER"
            table.add_row(
                f"{kind} ({what})",
                *(str(figures[name]) for name in ("attempts", "recognised", "errors")),
                "-" if rate is None else f"{rate:.1%}",
                "" if rate is None else f"{low:.1%} to {high:.1%}",
            )
        Console(highlight=False).print(table)
    if not any(figures["recognised"] for figures in body["kinds"].values()):
        console.print("Nobody was recognised: are you enrolled, and was the picture good enough?")
    console.print(f"The report is in {path}")
