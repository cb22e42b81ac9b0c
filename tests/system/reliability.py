"""What was done to a door, how often, and what came of it: kept as JSON, shown as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- begin: make test-system -->", "<!-- end: make test-system -->"


@dataclass(slots=True)
class Row:
    """One kind of fault: how often it was made, seconds out of service each time it was over.

    `by_itself` is false where somebody had to restart a service; `lost` counts people and
    decisions, `wrong_openings` what the lock should not have opened for.
    """

    fault: str
    tried: int = 0
    outages_s: list[float] = field(default_factory=list)
    by_itself: bool = True
    lost: int = 0
    wrong_openings: int = 0


class Ledger:
    """All rows, in the order in which they were begun."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.openings = 0
        self.wrong_openings = 0
        # A stranger's way from nothing to a door: how many commands, and seconds.
        self.first_door: tuple[int, float] | None = None

    def row(self, fault: str) -> Row:
        """The row of this fault, begun if it is new."""
        return self.rows.setdefault(fault, Row(fault))

    def save(self, file: Path) -> None:
        """Write all as JSON."""
        file.parent.mkdir(exist_ok=True)
        rows = [asdict(row) for row in self.rows.values()]
        sums = {
            "openings": self.openings,
            "wrong_openings": self.wrong_openings,
            "first_door": self.first_door,
        }
        file.write_text(json.dumps({**sums, "rows": rows}, indent=1) + "\n")

    def table(self) -> str:
        """The rows in Markdown."""
        lines = [
            "| fault | tried | back by itself | median outage | longest | lost | wrong openings |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in self.rows.values():
            back = len(row.outages_s) if row.by_itself else 0
            outages_s = row.outages_s or [float("nan")]
            lines.append(
                f"| {row.fault} | {row.tried} | {back} | {median(outages_s):.1f} s |"
                f" {max(outages_s):.1f} s | {row.lost} | {row.wrong_openings} |"
            )
        wrong = self.wrong_openings
        said = f"Meanwhile the lock opened {self.openings} times, {wrong} of them wrongly."
        if self.first_door is not None:
            commands, seconds = self.first_door
            said += (
                f" From `git clone` to a door with TLS that had opened: {commands} commands,"
                f" {seconds:.0f} s, with packages from a folder instead of the net."
            )
        return "\n".join([*lines, "", said])


def write_table(ledger: Ledger, page: Path) -> None:
    """Put the table where the page has its marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{ledger.table()}\n{END}{after}", encoding="utf-8")
