"""The one command `oneglance`: each subcommand is a module here, imported only when called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oneglance.errors import MissingPartError, OneglanceError, os_fix
from oneglance.journal import JournalHandler, goes_to_journal

STDERR = 2
# As `oneglance --help` shows them, in the order in which a new owner meets them: the module of
# each, whose function has its name.
GROUPS = {
    "Try it, and set up a door": {
        "demo": "demo.command",
        "doctor": "doctor",
        "init": "init",
        "setup": "setup.command",
        "config": "config",
        "keys": "keys",
        "camera": "camera",
        "people": "people.command",
    },
    "Services, which run until they are stopped": {
        "run": "run",
        "kiosk": "kiosk",
        "door": "door",
        "reader": "reader",
        "assistant": "assistant",
    },
    "Look after a door": {
        "calibrate": "calibrate.command",
        "attack-test": "attack_test.command",
        "top": "top",
        "watch": "watch",
        "command": "command",
        "home-assistant": "home_assistant",
        "audit": "audit",
        "support-bundle": "support_bundle",
        "backup": "backup.command",
        "restore": "backup.restore",
    },
    "Train and measure models": {
        "predict": "predict",
        "evaluate": "evaluate.command",
        "collect": "collect.command",
        "data": "data",
        "train": "train",
        "convert": "convert",
        "model": "model",
    },
}
COMMANDS = {name: module for group in GROUPS.values() for name, module in group.items()}
_GROUP_OF = {name: title for title, group in GROUPS.items() for name in group}

# What a command is a part of: the extra to name where something is missing, if that brings it.
EXTRA_OF = {
    "demo": "demo",
    "camera": "daemon",
    "setup": "daemon",
    "config": "daemon",
    "people": "daemon",
    "run": "daemon",
    "calibrate": "daemon",
    "top": "daemon",
    "kiosk": "kiosk",
    "door": "door",
    "reader": "door",
    "watch": "daemon",
    "command": "daemon",
    "home-assistant": "daemon",
    "assistant": "door",
    "audit": "daemon",
    "backup": "daemon",
    "restore": "daemon",
    "attack-test": "daemon",
    "collect": "daemon",
    "train": "training",
    "convert": "training",
}


class LazyGroup(TyperGroup):
    """A command group whose commands are modules, found by name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command's module and build it; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"oneglance.cli.{COMMANDS[cmd_name]}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(rich_markup_mode="markdown", add_completion=False)
            app.command(name=cmd_name)(getattr(module, cmd_name.replace("-", "_")))
        command: Any = typer.main.get_command(app)
        command.name = cmd_name
        command.rich_help_panel = _GROUP_OF[cmd_name]
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Let "did you mean" choose from all names, including commands that are not loaded yet."""
        if args and args[0] not in COMMANDS:
            names: dict[str, Any] = dict.fromkeys(COMMANDS)
            self.commands = names
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from oneglance import __version__

        typer.echo(f"oneglance {__version__}")
        raise typer.Exit


@app.callback()
def oneglance(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says all.")
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Face verification for a real door.

    Try it: `oneglance demo`. Set it up: `oneglance init`, `oneglance people enrol`,
    then `oneglance run`. Something missing? `oneglance doctor`.

    Unless `--config` names one, commands take the configuration that `$ONEGLANCE_CONFIG` names,
    that of the current folder, or that in `/etc/oneglance`.

    Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 65 picture, 66 camera, 67 gallery, 69
    broker, 70 a part is not installed, 72 model, 73 a file of the service, 74 audit log, 76
    message, 77 the audit log was tampered with, 78 configuration; 130 Ctrl-C, 143 SIGTERM, 141
    nobody reads the output.
    """
    set_up_logging(verbose)


def set_up_logging(verbose: int) -> None:
    """Log to stderr; a service's lines go to the journal, with searchable fields."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler: logging.Handler = logging.StreamHandler()
    line = "%(levelname)s %(name)s: %(message)s"
    if goes_to_journal(os.environ, STDERR):
        level = min(level, logging.INFO)
        handler.setFormatter(logging.Formatter(line))
        handler = JournalHandler(handler)
        line = "%(message)s"
    else:
        line = f"%(asctime)s {line}"
    logging.basicConfig(level=level, format=line, handlers=[handler])


def run(stopped: Callable[[], bool]) -> None:
    """Run the command; an error becomes one clear line and its own exit code.

    Errors after `stopped` turned true are a consequence of stopping, and are not shown.
    """
    try:
        app()
    except OneglanceError as error:
        if stopped():
            raise
        fail(error)
    except PermissionError as error:
        # Wherever this user may not even look.
        if stopped() or error.filename is None:
            raise
        what = error.strerror or "may not be looked at"
        fail(OneglanceError(what, where=os.fsdecode(error.filename), fix=os_fix(error)))
    except ModuleNotFoundError as error:
        from oneglance.cli.extras import extra_for

        command = next((word for word in sys.argv[1:] if word in COMMANDS), "")
        extra = extra_for(error.name or "", EXTRA_OF.get(command, ""))
        if extra is None or stopped():
            raise
        fail(
            MissingPartError(
                f"this needs the Python package {error.name!r}, which is not installed",
                fix=f"pip install 'oneglance[{extra}]', or see 'oneglance doctor'",
            )
        )


def fail(error: OneglanceError) -> None:
    """Print the error on stderr and exit with its code."""
    # Here, as no other command's start needs to wait for it.
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(str(error), markup=False)
    sys.exit(error.exit_code)
