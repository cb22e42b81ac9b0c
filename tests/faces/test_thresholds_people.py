"""How sure a threshold's rates are when pairs share people."""

from __future__ import annotations

import numpy as np
import pytest

from oneglance.faces.evaluation import thresholds
from oneglance.faces.model.document import Thresholds, parse_part


def compare(probes: np.ndarray, templates: np.ndarray) -> np.ndarray:
    return (probes @ templates.T).astype(np.float32)


def templates_of(
    people: int, pictures: int, *, alike: int = 0, seed: int = 0
) -> tuple[np.ndarray, list[str]]:
    """Made-up templates; the first `alike` people share much with everybody."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 1, (people, 16))
    centres[:alike] = 0.5
    rows = np.repeat(centres, pictures, axis=0)
    rows = rows + generator.normal(0, 0.5, rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), [str(i // pictures) for i in range(people * pictures)]


def test_drawing_everybody_once_gives_the_rates_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Everybody:
        def integers(self, low: int, high: int, size: int) -> np.ndarray:
            return np.arange(size)

    rows, people = templates_of(12, 3)
    genuine, impostor = thresholds.all_pairs(rows, people, compare)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Everybody())
    limits = [0.2, 0.5]
    found = thresholds.people_bounds(genuine, impostor, people, limits)
    for limit, (fmr, tar) in zip(limits, found, strict=True):
        assert fmr == pytest.approx([np.mean(impostor >= limit)] * 2)
        assert tar == pytest.approx([np.mean(genuine >= limit)] * 2)


def test_one_draw_counts_pairs_as_if_people_stood_there_so_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = np.array([0, 0, 1, 3])

    class These:
        def integers(self, low: int, high: int, size: int) -> np.ndarray:
            return chosen

    rows, people = templates_of(4, 2)
    genuine, impostor = thresholds.all_pairs(rows, people, compare)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: These())
    ((fmr, tar),) = thresholds.people_bounds(genuine, impostor, people, [0.1])
    # The long way: everybody who was drawn, in a row, and all pairs of different people.
    scores = compare(rows, rows)
    owner = np.arange(8) // 2
    strangers = [
        scores[i, j]
        for place, a in enumerate(chosen)
        for b in chosen[place + 1 :]
        if a != b
        for i in np.flatnonzero(owner == a)
        for j in np.flatnonzero(owner == b)
    ]
    own = [scores[2 * a, 2 * a + 1] for a in chosen]
    assert fmr[0] == pytest.approx(np.mean(np.array(strangers) >= 0.1))
    assert tar[0] == pytest.approx(np.mean(np.array(own) >= 0.1))


def test_where_a_few_people_match_everybody_pairs_are_far_less_sure_than_they_seem() -> None:
    rows, people = templates_of(80, 3, alike=2)
    genuine, impostor = thresholds.all_pairs(rows, people, compare)
    fitted = thresholds.fit(genuine, impostor, people)
    row = fitted["by_fmr"]["1e-2"]
    wilson, honest = np.ptp(row["fmr_95"]), np.ptp(row["fmr_95_people"])
    assert honest > 2 * wilson
    assert row["fmr_95_people"][0] <= row["fmr"] <= row["fmr_95_people"][1]
    assert row["tar_95_people"][0] <= row["tar"] <= row["tar_95_people"][1]


def test_the_bounds_are_the_same_each_time_and_stand_in_a_manifest() -> None:
    rows, people = templates_of(60, 2)
    genuine, impostor = thresholds.all_pairs(rows, people, compare)
    once, again = (thresholds.fit(genuine, impostor, people) for _ in range(2))
    assert once == again
    assert once["by_fmr"]
    typed = parse_part(Thresholds, {**once, "accuracy": None})
    assert typed.by_fmr["1e-2"].fmr_95_people is not None
    without = thresholds.fit(genuine, impostor)
    assert "fmr_95_people" not in without["by_fmr"]["1e-2"]
