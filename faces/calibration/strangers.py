"""Strangers among kept templates, each once; people who are enrolled are left out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.calibration.door import Spread, common_directions, settled
from oneglance.faces.calibration.fit import LEAST_STRANGERS

Templates = NDArray[np.float32]
Scores = NDArray[np.float32]
Compare = Callable[[Templates, Templates], Scores]

# How far above the middle of impostor scores, in standard deviations, somebody counts as enrolled,
# or as having come before: about one comparison of strangers in 1,000, and one in 10,000.
_ENROLLED, _AGAIN = 3.5, 4.3
# So strict in a gallery of so many templates; each tenfold has ten times the chances.
_IN_A_GALLERY_OF, _FOR_TEN_TIMES = 30, 0.8
# The middle half of scores tells what is usual among strangers, unless some came often: then the
# lowest scores do, as these are of two people.
_MIDDLE, _LOWEST = (0.25, 0.75), (0.1, 0.25)
_ROUNDS = 6
_LEAST_TO_JUDGE_BY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """Templates (n, d) of strangers, each of another person, and how many were left out."""

    strangers: Templates
    enrolled: int
    again: int


def sifted(templates: Templates, enrolled: Templates, compare: Compare, fitted: Spread) -> Sifted:
    """The strangers among templates float32 (n, d), without those like `enrolled` (m, d).

    Likeness is judged by how the templates score among themselves: at a door where all look alike
    the model's thresholds would take half of them for one person. What they have in common is taken
    out first, and whoever is alike without that counts too, since who came often is a part of it.
    Nobody counts as somebody else for a score that is usual where the thresholds were `fitted`.
    Where most pairs score as one person does, there is nothing else to judge by.
    """
    finite = templates[np.isfinite(templates).all(1)]
    n = len(finite)
    if n < LEAST_STRANGERS:
        # Too few to tell what is usual here, or to be of use.
        return Sifted(finite, 0, 0)
    if np.median(_of_pairs(compare(finite, finite))) >= fitted.mean + _AGAIN * fitted.sd:
        kept, known = _chosen(*_deviations(finite, enrolled, compare, fitted), len(enrolled))
        return Sifted(finite[kept], known, n - known - len(kept))
    kept, known = _judged(finite, enrolled, compare, fitted, np.arange(n), _LOWEST)
    for _ in range(_ROUNDS):
        former = kept
        if len(former) < _LEAST_TO_JUDGE_BY:
            break
        kept, known = _judged(finite, enrolled, compare, fitted, former, _MIDDLE)
        if np.array_equal(kept, former):
            break
    return Sifted(finite[kept], known, n - known - len(kept))


def _judged(
    came: Templates,
    enrolled: Templates,
    compare: Compare,
    fitted: Spread,
    basis: NDArray[np.intp],
    shares: tuple[float, float],
) -> tuple[NDArray[np.intp], int]:
    """`_chosen` by what is usual among those of `basis`, as two quantiles of their scores tell."""
    tables = []
    for common in (common_directions(came[basis]), came[:0]):
        left = settled(came, common)
        usual = _usual(compare(left[basis], left[basis]), fitted, shares)
        tables.append(_deviations(left, settled(enrolled, common), compare, usual))
    among, alike = (np.maximum(one, other) for one, other in zip(*tables, strict=True))
    return _chosen(among, alike, len(enrolled))


def _deviations(
    came: Templates, enrolled: Templates, compare: Compare, usual: Spread
) -> tuple[Scores, Scores]:
    """Scores among those who came (n, n), and with the nearest enrolled (n,), above what is usual.

    In standard deviations of `usual`.
    """
    among = (compare(came, came) - usual.mean) / usual.sd
    if not len(enrolled):
        return among, np.full(len(came), -np.inf)
    return among, (compare(came, enrolled).max(1) - usual.mean) / usual.sd


def _chosen(among: Scores, alike: Scores, gallery: int) -> tuple[NDArray[np.intp], int]:
    """Which of those who came are strangers, each once, and how many are enrolled."""
    in_gallery = _FOR_TEN_TIMES * np.log10(max(1.0, gallery / _IN_A_GALLERY_OF))
    known = alike >= _ENROLLED + in_gallery
    kept: list[int] = []
    for index in np.flatnonzero(~known):
        if not kept or among[index, kept].max() < _AGAIN:
            kept.append(int(index))
    return np.array(kept, np.intp), int(known.sum())


def _usual(table: Scores, fitted: Spread, shares: tuple[float, float]) -> Spread:
    """How strangers' scores lie, by two quantiles; at least as where the thresholds were fitted."""
    low, high = np.quantile(_of_pairs(table), shares)
    at_low, at_high = (NormalDist().inv_cdf(share) for share in shares)
    sd = float((high - low) / (at_high - at_low))
    return Spread(max(float(high - at_high * sd), fitted.mean), max(sd, fitted.sd))


def _of_pairs(table: Scores) -> Scores:
    return table[np.triu_indices(len(table), 1)]
