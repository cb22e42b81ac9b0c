"""`oneglance reader`: the badge reader's service."""

from __future__ import annotations

from typing import Annotated

import typer

from oneglance.cli.options import ConfigOption


def reader(
    config_file: ConfigOption = None,
    learn: Annotated[
        bool,
        typer.Option("--learn", help="Print the number of the next badge, and end; say nothing."),
    ] = False,
) -> None:
    """Read badges and claim to be their owners: the daemon then looks for that person alone.

    The reader types the number like a keyboard (`[reader] kind = "wedge"`), or sends it over two
    wires to GPIO pins (`"wiegand"`, 26 or 34 bits). Its claims are signed with `reader.key`, which
    `oneglance keys make reader` makes.

    Example: `oneglance reader --learn -c reader.toml` shows what to write in
    `oneglance people badge ada-lovelace NUMBER`.
    """
    from oneglance.config import load_config
    from oneglance.door.reader.app import ReaderApp, open_source
    from oneglance.signals import stop_on_signals

    config = load_config(config_file, "reader.toml")
    source = open_source(config.reader)
    if learn:
        typer.echo("Show the badge.", err=True)
        try:
            while (number := source.read(1.0)) is None:
                pass
        finally:
            source.close()
        typer.echo(number)
        return
    try:
        app = ReaderApp(config, source)
    except BaseException:
        source.close()
        raise
    with stop_on_signals(app.stop):
        app.run()
