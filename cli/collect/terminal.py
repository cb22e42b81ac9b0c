"""Collecting without a window: the same steps, printed in the terminal."""

from __future__ import annotations

import typer

from oneglance.cli.collect.camera import Session, View


def run_in_terminal(session: Session) -> None:
    """Guide the person in words, one line whenever there is something new to say."""
    said = ("", "")

    def show(view: View) -> None:
        nonlocal said
        if view.text != said[0]:
            typer.echo(view.text, err=True)
        if view.kept:
            typer.echo(f"  {view.taken} of {view.total}", err=True)
        elif view.advice != said[1]:
            typer.echo(f"  {view.advice}", err=True)
        said = view.text, view.advice

    session.run(show)
