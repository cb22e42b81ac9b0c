"""`oneglance run`: the daemon."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer
from rich.console import Console

from oneglance.cli.options import ConfigOption, JsonOption, default_config_is_there
from oneglance.config import CameraConfig, Config, load_config, parse_config


def run(
    config: ConfigOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help="A camera (0, /dev/video0), an RTSP or HTTP URL, a video file or a folder of "
            "pictures, instead of the configured cameras. May be given several times.",
            show_default=False,
        ),
    ] = None,
    pace: Annotated[
        Literal["real", "every"] | None,
        typer.Option(
            help="For files: play at their own speed and drop what is late, or take every frame.",
            show_default=False,
        ),
    ] = None,
    no_mqtt: Annotated[
        bool, typer.Option("--no-mqtt", help="Publish nothing; only count and log.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch the door: find faces, decide, publish signed decisions, until stopped.

    With a configuration it is the service that `oneglance init` prepared:

        oneglance run --config /etc/oneglance/oneglance.toml

    Without one, `--source` makes a dry run: it finds, follows and encodes faces, recognises
    nobody, publishes nothing, and says how fast this machine is:

        oneglance run --source visit.mp4 --pace every

    At the end of a file it stops by itself and prints what it has done.
    """
    from oneglance.daemon.app import Daemon
    from oneglance.daemon.pipeline import StepReport

    console = Console(stderr=True, highlight=False)
    dry = bool(source) and config is None and not default_config_is_there()
    settings = Config() if dry else load_config(config)
    settings = _with_cameras(settings, source or [], pace)
    if dry:
        console.print("dry run, no configuration: nobody is recognised, nothing is published")
    with console.status("starting") as status:

        def show(report: StepReport) -> None:
            if report.frame.index % 10 == 0:
                faces = len(report.tracks)
                status.update(f"{report.frame.camera}: frame {report.frame.index}, {faces} faces")

        totals = Daemon(settings, mqtt=not (dry or no_mqtt), gallery=not dry, on_step=show).run()
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(totals) | {"decisions": totals.decisions}))
        return
    for line in (
        f"frames          {totals.frames} ({totals.dropped} dropped, {totals.stale} stale)",
        f"faces           {totals.faces} in {totals.tracks} tracks",
        f"encoder calls   {totals.encoder_calls} for {totals.faces_encoded} faces",
        f"decisions       {totals.decisions} ({totals.accepted} accepted, "
        f"{totals.rejected} rejected)",
        f"speed           {totals.fps:g} frames per second over {totals.seconds:.1f} s",
    ):
        typer.echo(line)


def _with_cameras(
    settings: Config, sources: list[str], pace: Literal["real", "every"] | None
) -> Config:
    """The configuration with these sources instead of its cameras, and this pace."""
    cameras: list[CameraConfig] = list(settings.camera)
    if sources:
        names = ["camera" if i == 1 else f"camera-{i}" for i in range(1, len(sources) + 1)]
        data = [{"name": n, "source": s} for n, s in zip(names, sources, strict=True)]
        cameras = list(parse_config({"camera": data}, "--source").camera)
    if pace is not None:
        cameras = [camera.model_copy(update={"pace": pace}) for camera in cameras]
    return settings.model_copy(update={"camera": tuple(cameras)})
