"""`oneglance kiosk`: the screen at the door."""

from __future__ import annotations

from typing import Annotated

import typer

from oneglance.cli.options import ConfigOption


def _size_px(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, e.g. 800x480")
    size_px = int(width), int(height)
    if min(size_px) < 200 or max(size_px) > 8192:
        raise typer.BadParameter("a window measures from 200 to 8192 pixels")
    return size_px


def kiosk(
    config: ConfigOption = None,
    windowed: Annotated[
        bool, typer.Option("--windowed", help="In a window, even if the configuration says full.")
    ] = False,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the window in pixels, if not full screen.")
    ] = "800x480",
) -> None:
    """Show what the door sees and decides, on the screen beside it.

    Needs a display and the daemon's *public* key (`kiosk.public_key_file`): a name is shown only
    for a signed, fresh decision of this very door. Ends on Ctrl-C or SIGTERM.

    Try it: `oneglance kiosk --windowed --size 1280x720`
    """
    size_px = _size_px(size)
    from oneglance.config import load_config
    from oneglance.kiosk_ui.app import KioskApp

    settings = load_config(config, "kiosk.toml")
    if windowed:
        screen = settings.kiosk.model_copy(update={"fullscreen": False})
        settings = settings.model_copy(update={"kiosk": screen})
    KioskApp(settings).run(size_px)
