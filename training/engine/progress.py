"""Progress of long work: a stage has a name and a number of steps, and is told of each one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

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
    """Stages with the time left, on `console`: bars on a terminal, a line per minute in a file."""
    return _bars_on(console) if console.is_terminal else lines_on(console, time.monotonic)


def lines_on(console: Console, clock: Callable[[], float], every_s: float = 60.0) -> Stage:
    """Stages as lines, at most one every `every_s` except for the last."""

    @contextmanager
    def stage(name: str, steps: int) -> Iterator[Advance]:
        began = told = clock()
        done = 0

        def tell(text: str) -> None:
            console.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)

        def advance(now: str) -> None:
            nonlocal done, told
            done += 1
            at = clock()
            if at - told >= every_s and done < steps:
                told = at
                left = (at - began) / done * (steps - done)
                tell(f"{done} of {steps}, {_hours(left)} left{f', {now}' if now else ''}")

        yield advance
        tell(f"{done} of {steps} in {_hours(clock() - began)}")

    return stage


def _hours(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _bars_on(console: Console) -> Stage:
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
