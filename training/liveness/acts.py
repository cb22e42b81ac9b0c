"""What a visitor does when asked: turn, look up, blink, come closer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ACTS = ("turn_left", "turn_right", "look_up", "blink", "closer")
# How long a head takes to get into a pose and out of it.
_EASE_S = 0.35


@dataclass(frozen=True, slots=True)
class Act:
    """One of ACTS, done from `begin_s` to `end_s` of the film; left is the visitor's own left.

    A turn is held until its end, a blink is one closing and opening in that time, and a visitor who
    came closer stays there. `far` is how far they go, as a multiple of the usual. Raises ValueError
    for an unknown name or an end before the beginning.
    """

    name: str
    begin_s: float
    end_s: float
    far: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in ACTS:
            raise ValueError(f"unknown act {self.name!r}; there are {', '.join(ACTS)}")
        if self.end_s <= self.begin_s:
            raise ValueError(f"{self.name} ends at {self.end_s} s, before it begins")


def ease(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rises smoothly from 0 to 1 as `part` goes from 0 to 1; constant beyond."""
    part = np.clip(part, 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part))


def held(act: Act, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far an act has been carried out at each time, 0..1."""
    coming = ease((at_s - act.begin_s) / _EASE_S)
    if act.name == "closer":
        return ease((at_s - act.begin_s) / (act.end_s - act.begin_s))
    return np.asarray(coming * (1.0 - ease((at_s - act.end_s + _EASE_S) / _EASE_S)))


def amount(acts: Sequence[Act], name: str, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far any act of this name has been carried out at each time, 0..1 if its `far` is 1."""
    done = [act.far * held(act, at_s) for act in acts if act.name == name]
    return np.max(done, axis=0) if done else np.zeros_like(at_s)


def blink(begin_s: float, end_s: float, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a blink has closed the eyes at each time, 0..1: they shut fast and open slowly."""
    part = (at_s - begin_s) / (end_s - begin_s)
    shut = ease(part / 0.3) * (1.0 - ease((part - 0.5) / 0.5))
    return np.asarray(np.where((part >= 0) & (part <= 1), shut, 0.0))
