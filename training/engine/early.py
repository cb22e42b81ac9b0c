"""When a training has gone on for long enough, and which of its epochs was the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Watch one `figure` of the log; the first epoch of several that are equally good is the best.

    Training stops when `patience` epochs in a row brought nothing better; None: it never does, but
    the best epoch's weights are still what remains. A figure that is no number is never the best.
    """

    figure: str
    patience: int | None
    larger_is_better: bool

    def best(self, log: Sequence[dict[str, Any]]) -> int | None:
        """The row of the best epoch; None if there is none yet."""
        sign = 1.0 if self.larger_is_better else -1.0
        worth = [sign * float(row[self.figure]) for row in log]
        known = [row for row, value in enumerate(worth) if value == value]
        return max(known, key=lambda row: (worth[row], -row), default=None)

    def enough(self, log: Sequence[dict[str, Any]]) -> bool:
        """Whether the epochs since the best one are as many as the patience allows."""
        best = self.best(log)
        if self.patience is None or not log:
            return False
        return len(log) - 1 - (-1 if best is None else best) >= self.patience
