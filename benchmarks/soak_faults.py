"""Which fault comes next in a soak: drawn from a seed, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

# How long each lasts at least and at most, in seconds; 0: it is over at once.
KINDS: dict[str, tuple[float, float]] = {
    "broker killed, started at once": (0, 0),
    "broker away": (10, 30),
    "camera refuses": (5, 15),
    "camera silent": (7, 15),
    "daemon stopped for a moment": (2, 8),
    "lock stopped for a moment": (1, 3),
    "disk full": (5, 15),
    "decisions replayed, forged, of a wrong clock": (0, 0),
    "somebody enrolled and deleted": (0, 0),
    "configuration read again": (0, 0),
    "daemon killed": (0, 0),
    "lock killed": (0, 0),
    "daemon hangs": (0, 0),
    "lock hangs": (0, 0),
}
# Growing memory is only seen in a process that lives long: these come at the beginning and at the
# end of a run, and leave both processes of the door alone in between.
END_A_LIFE = frozenset({"daemon killed", "lock killed", "daemon hangs", "lock hangs"})
BEGINNING, END = 1 / 8, 7 / 8
QUIET_S = (10.0, 40.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """After `quiet_s` without any, `kind` (of KINDS) lasts `lasts_s`."""

    kind: str
    quiet_s: float
    lasts_s: float


class Deck:
    """All kinds in a drawn order, then all in another, and so on."""

    def __init__(self, seed: int, kinds: frozenset[str] = frozenset(KINDS)) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # the same faults each time
        self._kinds = sorted(kinds)
        self._order = self._shuffled()

    def draw(self, part_done: float) -> Fault:
        """The next one; `part_done` of the run, 0 to 1, is over."""
        kind = next(self._order)
        while kind in END_A_LIFE and BEGINNING < part_done < END:
            kind = next(self._order)
        shortest, longest = KINDS[kind]
        return Fault(
            kind,
            round(self._chance.uniform(*QUIET_S), 1),
            round(self._chance.uniform(shortest, longest), 1),
        )

    def _shuffled(self) -> Iterator[str]:
        while True:
            self._chance.shuffle(self._kinds)
            yield from list(self._kinds)
