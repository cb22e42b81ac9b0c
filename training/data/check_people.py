"""Mixed-up identities: pictures unlike their own identity, and two identities of one person.

Pure: templates and a comparison in, suspicions out. The teacher is the model that the templates
come from; it makes mistakes too, so a human must look at what it suspects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A picture of somebody else is no more like its identity than any stranger's would be, so its rank
# among all identities is random. A picture that belongs there ranks ahead of nearly all of them.
MORE_ALIKE = 0.05
_STRANGERS_NEEDED = 20
# How many identities are compared with all others in one matrix product.
_STEP = 64

Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A picture, by its place, that does not look like the rest of its identity.

    `score` compares it with the median template of the others. `looks_like` is the identity that
    it matches instead, at `other_score`; "" if there is none.
    """

    place: int
    identity: str
    score: float
    looks_like: str
    other_score: float


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Two identities whose median templates score like one person."""

    first: str
    second: str
    score: float


def median_template(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """The elementwise median of templates (k, d), of length 1 again."""
    middle = np.median(templates, axis=0)
    return np.asarray(middle / max(float(np.linalg.norm(middle)), 1e-6), np.float32)


def outliers(
    templates: NDArray[np.float32],
    members: Mapping[str, Sequence[int]],
    compare: Compare,
    own_threshold: float,
    other_threshold: float,
) -> list[Outlier]:
    """Pictures that are unlike the others of their identity, worst first.

    `templates` is float32 (n, d), `members` the rows of each identity. An outlier scores below
    `own_threshold` with the others, and at least MORE_ALIKE of all other identities score higher
    (with few identities, the threshold alone has to do). Where an identity has two pictures that do
    not match, nothing says which of them is wrong, so both may be reported. One that scores
    `other_threshold` or more with another identity is said to look like it.
    """
    names, medians = _medians(templates, members)
    found = []
    for index, name in enumerate(names):
        rows = list(members[name])
        for row in rows if len(rows) > 1 else ():
            others = median_template(templates[[other for other in rows if other != row]])
            score = float(compare(templates[[row]], others[np.newaxis])[0, 0])
            if score >= own_threshold:
                continue
            elsewhere = np.delete(compare(templates[[row]], medians)[0], index)
            enough = len(elsewhere) >= _STRANGERS_NEEDED
            if enough and np.mean(elsewhere > score) < MORE_ALIKE:
                continue
            looks_like, other_score = "", float("nan")
            if len(elsewhere) and elsewhere.max() >= other_threshold:
                best = int(np.argmax(elsewhere))
                looks_like = names[best if best < index else best + 1]
                other_score = float(elsewhere[best])
            found.append(Outlier(row, name, score, looks_like, other_score))
    return sorted(found, key=lambda outlier: outlier.score)


def lookalikes(
    templates: NDArray[np.float32],
    members: Mapping[str, Sequence[int]],
    compare: Compare,
    threshold: float,
    advance: Callable[[int], None],
) -> list[Lookalike]:
    """Pairs of identities whose median templates score at or above `threshold`, most alike first.

    Every pair is compared; `advance` is called with the number of identities done so far.
    """
    names, medians = _medians(templates, members)
    found = []
    for start in range(0, len(names), _STEP):
        scores = compare(medians[start : start + _STEP], medians[start:])
        rows, columns = np.nonzero(np.triu(scores >= threshold, k=1))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            score = float(scores[row, column])
            found.append(Lookalike(names[start + row], names[start + column], score))
        advance(min(_STEP, len(names) - start))
    return sorted(found, key=lambda pair: pair.score, reverse=True)


def threshold_for(pairs: int, thresholds: Mapping[float, float]) -> float:
    """The score that about one in `comparisons` comparisons of strangers reaches by chance.

    `thresholds` maps false match rates to thresholds. Between and beyond them the threshold is
    taken to be linear in the logarithm of the rate, as it nearly is in the tail; the rate is never
    taken above 1e-3, however few the comparisons are.
    """
    rates = sorted(thresholds)
    wanted = min(1e-3, 1 / max(pairs, 1))
    if len(rates) == 1 or wanted >= rates[-1]:
        return thresholds[rates[-1]]
    above = next((i for i, rate in enumerate(rates) if i and rate >= wanted), len(rates) - 1)
    low, high = rates[above - 1], rates[above]
    share = (math.log(wanted) - math.log(low)) / (math.log(high) - math.log(low))
    return thresholds[low] + share * (thresholds[high] - thresholds[low])


def _medians(
    templates: NDArray[np.float32], members: Mapping[str, Sequence[int]]
) -> tuple[list[str], NDArray[np.float32]]:
    names = list(members)
    return names, np.stack([median_template(templates[list(members[name])]) for name in names])
