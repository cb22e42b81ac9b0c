"""What the doctor found, and how findings are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console

from oneglance.errors import OneglanceError


class Verdict(StrEnum):
    """The state of one thing. Only BROKEN makes the doctor fail."""

    GOOD = "good"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined: which part needs it, its state, and what to do.

    `error` is the kind of the error that broke it.
    """

    part: str
    what: str
    verdict: Verdict
    detail: str = ""
    fix: str = ""
    error: str = ""


def checked(part: str, what: str, look: Callable[[], str]) -> Iterator[Finding]:
    """Run one check; whatever it raises becomes a finding."""
    try:
        yield Finding(part, what, Verdict.GOOD, look())
    except OneglanceError as error:
        yield Finding(part, what, Verdict.BROKEN, str(error), error.fix, type(error).__name__)
    except ImportError as error:
        yield Finding(
            part, what, Verdict.MISSING, f"needs {error.name}", f"pip install 'oneglance[{part}]'"
        )


def show(findings: list[Finding]) -> None:
    """Print them, part by part."""
    console = Console(highlight=False)
    marks = {
        Verdict.GOOD: "[green]✓[/]",
        Verdict.MISSING: "[yellow]-[/]",
        Verdict.BROKEN: "[bold red]✗[/]",
    }
    parts = list(dict.fromkeys(finding.part for finding in findings))
    part = ""
    for finding in sorted(findings, key=lambda f: parts.index(f.part)):
        if finding.part != part:
            part = finding.part
            console.print(f"[bold]{part}[/]")
        console.print(f"  {marks[finding.verdict]} {finding.what:24}", end="")
        console.print(finding.detail, markup=False, soft_wrap=True)
        if finding.fix and finding.verdict is Verdict.MISSING:
            console.print(f"      → {finding.fix}", markup=False, soft_wrap=True)
