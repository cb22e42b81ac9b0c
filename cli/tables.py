"""Tables as wide as what is in them, where a cell that was cut or folded would be of no use."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_WIDEST = 10_000


def print_whole(table: Table, *, also_in_a_terminal: bool = True) -> None:
    """Print it with a line for each row, however long.

    Without `also_in_a_terminal`, a terminal gets it folded to its width, and only who reads it by
    a pipe gets it whole.
    """
    console = Console()
    if console.is_terminal and not also_in_a_terminal:
        console.print(table)
        return
    whole = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    Console(width=max(whole, console.width)).print(table)
