"""`oneglance run`: the daemon."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from oneglance.cli.options import ConfigOption, JsonOption, config_is_there
from oneglance.config import CameraConfig, Config, MetricsConfig, load_config, parse_config
from oneglance.heap import share_heaps
from oneglance.signals import stop_on_signals

if TYPE_CHECKING:
    from oneglance.daemon.totals import Totals
    from oneglance.timing import StageRow

log = logging.getLogger(__name__)


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
    profile: Annotated[
        bool, typer.Option("--profile", help="At the end, say where the time went, by stage.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch the door: find faces, decide, publish signed decisions, until stopped.

    With a configuration it is the service that `oneglance init` prepared:

        oneglance run --config /etc/oneglance/oneglance.toml

    Without one, `--source` makes a dry run: it finds, follows and encodes faces, recognises
    nobody, publishes nothing, and measures how fast this machine is:

        oneglance run --source visit.mp4 --pace every

    SIGHUP (`systemctl reload oneglance`) makes it read its configuration anew and take it over once
    nobody is at the door; one that is not valid is refused, and the log says so.

    At the end of a file it stops by itself and prints what it has done. `--profile` adds what each
    stage of the loop took; `oneglance top` shows the same of a running service.
    """
    share_heaps()
    from oneglance.daemon.app import Daemon
    from oneglance.daemon.pipeline import STAGES
    from oneglance.daemon.renewal import Renewal
    from oneglance.daemon.visit.report import StepReport
    from oneglance.timing import StageTimes

    console = Console(stderr=True, highlight=False)
    dry = bool(source) and config is None and not config_is_there()

    def read() -> Config:
        settings = Config() if dry else load_config(config)
        settings = _with_cameras(settings, source or [], pace)
        if no_mqtt and settings.metrics.port is not None:
            # It runs beside the service, which has the port.
            log.warning("no metrics are served with --no-mqtt")
            settings = settings.model_copy(update={"metrics": MetricsConfig()})
        return settings

    settings = read()
    if dry:
        console.print("dry run, no configuration: nobody is recognised, nothing is published")
    times = StageTimes(STAGES) if profile else None
    with console.status("starting") as status:

        def show(report: StepReport) -> None:
            if report.frame.index % 10 == 0:
                faces = len(report.tracks)
                status.update(f"{report.frame.camera}: frame {report.frame.index}, {faces} faces")

        def build(settings: Config) -> Daemon:
            return Daemon(
                settings, mqtt=not (dry or no_mqtt), gallery=not dry, on_step=show, times=times
            )

        renewal = Renewal(settings, build, read)
        # A terminal that is closed sends the same signal, and means the end.
        service = not dry and not sys.stdin.isatty()
        # What was done is told after any stop: a signal that comes twice must not prevent it.
        with stop_on_signals(renewal.stop, reload=renewal.reload if service else None):
            totals = renewal.run()
            status.stop()
            _tell(totals, None if times is None else times.rows(), as_json)


def _tell(totals: Totals, rows: list[StageRow] | None, as_json: bool) -> None:
    """Print what was done and, if there are `rows`, where the time went."""
    if as_json:
        from dataclasses import asdict

        answer = asdict(totals) | {"decisions": totals.decisions}
        if rows is not None:
            answer["stages"] = [asdict(row) for row in rows]
        typer.echo(json.dumps(answer))
        return
    for line in (
        f"frames          {totals.frames} ({totals.dropped} dropped, {totals.stale} stale)",
        f"faces           {totals.faces} in {totals.tracks} tracks",
        f"encoder calls   {totals.encoder_calls} for {totals.faces_encoded} faces",
        f"decisions       {totals.decisions} ({totals.accepted} accepted, "
        f"{totals.rejected} rejected{_reasons(totals.rejected_for)})",
        f"speed           {totals.fps:g} frames per second over {totals.seconds:.1f} s",
    ):
        typer.echo(line)
    if rows is not None:
        _print_stages(rows, totals.seconds)


def _reasons(rejected_for: dict[str, int]) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(rejected_for.items()))
    return f": {told}" if told else ""


def _print_stages(rows: list[StageRow], seconds: float) -> None:
    typer.echo(
        f"\n{'stage':<10}{'calls':>8}{'total s':>10}{'p50 ms':>10}{'p95 ms':>10}{'share':>8}"
    )
    for row in rows:
        typer.echo(
            f"{row.stage:<10}{row.calls:>8}{row.total_s:>10.2f}{row.p50_ms:>10.2f}"
            f"{row.p95_ms:>10.2f}{row.share:>8.0%}"
        )
    busy_s = sum(row.total_s for row in rows)
    part = busy_s / seconds if seconds else 0.0
    typer.echo(f"all stages{busy_s:>18.2f} s, {part:.0%} of the run")


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
