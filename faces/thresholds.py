"""Fit thresholds to target false match rates on all pairs of labelled templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.faces import metrics

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


def fit(genuine: NDArray[np.float32], impostor: NDArray[np.float32]) -> dict[str, Any]:
    """For each target rate that the sample can show (ten errors or more): threshold and figures.

    The intervals are Wilson's for independent pairs; pairs share faces, so they are too narrow
    by some factor that the manifest does not hide: `impostor_pairs` and `genuine_pairs` are
    given with them.
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
    return {
        "by_fmr": rows,
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "eer": metrics.equal_error_rate(genuine, impostor),
    }
