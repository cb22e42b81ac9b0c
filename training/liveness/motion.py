"""How people and hands move: smooth paths over the times in a film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneglance.training.liveness.acts import blink, ease
from oneglance.training.liveness.styles import Style, draw

Path = NDArray[np.float64]


def wander(style: Style, at_s: Path, hz: float, rng: np.random.Generator) -> Path:
    """A smooth path slower than about `hz`, of mean square 1 over long times; (n,) like `at_s`."""
    if style.wander == "sines":
        rates = rng.uniform(0.3, 1.0, 5) * hz
        phases = rng.uniform(0, 2 * np.pi, 5)
        waves = np.sin(2 * np.pi * rates * at_s[:, None] + phases)
        return np.asarray(waves.sum(1) * np.sqrt(2 / 5))
    # Noise through a Gaussian filter: all rates up to hz, none of which stands out.
    width_s = 0.35 / hz
    steps = np.arange(at_s[0] - 4 * width_s, at_s[-1] + 4 * width_s, width_s / 3)
    bumps = np.exp(-0.5 * ((at_s[:, None] - steps) / width_s) ** 2)
    return np.asarray(bumps @ rng.standard_normal(len(steps)) / np.sqrt((bumps**2).sum(1)))


def tremor(style: Style, at_s: Path, hz: float, rng: np.random.Generator) -> Path:
    """A tremor of about `hz` that comes and goes, with a mean square of about 1."""
    beat = wander(style, at_s, hz / 4, rng)
    other = wander(style, at_s, hz / 4, rng)
    turn = 2 * np.pi * hz * at_s
    return np.asarray(beat * np.cos(turn) + other * np.sin(turn))


def blinks(at_s: Path, rng: np.random.Generator) -> Path:
    """How far the eyes are closed, 0..1: people blink every 2 to 6 s, for 0.15 to 0.35 s."""
    closed = np.zeros_like(at_s)
    next_s = at_s[0] - float(rng.uniform(0, 3))
    while next_s < at_s[-1]:
        length_s = float(rng.uniform(0.15, 0.35))
        closed = np.maximum(closed, blink(next_s, next_s + length_s, at_s))
        next_s += float(rng.uniform(2, 6))
    return closed


def glances(at_s: Path, rng: np.random.Generator) -> Path:
    """Quick sideways glances: -1..1, mostly 0."""
    aside = np.zeros_like(at_s)
    for _ in range(int(rng.integers(0, 3))):
        begin_s = float(rng.uniform(at_s[0], at_s[-1]))
        length_s = float(rng.uniform(0.4, 1.0))
        there = ease((at_s - begin_s) / 0.2) * (1 - ease((at_s - begin_s - length_s) / 0.25))
        aside += float(rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)) * there
    return np.clip(aside, -1, 1)


def in_hand(style: Style, at_s: Path, rng: np.random.Generator) -> Path:
    """How something held in a hand moves (n, 6): right, down, nearer; yaw, pitch, roll in degrees.

    Lengths are in distances between the eyes of the face shown on it.
    """
    drift, shiver = draw(style.hand_drift, rng), draw(style.tremor, rng)
    hz = draw(style.tremor_hz, rng)
    slow = np.stack([wander(style, at_s, float(rng.uniform(0.3, 0.9)), rng) for _ in range(6)], 1)
    fast = np.stack([tremor(style, at_s, hz, rng) for _ in range(6)], 1)
    return np.asarray(slow * drift * [1, 1, 2, 25, 20, 15] + fast * shiver * [1, 1, 1, 20, 20, 15])
