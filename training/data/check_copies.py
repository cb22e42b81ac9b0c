"""Copies among pictures: the same file twice, or the same photograph in another file. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oneglance.training.data.check_look import Looked
from oneglance.training.data.perceptual import close_pairs, groups

# Among 20,243 pictures of faces (LFW folds 1-8, CelebA's first 10,000), pairs of one hash distance
# fall into two heaps: 27 that correlate at 0.975 or more, and those up to 0.93 that show two
# photographs. Beyond 8 bits no copy was seen.
MAX_BITS = 8
MIN_CORRELATION = 0.97


def exact_copies(looked: Sequence[Looked]) -> list[list[int]]:
    """Groups of places in `looked` whose files are byte for byte the same."""
    places: dict[str, list[int]] = {}
    for place, picture in enumerate(looked):
        if picture.sha256:
            places.setdefault(picture.sha256, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def near_copies(looked: Sequence[Looked]) -> list[list[int]]:
    """Groups of places in `looked` that show one photograph, in files that are not the same."""
    first_of: dict[str, int] = {}
    for place, picture in enumerate(looked):
        if not picture.problem:
            first_of.setdefault(picture.sha256, place)
    places = np.array(list(first_of.values()), np.int64)
    if not len(places):
        return []
    pairs = close_pairs(np.stack([looked[place].hash for place in places]), MAX_BITS)
    looks = np.stack([looked[place].look for place in places])
    correlation = np.einsum("ij,ij->i", looks[pairs[:, 0]], looks[pairs[:, 1]])
    sure = pairs[correlation >= MIN_CORRELATION]
    return [[int(places[item]) for item in group] for group in groups(len(places), sure)]
