"""Fit thresholds to target false match rates on all pairs of labelled templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation import metrics

_DRAWS = 1000
TARGETS = ("1e-2", "1e-3", "1e-4", "1e-5")
Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


def all_pairs(
    templates: NDArray[np.float32], people: Sequence[str], compare: Compare
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Genuine and impostor scores of every pair among templates (n, d) of named people (n,)."""
    names = np.asarray(people)
    genuine, impostor = [], []
    for start in range(0, len(templates), 64):
        scores = compare(templates[start : start + 64], templates[start:])
        for row, line in enumerate(scores):
            index = start + row
            line = line[row + 1 :]
            same = names[index + 1 :] == names[index]
            genuine.append(line[same])
            impostor.append(line[~same])
    return np.concatenate(genuine), np.concatenate(impostor)


def places_of(
    positions: NDArray[np.integer], people: Sequence[str], *, same: bool
) -> list[tuple[int, int]]:
    """Which two templates made the scores at `positions` among those of `all_pairs`.

    `same` says whether the positions are in its genuine or its impostor scores.
    """
    names = np.asarray(people)
    later = np.array([int(np.sum((names[i + 1 :] == names[i]) == same)) for i in range(len(names))])
    ends = np.cumsum(later)
    found = []
    for position in positions:
        row = int(np.searchsorted(ends, position, side="right"))
        partners = np.flatnonzero((names[row + 1 :] == names[row]) == same)
        found.append((row, row + 1 + int(partners[position - (ends[row] - later[row])])))
    return found


def fit(
    genuine: NDArray[np.float32], impostor: NDArray[np.float32], people: Sequence[str] = ()
) -> dict[str, Any]:
    """For each target rate that the sample can show (ten errors or more): threshold and figures.

    `_95` are Wilson's intervals for independent pairs. Pairs share faces, so these are too
    narrow; where `people` (n,) says whose templates `all_pairs` compared, `_95_people` tells what
    another choice of people would have changed (`people_bounds`).
    """
    rows: dict[str, Any] = {}
    for target in TARGETS:
        if float(target) * len(impostor) < 10:
            continue
        threshold = metrics.threshold_at_fmr(impostor, float(target))
        false_matches = int(np.sum(impostor >= threshold))
        matches = int(np.sum(genuine >= threshold))
        rows[target] = {
            "threshold": threshold,
            "fmr": false_matches / len(impostor),
            "fmr_95": metrics.wilson(false_matches, len(impostor)),
            "tar": matches / len(genuine),
            "tar_95": metrics.wilson(matches, len(genuine)),
        }
    if people and rows:
        limits = [row["threshold"] for row in rows.values()]
        for row, bounds in zip(
            rows.values(), people_bounds(genuine, impostor, people, limits), strict=True
        ):
            row["fmr_95_people"], row["tar_95_people"] = bounds
    return {
        "by_fmr": rows,
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "eer": metrics.equal_error_rate(genuine, impostor),
    }


def people_bounds(
    genuine: NDArray[np.float32],
    impostor: NDArray[np.float32],
    people: Sequence[str],
    limits: Sequence[float],
    seed: int = 0,
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """For each threshold the 95 % intervals of FMR and TAR, had other people been measured.

    Scores as `all_pairs` gives them for templates of `people` (n,). People are drawn anew, with
    all their pictures, 1000 times; an impostor pair then weighs as often as its two people were
    drawn together. Source: two-way subsets bootstrap, Bolle, Ratha, Pankanti, CVIU 93(1), 2004.
    """
    kinds, person = np.unique(np.asarray(people), return_inverse=True)
    pictures = np.bincount(person)
    # Only scores that match at the laxest threshold are ever counted.
    positions = np.flatnonzero(impostor >= min(limits))
    scores = impostor[positions]
    pairs = np.array(places_of(positions, people, same=False), int).reshape(-1, 2)
    first, second = person[pairs[:, 0]], person[pairs[:, 1]]
    own = np.array(places_of(np.arange(len(genuine)), people, same=True), int).reshape(-1, 2)
    whose = person[own[:, 0]]
    generator = np.random.default_rng(seed)
    fmr, tar = np.empty((_DRAWS, len(limits))), np.empty((_DRAWS, len(limits)))
    for draw in range(_DRAWS):
        drawn = np.bincount(generator.integers(0, len(kinds), len(kinds)), minlength=len(kinds))
        weights = (drawn * pictures).astype(np.float64)
        impostor_pairs = (weights.sum() ** 2 - (weights**2).sum()) / 2
        together, alone = (drawn[first] * drawn[second]).astype(np.float64), drawn[whose]
        for at, limit in enumerate(limits):
            fmr[draw, at] = together[scores >= limit].sum() / max(impostor_pairs, 1.0)
            tar[draw, at] = alone[genuine >= limit].sum() / max(alone.sum(), 1)
    return [(_middle(fmr[:, at]), _middle(tar[:, at])) for at in range(len(limits))]


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
