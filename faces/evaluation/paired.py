"""Which pictures make which score, and who is on them: for rates by slice and by person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PairedPictures:
    """Of n named pictures, which two make each genuine and each impostor score.

    `genuine` int32 (g, 2) and `impostor` int32 (i, 2) hold places of pictures, in the order of
    the scores; `person` int32 (n,) numbers who is on each picture.
    """

    names: tuple[str, ...]
    genuine: NDArray[np.int32]
    impostor: NDArray[np.int32]
    person: NDArray[np.int32]


def every_pair(names: Sequence[str], people: Sequence[str]) -> PairedPictures:
    """All pairs of pictures (n,) of `people` (n,), in the order of `thresholds.all_pairs`.

    The pictures of a person must follow each other; ValueError if they don't.
    """
    who = np.asarray(people)
    count = len(who)
    starts = np.flatnonzero(np.concatenate([[True], who[1:] != who[:-1]]))
    if len(starts) != len(set(people)):
        raise ValueError("the pictures of a person do not follow each other")
    sizes = np.diff(np.append(starts, count))
    ends = np.repeat(starts + sizes, sizes)
    first = np.arange(count)
    return PairedPictures(
        tuple(names),
        _spans(first, first + 1, ends),
        _spans(first, ends, np.full(count, count)),
        np.repeat(np.arange(len(starts), dtype=np.int32), sizes),
    )


def _spans(
    first: NDArray[np.integer], starts: NDArray[np.integer], ends: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Each of `first` with everything from its start up to its end."""
    lengths = ends - starts
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    second = np.arange(int(lengths.sum())) - before + np.repeat(starts, lengths)
    return np.stack([np.repeat(first, lengths), second], axis=1).astype(np.int32)


def people_of_pairs(count: int, genuine: Iterable[tuple[int, int]]) -> NDArray[np.int32]:
    """Who is on each of `count` pictures, as far as genuine pairs link them, numbered from 0."""
    leader = list(range(count))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for a, b in genuine:
        leader[find(a)] = find(b)
    _, numbers = np.unique([find(place) for place in range(count)], return_inverse=True)
    return np.asarray(numbers, np.int32)
