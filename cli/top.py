"""`oneglance top`: what the running daemon's loop does, live."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.cli.top_view import Reading, View

TIMEOUT_S = 3.0
# Far more than a daemon with many cameras says.
MAX_BYTES = 1_000_000


def top(
    config_file: ConfigOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="The daemon's [metrics] port; that of the configuration unless given.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between two looks.")
    ] = 1.0,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after that many looks.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on standard output.")
    ] = False,
) -> None:
    """Show the frames of each camera and the time of each stage, until Ctrl-C.

    Reads the metrics of a daemon on this machine, whose configuration names a port for them:

        [metrics]
        port = 9464

    "of a core" is the share of the time that the loop spends in a stage; when the stages together
    come near 100 %, frames are dropped.

    Example: `oneglance top --json --count 1` tells a script how the door is doing.
    """
    chosen = port or _configured_port(config_file)
    views = _views(chosen, interval, count)
    title = f"oneglance, port {chosen}"
    try:
        if as_json:
            for view in views:
                typer.echo(json.dumps(asdict(view)))
            return
        _show(views, title)
    except KeyboardInterrupt:
        return


def _show(views: Iterator[View], title: str) -> None:
    from rich.live import Live

    from oneglance.cli.top_view import render

    console = Console(highlight=False)
    if not console.is_terminal:
        for view in views:
            console.print(render(view, title))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for view in views:
            live.update(render(view, title), refresh=True)


def _configured_port(config_file: ConfigOption) -> int:
    from oneglance.config import load_config
    from oneglance.errors import ConfigError

    port = load_config(config_file).metrics.port
    if port is None:
        raise ConfigError(
            "the daemon serves no metrics",
            where="metrics.port",
            fix="add 'port = 9464' under [metrics], and start the daemon again",
        )
    return port


def _views(port: int, interval_s: float, count: int | None) -> Iterator[View]:
    from oneglance.cli.top_view import view_of

    before, shown = _read(port), 0
    while count is None or shown < count:
        time.sleep(interval_s)
        now = _read(port)
        yield view_of(before, now)
        before, shown = now, shown + 1


def _read(port: int) -> Reading:
    """Ask once. Raises OneglanceError if nothing answers, or something that is not oneglance."""
    from prometheus_client.parser import text_string_to_metric_families

    from oneglance.cli.top_view import Reading
    from oneglance.errors import OneglanceError

    url = f"http://127.0.0.1:{port}/metrics"
    try:
        # A proxy has no business between two programs of one machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            text = answer.read(MAX_BYTES).decode()
        at_s = time.monotonic()
        samples: dict[tuple[str, str], float] = {}
        buckets: dict[str, dict[float, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = dict(sample.labels)
                bound = labels.pop("le", None)
                label = next(iter(labels.values()), "")
                if bound is None:
                    samples[sample.name, label] = sample.value
                elif sample.name == "oneglance_stage_seconds_bucket":
                    buckets.setdefault(label, {})[float(bound)] = sample.value
    except (OSError, http.client.HTTPException) as error:
        raise OneglanceError(
            f"the daemon does not answer: {getattr(error, 'reason', error)}",
            where=url,
            fix="is it running, and is this the port of its [metrics]?",
        ) from None
    except ValueError as error:
        raise OneglanceError(f"not the metrics of a daemon: {error}", where=url) from None
    if not any(name.startswith("oneglance_") for name, _ in samples):
        raise OneglanceError(
            "another program answers there", where=url, fix="is this the port of its [metrics]?"
        )
    return Reading(at_s, samples, buckets)
