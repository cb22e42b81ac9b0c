"""Learn a door from the templates of strangers who came through it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import OneglanceError
from oneglance.faces.calibration.door import Door, Spread, common_directions, settled

Templates = NDArray[np.float32]
Compare = Callable[[Templates, Templates], NDArray[np.float32]]

# With fewer, the common direction is mostly theirs rather than the door's (docs/calibration.md).
LEAST_STRANGERS = 20
CONFIDENCE = 0.95
_DRAWS = 400
# The line through what the draws tell at these, in standard deviations above the mean: about
# where the thresholds for a false match rate of 1e-2 and of 1e-5 lie.
_LOW, _HIGH = 2.5, 5.0


class TooFewStrangersError(OneglanceError):
    """There are too few strangers to say anything about a door."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A door, and what it rests on.

    `strangers` were used. `raw` is how their impostor scores lie before anything is taken out,
    `settled` after (a best guess, where `door.here` is the upper end).
    """

    door: Door
    strangers: int
    raw: Spread
    settled: Spread


def fit(
    strangers: Templates,
    compare: Compare,
    fitted: Spread,
    generator: np.random.Generator,
    directions: Templates | None = None,
) -> Fitted:
    """Learn about a door from templates float32 (n, d), each of a different person.

    `compare` is the model's, `fitted` how impostor scores lay where its thresholds were fitted.
    Scores are measured on strangers from whom the direction was not taken: each half serves the
    other. A bootstrap over them tells how certain the result is. With `directions` (k, d) those are
    taken out, and the strangers have no say in the choice.

    Raises TooFewStrangersError below LEAST_STRANGERS.
    """
    n = len(strangers)
    if n < LEAST_STRANGERS:
        raise TooFewStrangersError(
            f"too few strangers: {n}, and no door is known from fewer than {LEAST_STRANGERS}",
            fix="let more people pass, or give more pictures; each of another person",
        )
    if directions is None:
        order = generator.permutation(n)
        halves = order[: n // 2], order[n // 2 :]
        parts = [
            settled(strangers[others], common_directions(strangers[seen]))
            for seen, others in (halves, halves[::-1])
        ]
        directions = common_directions(strangers)
    else:
        parts = [settled(strangers, directions)]
    tables = [compare(left, left).astype(np.float64) for left in parts]
    means, sds = _drawn(tables, generator)
    low, high = (np.quantile(means + at * sds, CONFIDENCE) for at in (_LOW, _HIGH))
    sd = float((high - low) / (_HIGH - _LOW))
    here = Spread(float(low - _LOW * sd), sd)
    return Fitted(
        door=Door(directions, here, fitted),
        strangers=n,
        raw=_spread([compare(strangers, strangers).astype(np.float64)]),
        settled=_spread(tables),
    )


def _spread(tables: list[NDArray[np.float64]]) -> Spread:
    scores = np.concatenate([table[np.triu_indices(len(table), 1)] for table in tables])
    return Spread(float(scores.mean()), float(scores.std()))


def _drawn(
    tables: list[NDArray[np.float64]], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of the tables' scores in each of _DRAWS draws of their people."""
    pairs, sums, squares = (np.zeros(_DRAWS) for _ in range(3))
    for table in tables:
        n = len(table)
        # How often each was drawn; nobody is compared with themselves, however often drawn.
        drawn = generator.multinomial(n, np.full(n, 1 / n), _DRAWS).astype(np.float64)
        scores = table.copy()
        np.fill_diagonal(scores, 0.0)
        pairs += drawn.sum(1) ** 2 - (drawn**2).sum(1)
        sums += ((drawn @ scores) * drawn).sum(1)
        squares += ((drawn @ scores**2) * drawn).sum(1)
    means = sums / pairs
    return means, np.sqrt(np.maximum(squares / pairs - means**2, 0.0))
