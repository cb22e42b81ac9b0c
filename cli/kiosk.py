"""`oneglance kiosk`: the screen at the door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneglance.cli.hidden import ask_hidden
from oneglance.cli.options import ConfigOption


def _size_px(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, e.g. 800x480")
    size_px = int(width), int(height)
    if min(size_px) < 200 or max(size_px) > 8192:
        raise typer.BadParameter("a window measures from 200 to 8192 pixels")
    return size_px


app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode="markdown")


@app.callback()
def kiosk(
    context: typer.Context,
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
    if context.invoked_subcommand is not None:
        return
    size_px = _size_px(size)
    from oneglance.config import load_config

    settings = load_config(config, "kiosk.toml")
    if windowed:
        screen = settings.kiosk.model_copy(update={"fullscreen": False})
        settings = settings.model_copy(update={"kiosk": screen})
    from oneglance.kiosk_ui.stage import open_stage

    # What listens takes as long again to load: the door says meanwhile that it wakes up.
    stage = open_stage(settings, size_px)
    from oneglance.kiosk_ui.app import KioskApp

    KioskApp(settings).run(stage)


@app.command("set-pin")
def set_pin(
    key: Annotated[
        Path,
        typer.Option(help="The private key of an administrator, ID.key, made for this screen."),
    ],
    user: Annotated[
        str | None,
        typer.Option(help="Who the administrator is to the broker.", show_default=False),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(help="The file with that user's password.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Seal an administrator's key under a new PIN, which opens the administration at this screen.

    It replaces what was sealed before and clears the count of wrong PINs: this is what to do, on
    this machine, when the PIN is forgotten. Asks for the PIN twice. Delete ID.key afterwards.

    Example: `oneglance kiosk set-pin --key hall-admin.key --user oneglance-admin
    --password-file admin.password`
    """
    from oneglance.config import load_config
    from oneglance.errors import ConfigError
    from oneglance.key_files import load_private_key
    from oneglance.kiosk_ui import admin_secret
    from oneglance.secret_file import read_password

    settings = load_config(config, "kiosk.toml")
    file = settings.kiosk.admin_file
    if file is None:
        raise ConfigError(
            "it says nowhere to keep the sealed key",
            where="kiosk.admin_file",
            fix='set it, e.g. to "/var/lib/oneglance-kiosk/admin"',
        )
    private = load_private_key(
        key, "administrator's key", "make one: oneglance keys make administrator --id hall-admin"
    )
    password = read_password(password_file, "MQTT password") if password_file else None
    pin = ask_hidden("New PIN", again=True)
    sealed = admin_secret.sealed(admin_secret.AdminKey(key.stem, private, user, password), pin)
    admin_secret.write(file, sealed)
    attempts = file.with_name(f"{file.name}.attempts")
    attempts.unlink(missing_ok=True)
    typer.echo(f"{file}: the PIN counts from the next time it is entered.")
    typer.echo(f"Delete {key} now: it works without the PIN.")
