"""Ask for a secret without showing it."""

from __future__ import annotations

import sys

import typer


def ask_hidden(text: str, *, again: bool | str = False) -> str:
    """What is typed at the terminal; where standard input is none, its next line.

    `again` asks twice, in these words if it is text. Raises typer.Abort if nothing comes, and
    typer.BadParameter if a second line is another than the first.
    """
    # None where it was closed.
    if sys.stdin is not None and sys.stdin.isatty():
        typed: str = typer.prompt(text, hide_input=True, confirmation_prompt=again, err=True)
        return typed
    line, repeated = _line(), _line() if again else None
    if repeated not in (None, line):
        raise typer.BadParameter(f"{text}: the two lines are not the same")
    return line


def _line() -> str:
    line = "" if sys.stdin is None else sys.stdin.readline().removesuffix("\n")
    if not line:
        raise typer.Abort
    return line
