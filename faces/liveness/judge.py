"""Is it a living face? Texture of single pictures and motion over many, weighed together.

One `Liveness` serves all faces; what is remembered of each is in its `Trace`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.liveness import motion
from oneglance.faces.liveness.fusion import Fusion, Judgement, Verdict
from oneglance.faces.liveness.trace import Trace

# What was looked at longer ago says nothing about who stands there now.
STALE_S = 1.0


class Witness(Protocol):
    """Whoever can tell cues from one picture."""

    @property
    def cues(self) -> tuple[str, ...]:
        """Their names."""

    def witness(
        self, pixels: NDArray[np.uint8], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Their values, float64 (k,), for a BGR frame and the face's points (5, 2) in px of it."""


class Liveness:
    """A witness of single pictures, and the weights by which cues are put together."""

    def __init__(self, texture: Witness, fusion: Fusion) -> None:
        self._texture = texture
        self._fusion = fusion

    def look(
        self,
        trace: Trace,
        pixels: NDArray[np.uint8],
        points: NDArray[np.floating],
        at_s: float,
    ) -> None:
        """Measure every cue at a frame that `trace` has just seen, uint8 (H, W, 3) BGR.

        `points` (5, 2) are the face's in px; what was measured is kept in the trace.
        """
        told = self._texture.witness(pixels, np.asarray(points, np.float64))
        cues = dict(zip(self._texture.cues, told.tolist(), strict=True))
        trace.look({**cues, **motion.measure(trace.glances)}, at_s)

    def judge(self, trace: Trace, at_s: float) -> Judgement:
        """What the looks of a trace come to at `at_s`. Changes nothing.

        Without a look of just now there is nothing to judge: undecided.
        """
        if not trace.looks or not 0 <= at_s - trace.looked_at_s <= STALE_S:
            return Judgement(self._fusion.document.bias, Verdict.UNDECIDED, {})
        return self._fusion.weigh(gathered(trace.looks))


def gathered(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One value of each cue: its mean over the looks that measured it, NaN where none did.

    Of `blink`, which is over in a moment, the highest.
    """
    values: dict[str, list[float]] = {}
    for cues in looks:
        for name, value in cues.items():
            values.setdefault(name, [])
            if math.isfinite(value):
                values[name].append(value)
    return {
        name: (max(known) if name == "blink" else math.fsum(known) / len(known))
        if known
        else math.nan
        for name, known in values.items()
    }
