"""How long each variant of a model takes for one face on this very machine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from oneglance.faces.find.boxes import Box
from oneglance.faces.model.choice import Timing
from oneglance.faces.model.face_model import FaceModel

ROUNDS = 40
# A picture of a camera with 30 a second: so one look is over before the next can begin.
MOST_MS = 33.0
_WARM_UP = 3
# By less than this a variant is not faster: two runs of one and the same differ by as much.
_CLEARLY_FASTER = 0.97


def measure(
    models: Mapping[str, FaceModel], clock_s: Callable[[], float], rounds: int = ROUNDS
) -> dict[str, Timing]:
    """Time one face (cut out and encoded, batch 1) with every model, in turn, `rounds` times.

    In turn, so that what else the machine does strikes all alike. `clock_s` is monotonic.
    """
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    box = Box(240, 160, 160, 160)
    taken_s: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(_WARM_UP + rounds):
        for name, model in models.items():
            start_s = clock_s()
            model.encode(model.chips(frame, [box]))
            spent_s = clock_s() - start_s
            if turn >= _WARM_UP:
                taken_s[name].append(spent_s)
    return {
        name: Timing(
            min_ms=round(min(times) * 1e3, 4),
            median_ms=round(statistics.median(times) * 1e3, 4),
            rounds=rounds,
        )
        for name, times in taken_s.items()
    }


def largest_bearable(timed: Sequence[tuple[str, float]]) -> str | None:
    """The last of some models, from small to large with their ms, that is fast enough for a door.

    The first where none is: a slow model decides late, but it decides. None of none.
    """
    bearable = [name for name, took_ms in timed if took_ms <= MOST_MS]
    if bearable:
        return bearable[-1]
    return timed[0][0] if timed else None


def fastest(timings: Mapping[str, Timing], among: Collection[str], default: str) -> str:
    """The variant with the least time, by the minimum: all else adds to it, nothing takes away.

    The default stays unless another of `among` is faster by more than 3 %.
    """
    best = min(among, key=lambda name: timings[name].min_ms)
    clearly = timings[best].min_ms < timings[default].min_ms * _CLEARLY_FASTER
    return best if clearly else default
