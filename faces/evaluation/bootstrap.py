"""How certain an EER and an AUC are: a bootstrap over people, since pairs are not independent.

Source: two-way subsets bootstrap; Bolle, Ratha, Pankanti, Error analysis of pattern recognition
systems - the subsets bootstrap, CVIU 93(1), 2004, and Poh, Martin, Bengio, IEEE TPAMI 29(3), 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation.paired import PairedPictures

METHOD = "bootstrap over people, 95 % (2.5 and 97.5 percentiles of 300 draws)"
_DRAWS = 300
# So many impostor pairs, drawn at random, vary no more than people do, and cost a second.
_MOST_IMPOSTORS = 300_000

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals of the equal error rate and of the area under the curve."""

    eer: Interval
    auc: Interval


def intervals(
    genuine: NDArray[np.floating],
    impostor: NDArray[np.floating],
    paired: PairedPictures,
    generator: np.random.Generator,
) -> Intervals | None:
    """Intervals from scores genuine (g,) and impostor (i,), made by drawing people anew.

    A genuine pair weighs as often as its person was drawn, an impostor pair as often as its two
    people were together. None where genuine and impostor scores do not overlap, or come from so
    few people that a draw can miss one kind: then a bootstrap says nothing.
    """
    if not len(genuine) or not len(impostor) or genuine.min() > impostor.max():
        return None
    person, both = paired.person, paired.impostor
    if len(impostor) > _MOST_IMPOSTORS:
        chosen = generator.choice(len(impostor), _MOST_IMPOSTORS, replace=False)
        impostor, both = impostor[chosen], both[chosen]
    order = np.argsort(impostor)
    first, second = person[both[order, 0]], person[both[order, 1]]
    rising = np.argsort(genuine)
    of_genuine = person[paired.genuine[rising, 0]]
    people = int(person.max()) + 1
    # How many impostor scores lie below, and how many at or below, each genuine score.
    sorted_genuine, sorted_impostor = genuine[rising], impostor[order]
    below = np.searchsorted(sorted_impostor, sorted_genuine, side="left")
    up_to = np.searchsorted(sorted_impostor, sorted_genuine, side="right")
    eers, aucs = np.empty(_DRAWS), np.empty(_DRAWS)
    for draw in range(_DRAWS):
        drawn = np.bincount(generator.integers(0, people, people), minlength=people)
        weight = drawn[of_genuine].astype(np.float64)
        lower = np.concatenate([[0.0], np.cumsum(drawn[first] * drawn[second], dtype=np.float64)])
        if not weight.sum() or not lower[-1]:
            return None
        aucs[draw] = weight @ (lower[below] + lower[up_to]) / (2 * weight.sum() * lower[-1])
        eers[draw] = _equal_error_rate(weight, 1 - lower[below] / lower[-1])
    return Intervals(_middle(eers), _middle(aucs))


def _equal_error_rate(weight: NDArray[np.float64], fmr: NDArray[np.float64]) -> float:
    """Where FNMR meets FMR, with each genuine score, rising, as the threshold in turn."""
    fnmr = np.concatenate([[0.0], np.cumsum(weight)])[:-1] / weight.sum()
    gap = np.concatenate([fnmr - fmr, [1.0]])
    after = int(np.argmax(gap >= 0))
    if after == 0:
        return float((fnmr[0] + fmr[0]) / 2)
    if after == len(fnmr):
        return float((fnmr[-1] + fmr[-1]) / 2)
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(fmr[after - 1] + share * (fmr[after] - fmr[after - 1]))


def _middle(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
