"""How long work says how far it is: a stage has a name, a number of steps, and hears of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[str], None]
Stage = Callable[[str, int], AbstractContextManager[Advance]]


def shown_on(console: Console) -> Stage:
    """Stages as bars with the time left on `console`."""

    @contextmanager
    def stage(name: str, steps: int) -> Iterator[Advance]:
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}", markup=False),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(name, total=steps, now="")
            yield lambda now: progress.update(task, advance=1, now=now)

    return stage


@contextmanager
def silent(name: str, steps: int) -> Iterator[Advance]:
    """A stage that shows nothing."""
    yield lambda now: None
