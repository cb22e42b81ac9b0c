"""Which pictures go into a batch: pairs, or P people with K pictures each.

Every batch follows from (seed, epoch, step) alone, so that a resumed run sees the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError

# Keeps this stream of random numbers apart from others that start from the recipe's seed.
_STREAM = 77


class _People:
    """Rows by person, in the order of the people's names."""

    def __init__(self, people: Sequence[str]) -> None:
        names, self.numbers = np.unique(np.asarray(people, dtype=str), return_inverse=True)
        order = np.argsort(self.numbers, kind="stable")
        counts = np.bincount(self.numbers, minlength=len(names))
        groups = np.split(order, np.cumsum(counts)[:-1]) if len(names) else []
        self.several = [group for group in groups if len(group) > 1]
        self.everybody = groups
        self.alone = len(groups) - len(self.several)
        if len(groups) < 2:
            raise ConfigError(
                f"{len(groups)} people in the training pictures: training needs two or more",
                fix="add pictures of other people",
            )
        if not self.several:
            raise ConfigError(
                "nobody has a second picture, and training needs two of a person",
                fix="add pictures of the same people",
            )


class PairSampler:
    """Batches of `pairs` pairs, of which round(genuine * pairs) show the same person twice.

    A genuine pair is two different pictures of a person drawn evenly from those who have two or
    more; an impostor pair is one picture each of two people drawn evenly from all. So a person with
    many pictures counts no more than any other. `alone` people have one picture and appear in
    impostor pairs only. Raises ConfigError if either kind of pair cannot be made.
    """

    def __init__(self, people: Sequence[str], pairs: int, genuine: float = 0.5) -> None:
        self._people = _People(people)
        self.alone = self._people.alone
        self._pairs = pairs
        self._genuine = round(genuine * pairs)

    def draw(
        self, seed: int, epoch: int, step: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows (pairs, 2), and 1 for a genuine pair or 0 for an impostor pair (pairs,)."""
        generator = np.random.default_rng([_STREAM, seed, epoch, step])
        several, everybody = self._people.several, self._people.everybody
        same = (np.arange(self._pairs) < self._genuine).astype(np.float32)
        rows = np.empty((self._pairs, 2), np.int64)
        for number in range(self._pairs):
            if same[number]:
                group = several[generator.integers(len(several))]
                rows[number] = generator.choice(group, 2, replace=False)
            else:
                two = generator.choice(len(everybody), 2, replace=False)
                rows[number] = [generator.choice(everybody[person]) for person in two]
        return rows, same


class PeopleSampler:
    """Batches of P people, drawn evenly without replacement, with K pictures each.

    People with one picture are left out and counted in `alone`, as they have no genuine partner. Of
    somebody with fewer than K pictures, each is used once before any is used again (training sees
    it distorted differently). Raises ConfigError if there are fewer than P people to draw from.
    """

    def __init__(self, people: Sequence[str], persons: int, pictures: int) -> None:
        found = _People(people)
        self.alone = found.alone
        self._several = found.several
        self._numbers = found.numbers
        self._persons = persons
        self._pictures = pictures
        if persons > len(found.several):
            raise ConfigError(
                f"a batch of {persons} people takes more than the {len(found.several)} "
                "who have two pictures or more",
                fix="lower sampler.people",
            )

    def draw(self, seed: int, epoch: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows (P * K,), one person after another, and the people's numbers (P * K,)."""
        generator = np.random.default_rng([_STREAM, seed, epoch, step])
        chosen = generator.choice(len(self._several), self._persons, replace=False)
        rows = np.concatenate([self._of(self._several[person], generator) for person in chosen])
        return rows, np.asarray(self._numbers[rows], np.int64)

    def _of(self, group: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        rounds = -(-self._pictures // len(group))
        shuffled = [generator.permutation(group) for _ in range(rounds)]
        return np.concatenate(shuffled)[: self._pictures]
