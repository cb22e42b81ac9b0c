"""When to stop training, and which epoch was the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Watch one `figure` of the log; the first epoch of several that are equally good is the best.

    Training stops after `patience` epochs in a row without improvement; with None it runs to the
    end, and the best epoch's weights are still the ones kept. NaN is never the best.
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
