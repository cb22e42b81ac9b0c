"""The strict end of the impostor scores of many people, where millions of pairs leave a few.

Only the high scores of a set of people are kept; several sets can be pooled. Their rates are told
with a bootstrap over people, and by a generalised Pareto distribution fitted to what exceeds a
threshold (peaks over threshold: Pickands, Annals of Statistics 3, 1975; its parameters by weighted
moments: Hosking and Wallis, Technometrics 29, 1987).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.evaluation import metrics

Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

# The rates that are told, and how many false matches one must stand on.
STRICT_TARGETS = ("1e-6", "1e-7")
LEAST_MATCHES = 5
# The distribution is fitted to the scores above the one that this share of the pairs exceeds.
FITTED_ABOVE = 1e-4
DRAWS = 1000
_ROWS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """The impostor scores at or above `floor` of one set of people, of `pairs` in all.

    `scores` float32 (k,) with the two people of each, `first` and `second` int (k,); `pictures`
    int (people,) is how many faces everybody has.
    """

    scores: NDArray[np.float32]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    pictures: NDArray[np.intp]
    pairs: int
    floor: float


@dataclass(frozen=True, slots=True)
class Pareto:
    """P(score >= x) = rate * (1 + shape * (x - above) / scale) ** (-1 / shape), for x > above."""

    above: float
    rate: float
    shape: float
    scale: float

    def exceeding(self, threshold: float) -> float:
        """The share of pairs at or above `threshold`, which is not below `above`."""
        past = (threshold - self.above) / self.scale
        if abs(self.shape) < 1e-9:
            return self.rate * float(np.exp(-past))
        return self.rate * float(max(0.0, 1 + self.shape * past) ** (-1 / self.shape))

    def threshold(self, rate: float) -> float:
        """The score that the share `rate` of the pairs exceeds; `rate` at most its own."""
        less = rate / self.rate
        if abs(self.shape) < 1e-9:
            return self.above - self.scale * float(np.log(less))
        return self.above + self.scale / self.shape * float(less**-self.shape - 1)


class SamePeople:
    """Pairs of names behind each of which stands one person; they are kept as hashes only."""

    def __init__(self, hashes: Sequence[str] = ()) -> None:
        self._hashes = frozenset(hashes)

    @classmethod
    def read(cls, file: Path) -> SamePeople:
        """From a CSV with a column people_sha256, made by `hash_of`; ConfigError without one."""
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
        if any("people_sha256" not in row for row in rows):
            raise ConfigError("it has no column people_sha256", where=str(file))
        return cls([row["people_sha256"] for row in rows])

    @staticmethod
    def hash_of(one: str, other: str) -> str:
        """What stands for two names, in whichever order; the list that they come from is cut."""
        names = sorted(name.rpartition("/")[2] for name in (one, other))
        return hashlib.sha256("|".join(names).encode()).hexdigest()[:20]

    def __call__(self, one: str, other: str) -> bool:
        """Whether these two names are known to be one person's."""
        return bool(self._hashes) and self.hash_of(one, other) in self._hashes


def collect(
    templates: NDArray[np.float32],
    people: Sequence[str],
    compare: Compare,
    floor: float,
    same: SamePeople | None = None,
) -> Strangers:
    """Compare every two faces (n, d) of different `people` (n,), and keep what reaches `floor`.

    Pairs of two people who are the `same` under two names are left out. Only pairs that are kept
    are asked about: of the others there are too many for it to matter.
    """
    kinds, person = np.unique(np.asarray(people), return_inverse=True)
    pairs = 0
    scores, first, second = [], [], []
    for start in range(0, len(templates), _ROWS):
        found = compare(templates[start : start + _ROWS], templates[start:])
        own = person[start : start + _ROWS, np.newaxis]
        later = np.arange(found.shape[1]) > np.arange(len(found))[:, np.newaxis]
        later &= person[start:] != own
        pairs += int(later.sum())
        rows, columns = np.nonzero(later & (found >= floor))
        scores.append(found[rows, columns])
        first.append(person[start + rows])
        second.append(person[start + columns])
    one, other, high = np.concatenate(first), np.concatenate(second), np.concatenate(scores)
    both, inverse = np.unique(np.stack([one, other], axis=1), axis=0, return_inverse=True)
    known = SamePeople() if same is None else same
    told = np.array([known(str(kinds[a]), str(kinds[b])) for a, b in both], bool)
    strangers = ~told[inverse.ravel()] if len(both) else np.ones(0, bool)
    return Strangers(
        high[strangers],
        one[strangers],
        other[strangers],
        np.bincount(person),
        pairs - int((~strangers).sum()),
        floor,
    )


def fit_pareto(
    scores: NDArray[np.floating], weights: NDArray[np.floating], above: float, pairs: float
) -> Pareto:
    """The distribution of `scores` (k,) beyond `above`, each counted `weights` (k,) times."""
    beyond = scores > above
    order = np.argsort(scores[beyond])
    excess = scores[beyond][order].astype(np.float64) - above
    weight = weights[beyond][order].astype(np.float64)
    total = float(weight.sum())
    # The weighted moments E[X] and E[X (1 - F(X))], with F halfway through each step.
    higher = 1 - (np.cumsum(weight) - weight / 2) / total
    mean = float(weight @ excess) / total
    late = float(weight @ (excess * higher)) / total
    shape = 2 - mean / (mean - 2 * late)
    scale = 2 * mean * late / (mean - 2 * late)
    return Pareto(above, total / pairs, shape, scale)


def strict_rows(
    sets: Sequence[Strangers], genuine: NDArray[np.floating], *, draws: int = DRAWS
) -> dict[str, Any]:
    """Thresholds for STRICT_TARGETS on the pooled pairs of `sets`, as a manifest has them.

    A threshold is the higher of the one that just so many pairs exceed and the one that the fitted
    distribution tells; `fmr_95_people` covers what both say when people are drawn anew, `draws`
    times. `tar` is
    the share of `genuine` scores at or above it. A rate on which fewer than LEAST_MATCHES pairs
    stand is left out.
    """
    pairs = sum(one.pairs for one in sets)
    scores = np.concatenate([one.scores for one in sets])
    falling = np.sort(scores)[::-1]
    most = int(FITTED_ABOVE * pairs)
    targets = [target for target in STRICT_TARGETS if float(target) * pairs >= LEAST_MATCHES]
    if not targets or len(falling) <= most:
        return {}
    above = float(falling[most])
    fitted = fit_pareto(scores, np.ones(len(scores)), above, pairs)
    limits = [
        max(_counted(falling, float(target), pairs), fitted.threshold(float(target)))
        for target in targets
    ]
    limits = [float(np.float32(limit)) for limit in limits]
    counted, told = _drawn(sets, limits, above, draws)
    rows: dict[str, Any] = {}
    for at, (target, limit) in enumerate(zip(targets, limits, strict=True)):
        false_matches = int(np.sum(scores >= limit))
        matches = int(np.sum(genuine >= limit))
        low, high = np.percentile(np.stack([counted[:, at], told[:, at]]), [2.5, 97.5], axis=1)
        rows[target] = {
            "threshold": limit,
            "fmr": false_matches / pairs,
            "fmr_95": metrics.wilson(false_matches, pairs),
            "tar": matches / len(genuine),
            "tar_95": metrics.wilson(matches, len(genuine)),
            "fmr_95_people": (float(low.min()), float(high.max())),
            "impostor_pairs": pairs,
        }
    return rows


def highest_rate(sets: Sequence[Strangers], limit: float, *, draws: int = DRAWS) -> float:
    """The upper end of the rate at `limit` in the one of `sets` where it is highest.

    95 %: Wilson's or that of a bootstrap over people with so many `draws`, the higher one.
    """
    upper = []
    for one in sets:
        above = one.scores >= limit
        first, second = one.first[above], one.second[above]
        rates = [
            (times[first] * times[second]).sum() / pairs
            for times, pairs in _people_anew(one, draws)
        ]
        wilson = metrics.wilson(len(first), one.pairs)[1]
        upper.append(max(wilson, float(np.percentile(rates, 97.5))))
    return max(upper)


def _people_anew(one: Strangers, draws: int) -> Iterator[tuple[NDArray[np.intp], float]]:
    """Bootstrap: how often each person is drawn, and how many pairs that makes, draw by draw."""
    generator = np.random.default_rng(0)
    people = len(one.pictures)
    for _ in range(draws):
        times = np.bincount(generator.integers(0, people, people), minlength=people)
        faces = (times * one.pictures).astype(np.float64)
        yield times, float(faces.sum() ** 2 - (faces**2).sum()) / 2


def _counted(falling: NDArray[np.floating], rate: float, pairs: int) -> float:
    """Just above the first score that would be one match too many."""
    refused = np.float32(falling[int(rate * pairs)])
    return float(np.nextafter(refused, np.float32(np.inf)))


def _drawn(
    sets: Sequence[Strangers], limits: Sequence[float], above: float, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rates at `limits`, counted and by the fitted distribution, for people drawn anew.

    Two-way subsets bootstrap, each set by itself: Bolle, Ratha, Pankanti, CVIU 93(1), 2004.
    """
    generator = np.random.default_rng(0)
    scores = np.concatenate([one.scores for one in sets])
    kept = scores > above
    counted, told = np.empty((draws, len(limits))), np.empty((draws, len(limits)))
    for draw in range(draws):
        weights, pairs = [], 0.0
        for one in sets:
            people = len(one.pictures)
            times = np.bincount(generator.integers(0, people, people), minlength=people)
            faces = (times * one.pictures).astype(np.float64)
            pairs += (faces.sum() ** 2 - (faces**2).sum()) / 2
            weights.append((times[one.first] * times[one.second]).astype(np.float64))
        weight = np.concatenate(weights)[kept]
        fitted = fit_pareto(scores[kept], weight, above, pairs)
        for at, limit in enumerate(limits):
            counted[draw, at] = weight[scores[kept] >= limit].sum() / pairs
            told[draw, at] = fitted.exceeding(limit)
    return counted, told
