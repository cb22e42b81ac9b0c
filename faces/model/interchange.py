"""Whether templates of two variants of a model may stand in one gallery: measured, on one rule.

A gallery was enrolled with one variant, the door now runs another: every comparison is mixed. So
probes of each are compared with templates of the other, at the thresholds of the probe's variant,
and nobody may be let in more often, nor kept out much more often, than with the reference alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.model.document import LEAST_COSINE, Interchange, Mixed

Templates = NDArray[np.float32]
Compare = Callable[[Templates, Templates], NDArray[np.float32]]
# Ten times the noise of 4 million pairs at 1e-3; a rate is not known better than that anyway.
MOST_FMR_RATIO = 1.2
MOST_TAR_LOSS = 0.003
# Stricter rates stand on tens of millions of pairs, which nobody has at hand to compare variants.
STRICTEST_COMPARED = 1e-5
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Side:
    """One variant in the measurement: templates (n, d) of the same n pictures, its head and
    thresholds by false match rate as written.
    """

    templates: Templates
    compare: Compare
    thresholds: Mapping[str, float]


def measure(own: Side, reference: Side, people: Sequence[str]) -> Interchange:
    """Compare every picture with every other, both ways; `people` (n,) says who is on each.

    Raises ValueError if the variants are so unlike (mean cosine below 0.95) that there is nothing
    to interchange, or if the pictures make no genuine or no impostor pair.
    """
    products = (own.templates * reference.templates).sum(1, dtype=np.float64)
    lengths = np.linalg.norm(own.templates, axis=1) * np.linalg.norm(reference.templates, axis=1)
    cosine = float(np.mean(products / np.maximum(lengths, 1e-12)))
    if not cosine >= LEAST_COSINE:
        raise ValueError(f"mean cosine {cosine:.3f} between the variants' templates")
    both = [rate for rate in own.thresholds if rate in reference.thresholds]
    rates = [rate for rate in both if float(rate) >= STRICTEST_COMPARED]
    alone = _shares(reference, reference.templates, rates, people)
    this = _shares(own, reference.templates, rates, people)
    back = _shares(reference, own.templates, rates, people)
    return Interchange(
        faces=len(people),
        cosine_mean=min(cosine, 1.0),
        probes_of_this={r: _mixed(this[r], alone[r]) for r in rates},
        probes_of_reference={r: _mixed(back[r], alone[r]) for r in rates},
    )


def objections(found: Interchange) -> list[str]:
    """Why these variants are not interchangeable; empty: they are.

    At each rate the mixed false match rate is at most 1.2 times that rate, and the mixed TAR at
    most 0.3 points below that of the reference alone.
    """
    if not found.probes_of_this:
        return ["the variants have no threshold in common"]
    told = []
    for whose, rows in (
        ("its probes", found.probes_of_this),
        ("the reference's probes", found.probes_of_reference),
    ):
        for rate, row in rows.items():
            if row.fmr > MOST_FMR_RATIO * float(rate):
                told.append(f"{whose} at FMR {rate}: false matches {row.fmr:.2e}")
            if row.tar < row.tar_of_reference - MOST_TAR_LOSS:
                told.append(
                    f"{whose} at FMR {rate}: TAR {row.tar:.2%}, "
                    f"the reference alone {row.tar_of_reference:.2%}"
                )
    return told


def _shares(
    probes: Side, gallery: Templates, rates: Sequence[str], people: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """FMR and TAR by rate, over all ordered pairs of different pictures."""
    names = np.asarray(people)
    limits = np.array([probes.thresholds[rate] for rate in rates])
    false, right = np.zeros(len(rates)), np.zeros(len(rates))
    impostors = genuines = 0
    for start in range(0, len(names), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(names)))
        scores = probes.compare(probes.templates[rows], gallery)
        same = names[rows, None] == names[None]
        other_picture = rows[:, None] != np.arange(len(names))[None]
        genuine, impostor = scores[same & other_picture], scores[~same]
        genuines, impostors = genuines + len(genuine), impostors + len(impostor)
        right += (genuine[:, None] >= limits).sum(0)
        false += (impostor[:, None] >= limits).sum(0)
    if not genuines or not impostors:
        raise ValueError("the pictures make no genuine or no impostor pair")
    return {
        rate: (float(false[at] / impostors), float(right[at] / genuines))
        for at, rate in enumerate(rates)
    }


def _mixed(found: tuple[float, float], alone: tuple[float, float]) -> Mixed:
    return Mixed(fmr=found[0], tar=found[1], tar_of_reference=alone[1])
