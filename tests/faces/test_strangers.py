"""The strict end of impostor scores: what is counted, what a fitted distribution tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.errors import ConfigError
from oneglance.faces.evaluation import strangers
from oneglance.faces.evaluation.strangers import Pareto, SamePeople, Strangers, collect, fit_pareto
from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.document import Threshold, parse_part


def compare(probes: np.ndarray, templates: np.ndarray) -> np.ndarray:
    return (probes @ templates.T).astype(np.float32)


def faces(people: int, pictures: int) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((people * pictures, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), [f"list/{i // pictures}" for i in range(people * pictures)]


def test_it_keeps_what_all_pairs_has_above_the_floor() -> None:
    rows, people = faces(50, 2)
    _, impostor = all_pairs(rows, people, compare)
    found = collect(rows, people, compare, 0.4)
    assert found.pairs == len(impostor)
    assert np.sort(found.scores) == pytest.approx(np.sort(impostor[impostor >= 0.4]))
    assert found.pictures.tolist() == [2] * 50
    assert (found.first != found.second).all()


def test_two_names_of_one_person_are_no_strangers(tmp_path: Path) -> None:
    rows, people = faces(50, 2)
    every = collect(rows, people, compare, -2.0)
    file = tmp_path / "same.csv"
    file.write_text(f"people_sha256,best_score\n{SamePeople.hash_of('other/7', 'list/3')},9\n")
    fewer = collect(rows, people, compare, -2.0, SamePeople.read(file))
    assert every.pairs - fewer.pairs == len(every.scores) - len(fewer.scores) == 4
    pairs = {(int(a), int(b)) for a, b in zip(every.first, every.second, strict=True)}
    left = {(int(a), int(b)) for a, b in zip(fewer.first, fewer.second, strict=True)}
    kinds = sorted(set(people))
    assert {(kinds[a], kinds[b]) for a, b in pairs - left} <= {
        ("list/3", "list/7"),
        ("list/7", "list/3"),
    }


def test_a_list_of_same_people_without_hashes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    file.write_text("one,other\n3,7\n")
    with pytest.raises(ConfigError, match="no column people_sha256"):
        SamePeople.read(file)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_a_distribution_is_found_again_from_its_own_scores(shape: float) -> None:
    known = Pareto(3.0, 1e-4, shape, 0.7)
    shares = (np.arange(40_000) + 0.5) / 40_000
    scores = np.array([known.threshold(1e-4 * share) for share in shares])
    found = fit_pareto(scores, np.ones(len(scores)), 3.0, 4e8)
    assert (found.shape, found.scale) == (pytest.approx(shape, abs=0.02), pytest.approx(0.7, 0.02))
    assert found.rate == pytest.approx(1e-4)


def test_a_weight_of_two_is_a_score_twice() -> None:
    rng = np.random.default_rng(1)
    scores = 3 + rng.exponential(0.7, 500)
    weights = rng.integers(0, 4, 500)
    weighed = fit_pareto(scores, weights, 3.0, 1e6)
    repeated = fit_pareto(np.repeat(scores, weights), np.ones(weights.sum()), 3.0, 1e6)
    assert weighed.shape == pytest.approx(repeated.shape, abs=0.02)
    assert weighed.scale == pytest.approx(repeated.scale, rel=0.02)
    assert weighed.rate == repeated.rate


@settings(deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(0.1, 3), st.floats(-7, -4.01), st.floats(-7, -4.01))
def test_thresholds_and_rates_of_a_distribution_are_each_others_inverse(
    shape: float, scale: float, one: float, other: float
) -> None:
    known = Pareto(3.0, 1e-4, shape, scale)
    assert known.exceeding(known.threshold(10**one)) == pytest.approx(10**one, rel=1e-6)
    strict, lax = sorted((one, other))
    assert known.threshold(10**strict) >= known.threshold(10**lax) - 1e-9


def made(people: int, pairs_kept: int, seed: int) -> Strangers:
    """Exponential scores beyond 2, as if all others of a set of people lay below."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, people, pairs_kept)
    second = (first + rng.integers(1, people, pairs_kept)) % people
    scores = (2 + rng.exponential(0.7, pairs_kept)).astype(np.float32)
    pictures = np.full(people, round(np.sqrt(2000 * pairs_kept) / people))
    pairs = int((pictures.sum() ** 2 - (pictures**2).sum()) / 2)
    return Strangers(scores, first, second, pictures, pairs, 2.0)


def test_strict_rows_are_bounded_and_fit_a_manifest() -> None:
    sets = [made(600, 30_000, 0), made(400, 25_000, 1)]
    genuine = np.linspace(0, 20, 101)
    rows = strangers.strict_rows(sets, genuine, draws=100)
    assert list(rows) == ["1e-6", "1e-7"]
    for rate, row in rows.items():
        typed = parse_part(Threshold, row)
        assert typed.fmr <= float(rate) <= typed.fmr_95[1]
        assert typed.fmr_95_people is not None
        assert typed.fmr_95_people[0] <= typed.fmr <= typed.fmr_95_people[1]
        assert typed.impostor_pairs == sum(one.pairs for one in sets)
        assert typed.threshold >= 2 + 0.7 * np.log(1e-3 / float(rate)) - 0.4
    assert rows["1e-7"]["threshold"] > rows["1e-6"]["threshold"]


def test_the_highest_rate_is_that_of_the_set_where_most_match() -> None:
    one = made(300, 3000, 0)
    more = replace(one, scores=one.scores + 0.7)
    rate = float((more.scores >= 4).sum() / more.pairs)
    highest, alone, least = (
        strangers.highest_rate(sets, 4, draws=100) for sets in ([one, more], [more], [one])
    )
    assert rate < highest < 1.5 * rate
    assert highest == alone > least


def test_rates_on_which_hardly_any_pair_stands_are_left_out() -> None:
    assert list(strangers.strict_rows([made(600, 30_000, 0)], np.zeros(1), draws=20)) == ["1e-6"]
    assert strangers.strict_rows([made(100, 300, 0)], np.zeros(1), draws=20) == {}
