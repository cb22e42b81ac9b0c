"""How long the stages of a loop take: timed one by one, collected in bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

# Called with the name of a stage and the wall time in seconds that it took, in the same thread.
OnStage = Callable[[str, float], None]

# A bin is 9 % wide: a median read from it is off by at most half of that. From 1 us to 2 minutes.
BINS_PER_OCTAVE = 8
FIRST_BIN_S = 1e-6
BINS = 27 * BINS_PER_OCTAVE


@contextmanager
def stage(name: str, on_stage: OnStage | None) -> Iterator[None]:
    """Time the block, and tell `on_stage`, unless the block raises."""
    if on_stage is None:
        yield
        return
    start_s = time.perf_counter()
    yield
    on_stage(name, time.perf_counter() - start_s)


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage over a run. `share` is its part of the time of all stages, 0..1."""

    stage: str
    calls: int
    total_s: float
    p50_ms: float
    p95_ms: float
    share: float


@dataclass(slots=True)
class StageTime:
    """One stage: its calls by how long they took, in bins that grow geometrically."""

    total_s: float = 0.0
    bins: list[int] = field(default_factory=lambda: [0] * BINS)

    @property
    def calls(self) -> int:
        """How often it ran."""
        return sum(self.bins)

    def add(self, seconds: float) -> None:
        """Count one call."""
        self.total_s += seconds
        place = math.floor(math.log2(max(seconds, FIRST_BIN_S) / FIRST_BIN_S) * BINS_PER_OCTAVE)
        self.bins[min(place, BINS - 1)] += 1

    def quantile_s(self, part: float) -> float:
        """The time that this part (0..1) of the calls did not exceed, within 5 %; 0 if none ran."""
        wanted, seen = part * self.calls, 0
        for place, count in enumerate(self.bins):
            seen += count
            if count and seen >= wanted:
                return float(FIRST_BIN_S * 2.0 ** ((place + 0.5) / BINS_PER_OCTAVE))
        return 0.0


class StageTimes:
    """All stages of a run, those named first in that order, others as they come.

    `add` is an OnStage, called in one thread; others may read meanwhile.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self._stages = {name: StageTime() for name in stages}

    def add(self, name: str, seconds: float) -> None:
        """Count one call of a stage."""
        if name not in self._stages:
            # A new mapping, as another thread may be going through the old one.
            self._stages = self._stages | {name: StageTime()}
        self._stages[name].add(seconds)

    @property
    def stages(self) -> dict[str, StageTime]:
        """Each stage by name."""
        return dict(self._stages)

    def rows(self) -> list[StageRow]:
        """The table of `oneglance run --profile`: the stages that ran at all."""
        whole_s = sum(took.total_s for took in self._stages.values())
        return [
            StageRow(
                name,
                took.calls,
                round(took.total_s, 4),
                round(1e3 * took.quantile_s(0.5), 3),
                round(1e3 * took.quantile_s(0.95), 3),
                round(took.total_s / whole_s, 4) if whole_s else 0.0,
            )
            for name, took in self._stages.items()
            if took.calls
        ]
