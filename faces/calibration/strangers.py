"""Strangers among kept templates, each once; people who are enrolled are left out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.calibration.door import common_directions, settled
from oneglance.faces.calibration.fit import LEAST_STRANGERS

Templates = NDArray[np.float32]
Compare = Callable[[Templates, Templates], NDArray[np.float32]]

# How far above the middle of impostor scores, in standard deviations, somebody counts as enrolled,
# or as having come before: about one comparison of strangers in 1,000, and one in 10,000.
_ENROLLED, _AGAIN = 3.5, 4.3
# So strict in a gallery of so many templates; each tenfold has ten times the chances.
_IN_A_GALLERY_OF, _FOR_TEN_TIMES = 30, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """Templates (n, d) of strangers, each of another person, and how many were left out."""

    strangers: Templates
    enrolled: int
    again: int


def sifted(templates: Templates, enrolled: Templates, compare: Compare) -> Sifted:
    """The strangers among templates float32 (n, d), without those like `enrolled` (m, d).

    What the templates have in common is taken out first, and likeness is judged by how they
    score among themselves: at a door where all look alike the model's thresholds would take half
    of them for one person.
    """
    finite = templates[np.isfinite(templates).all(1)]
    if len(finite) < LEAST_STRANGERS:
        # Too few to tell what is usual here, or to be of use.
        return Sifted(finite, 0, 0)
    common = common_directions(finite)
    left = settled(finite, common)
    among = compare(left, left)
    scores = among[np.triu_indices(len(finite), 1)]
    # The middle half, so that those who came often do not widen what is usual.
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    deviation = (high - low) / 1.349
    known = np.zeros(len(finite), bool)
    if len(enrolled):
        alike = compare(left, settled(enrolled, common)).max(1)
        above = _ENROLLED + _FOR_TEN_TIMES * np.log10(max(1.0, len(enrolled) / _IN_A_GALLERY_OF))
        known = alike >= middle + above * deviation
    kept: list[int] = []
    for index in np.flatnonzero(~known):
        if not kept or among[index, kept].max() < middle + _AGAIN * deviation:
            kept.append(int(index))
    return Sifted(finite[kept], int(known.sum()), len(finite) - int(known.sum()) - len(kept))
