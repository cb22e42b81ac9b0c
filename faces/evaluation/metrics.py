"""Figures of a verifier from its scores: numpy only, scores are higher where more alike.

A pair matches when its score is at or above the threshold. `genuine` and `impostor` are the 1-D
scores of pairs of one person and of two persons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total: the rate 0..1, and how certain it is."""

    successes: int
    trials: int

    @property
    def rate(self) -> float | None:
        """The rate; None where nothing was tried."""
        return self.successes / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, for independent trials."""
        return wilson(self.successes, self.trials)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a rate, 95 % with z = 1.96 (Wilson, JASA 22, 1927)."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z / (1 + z * z / trials)
    spread *= float(np.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)))
    return max(0.0, min(rate, middle - spread)), min(1.0, max(rate, middle + spread))


def exact_95(errors: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % bounds of a rate (Biometrika 26, 1934)."""
    if not trials:
        return 0.0, 1.0

    # In logarithms: of some thousand trials the number of ways is no float.
    ways = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(trials + 1)
    ]

    def tail(rate: float, least: int) -> float:
        yes, no = math.log(rate), math.log1p(-rate)
        terms = range(least, trials + 1)
        return math.fsum(math.exp(ways[k] + k * yes + (trials - k) * no) for k in terms)

    def where(least: int, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle, least) < wanted else (low, middle)
        return (low + high) / 2

    return (
        where(errors, 0.025) if errors else 0.0,
        where(errors + 1, 0.975) if errors < trials else 1.0,
    )


def match_rate(scores: Scores, threshold: float) -> float:
    """Share of scores at or above the threshold: FMR of impostors, TAR of genuine pairs."""
    return float(np.mean(scores >= threshold)) if len(scores) else float("nan")


def matching(scores: Scores, threshold: float) -> Share:
    """How many scores are at or above the threshold."""
    return Share(int(np.sum(scores >= threshold)), len(scores))


def precision(genuine: Scores, impostor: Scores, threshold: float) -> Share:
    """How many of the pairs that match are genuine; it depends on the mix of the pairs."""
    right = int(np.sum(genuine >= threshold))
    return Share(right, right + int(np.sum(impostor >= threshold)))


def threshold_at_fmr(impostor: Scores, fmr: float) -> float:
    """The lowest threshold at which the share of matching impostors is at most `fmr`.

    It lies halfway to the next lower score, so that it does not depend on the last bit of a score.
    """
    if not len(impostor) or not 0 < fmr < 1:
        raise ValueError("need impostor scores, and a rate between 0 and 1")
    allowed = int(np.floor(fmr * len(impostor)))
    falling = np.sort(np.asarray(impostor, np.float64))[::-1]
    if allowed >= len(falling):
        return float(falling[-1])
    first_refused = falling[allowed]
    above = falling[:allowed][falling[:allowed] > first_refused]
    # Scores are float32, and are compared as such: the threshold must be one, too.
    if len(above):
        halfway = np.float32((above[-1] + first_refused) / 2)
        return float(halfway if halfway > first_refused else np.float32(above[-1]))
    return float(np.float32(first_refused + max(1e-6, 1e-6 * abs(first_refused))))


def tar_at_far(genuine: Scores, impostor: Scores, far: float) -> float:
    """Share of genuine pairs accepted where at most `far` of the impostors are."""
    return match_rate(genuine, threshold_at_fmr(impostor, far))


def roc(genuine: Scores, impostor: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """FMR and TAR at every distinct threshold, from (0, 0) to (1, 1)."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    fmr = _at_or_above(impostor, thresholds)
    tar = _at_or_above(genuine, thresholds)
    return np.concatenate([[0.0], fmr]), np.concatenate([[0.0], tar])


def tars_at(genuine: Scores, impostor: Scores, fars: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest TAR at which the share of matching impostors is at most each of `fars`."""
    fmr, tar = roc(genuine, impostor)
    # Whole numbers of false matches: a rate such as 3 / 10 is not exact.
    false_matches = np.rint(fmr * len(impostor))
    allowed = np.floor(fars * len(impostor) + 1e-9)
    return np.asarray(tar[np.searchsorted(false_matches, allowed, side="right") - 1])


def worst(scores: Scores, count: int, *, lowest: bool) -> NDArray[np.intp]:
    """Where the `count` lowest (or highest) scores are, the worst first."""
    ranked = scores if lowest else -scores
    count = min(count, len(scores))
    if not count:
        return np.empty(0, np.intp)
    found = np.argpartition(ranked, count - 1)[:count]
    return np.asarray(found[np.argsort(ranked[found], kind="stable")])


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """The rate at which FMR and FNMR are equal, between the two thresholds next to it."""
    fmr, tar = roc(genuine, impostor)
    gap = fmr - (1 - tar)
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(fmr[before] + share * (fmr[after] - fmr[before]))


def area_under_curve(genuine: Scores, impostor: Scores) -> float:
    """The probability that a genuine pair scores above an impostor pair; a tie counts half."""
    fmr, tar = roc(genuine, impostor)
    return float(np.sum(np.diff(fmr) * (tar[1:] + tar[:-1]) / 2))


def best_threshold(scores: Scores, same: NDArray[np.bool_]) -> float:
    """The threshold with the fewest errors on these pairs, halfway between two scores."""
    order = np.argsort(scores)
    rising, truth = np.asarray(scores, np.float64)[order], same[order]
    refused_genuine = np.concatenate([[0], np.cumsum(truth)])
    accepted_impostor = np.sum(~truth) - np.concatenate([[0], np.cumsum(~truth)])
    errors = refused_genuine + accepted_impostor
    edges = np.concatenate([[rising[0] - 1], rising, [rising[-1] + 1]])
    distinct = np.concatenate([[True], np.diff(rising) > 0, [True]])
    cut = int(np.argmin(np.where(distinct, errors, len(rising) + 1)))
    return float((edges[cut] + edges[cut + 1]) / 2)


def balanced_threshold(genuine: Scores, impostor: Scores) -> float:
    """The threshold at which FMR + FNMR is least, halfway between two scores."""
    thresholds = np.unique(np.concatenate([genuine, impostor]).astype(np.float64))
    errors = _at_or_above(impostor, thresholds) + 1 - _at_or_above(genuine, thresholds)
    best = int(np.argmin(errors))
    below = thresholds[best - 1] if best else thresholds[best]
    return float((below + thresholds[best]) / 2)


def fold_accuracies(
    scores: Scores, same: NDArray[np.bool_], folds: NDArray[np.integer], acquired: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and threshold of each fold, its threshold taken from all other folds.

    A pair that was not `acquired` counts as wrong. Needs two folds or more. Source: the protocol
    of Labeled Faces in the Wild (Huang et al., 2007).
    """
    names = np.unique(folds)
    if len(names) < 2:
        raise ValueError("the protocol needs at least two folds")
    accuracies, thresholds = np.empty(len(names)), np.empty(len(names))
    for index, name in enumerate(names):
        others = (folds != name) & acquired
        if not others.any():
            raise ValueError(f"no pair outside fold {name} could be read")
        thresholds[index] = best_threshold(scores[others], same[others])
        here = folds == name
        accuracies[index] = accuracy(scores[here], same[here], acquired[here], thresholds[index])
    return accuracies, thresholds


def accuracy(
    scores: Scores, same: NDArray[np.bool_], acquired: NDArray[np.bool_], threshold: float
) -> float:
    """Share of pairs judged right at a threshold; one that was not acquired is wrong."""
    return float(np.mean(acquired & ((scores >= threshold) == same)))


def _at_or_above(scores: Scores, thresholds: NDArray[np.floating]) -> NDArray[np.float64]:
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return np.asarray(1 - below / len(scores), np.float64)
