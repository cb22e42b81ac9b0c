"""Figures from scores, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.faces.evaluation import metrics, thresholds

scores = st.lists(st.integers(-20, 20), min_size=1, max_size=40).map(
    lambda values: np.array(values, np.float32)
)


@given(scores, st.sampled_from([0.01, 0.1, 0.3, 0.9]))
def test_no_more_impostors_than_allowed_match_at_a_fitted_threshold(
    impostor: np.ndarray, fmr: float
) -> None:
    threshold = metrics.threshold_at_fmr(impostor, fmr)
    assert np.mean(impostor >= threshold) <= fmr


@given(scores, st.sampled_from([0.1, 0.3, 0.9]))
def test_a_fitted_threshold_is_no_stricter_than_it_must_be(
    impostor: np.ndarray, fmr: float
) -> None:
    threshold = metrics.threshold_at_fmr(impostor, fmr)
    lower = impostor[impostor < threshold]
    if len(lower):
        assert np.mean(impostor >= lower.max()) > fmr


@given(scores, scores)
def test_the_area_under_the_curve_is_the_chance_of_the_right_order(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    above = (genuine[:, None] > impostor).mean() + 0.5 * (genuine[:, None] == impostor).mean()
    assert metrics.area_under_curve(genuine, impostor) == pytest.approx(above)


@given(scores, scores)
def test_the_equal_error_rate_lies_between_the_errors_around_it(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    eer = metrics.equal_error_rate(genuine, impostor)
    candidates = np.concatenate([genuine, impostor, [99]])
    worst = min(max(np.mean(impostor >= t), np.mean(genuine < t)) for t in candidates)
    assert 0 <= eer <= worst + 1e-9


@given(scores, st.data())
def test_the_best_threshold_makes_the_fewest_errors(found: np.ndarray, data: st.DataObject) -> None:
    same = np.array(data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found))))
    threshold = metrics.best_threshold(found, same)
    errors = np.sum((found >= threshold) != same)
    edges = np.concatenate([found, [found.max() + 1]])
    assert errors == min(np.sum((found >= edge) != same) for edge in edges)


@given(scores, scores)
def test_the_balanced_threshold_has_the_least_sum_of_rates(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    def rates(threshold: float) -> float:
        return float(np.mean(impostor >= threshold) + np.mean(genuine < threshold))

    found = rates(metrics.balanced_threshold(genuine, impostor))
    assert found == pytest.approx(min(rates(t) for t in np.concatenate([genuine, impostor])))


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilsons_interval_holds_the_rate(successes: int, more: int) -> None:
    trials = successes + more
    low, high = metrics.wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def test_wilsons_interval_of_nothing_is_everything() -> None:
    assert metrics.wilson(0, 0) == (0.0, 1.0)


def test_wilsons_interval_matches_a_published_value() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263.
    assert metrics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_pairs_that_were_not_acquired_count_as_wrong() -> None:
    same = np.array([True, False, True, False])
    found = np.array([5.0, -5.0, np.nan, np.nan])
    acquired = ~np.isnan(found)
    assert metrics.accuracy(found, same, acquired, 0.0) == 0.5


def test_a_folds_threshold_comes_from_the_other_folds() -> None:
    same = np.array([True, False, True, False])
    found = np.array([10.0, 8.0, 3.0, 1.0])
    folds = np.array([1, 1, 2, 2])
    by_fold, limits = metrics.fold_accuracies(found, same, folds, np.ones(4, bool))
    assert limits.tolist() == [2.0, 9.0]
    assert by_fold.tolist() == [0.5, 0.5]


def test_one_fold_has_no_protocol() -> None:
    with pytest.raises(ValueError, match="two folds"):
        metrics.fold_accuracies(np.ones(2), np.ones(2, bool), np.ones(2, int), np.ones(2, bool))


@given(scores, scores, st.integers(-25, 25))
def test_precision_is_the_genuine_share_of_what_matches(
    genuine: np.ndarray, impostor: np.ndarray, threshold: int
) -> None:
    pairs = [(score, True) for score in genuine] + [(score, False) for score in impostor]
    matches = [same for score, same in pairs if score >= threshold]
    share = metrics.precision(genuine, impostor, threshold)
    assert (share.successes, share.trials) == (sum(matches), len(matches))
    assert share.rate == (sum(matches) / len(matches) if matches else None)


@given(scores, st.integers(-25, 25))
def test_matching_scores_are_counted_at_the_threshold_and_above(
    found: np.ndarray, threshold: int
) -> None:
    share = metrics.matching(found, threshold)
    assert share.successes == sum(1 for score in found if not score < threshold)
    assert share.trials == len(found)
    low, high = share.interval
    assert share.rate is not None
    assert low <= share.rate <= high


@given(scores, scores, st.lists(st.integers(0, 40), min_size=1))
def test_the_curve_gives_the_best_tar_within_each_rate(
    genuine: np.ndarray, impostor: np.ndarray, allowed: list[int]
) -> None:
    fars = np.minimum(np.array(allowed) / len(impostor), 1.0)
    found = metrics.tars_at(genuine, impostor, fars)
    thresholds_tried = np.concatenate([genuine, impostor, [99]])
    for far, tar in zip(fars, found, strict=True):
        most = round(far * len(impostor))
        assert tar == pytest.approx(
            max(np.mean(genuine >= t) for t in thresholds_tried if np.sum(impostor >= t) <= most)
        )


@given(scores, st.integers(0, 50), st.booleans())
def test_the_worst_scores_come_first(found: np.ndarray, count: int, lowest: bool) -> None:
    places = metrics.worst(found, count, lowest=lowest)
    assert len(set(places.tolist())) == min(count, len(found))
    assert found[places].tolist() == sorted(found.tolist(), reverse=not lowest)[:count]


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=12))
def test_a_score_among_all_pairs_is_traced_back_to_its_two_templates(people: list[str]) -> None:
    rows = np.arange(len(people), dtype=np.float32)[:, None]
    kinds = thresholds.all_pairs(rows, people, lambda a, b: 100 * a + b.T)
    for same, kind in zip((True, False), kinds, strict=True):
        places = thresholds.places_of(np.arange(len(kind)), people, same=same)
        assert [100 * a + b for a, b in places] == kind.tolist()
        assert all((people[a] == people[b]) == same for a, b in places)


def test_all_pairs_counts_each_pair_once() -> None:
    people = ["a"] * 3 + ["b"] * 70 + ["c"]
    templates = np.arange(len(people), dtype=np.float32)[:, None]
    genuine, impostor = thresholds.all_pairs(templates, people, lambda a, b: a - b.T)
    assert len(genuine) == 3 + 70 * 69 // 2
    assert len(genuine) + len(impostor) == len(people) * (len(people) - 1) // 2
    assert (np.concatenate([genuine, impostor]) < 0).all()


def test_rates_that_the_sample_cannot_show_are_not_fitted() -> None:
    generator = np.random.default_rng(0)
    fitted = thresholds.fit(
        generator.normal(3, 1, 500).astype(np.float32),
        generator.normal(0, 1, 20_000).astype(np.float32),
    )
    assert list(fitted["by_fmr"]) == ["1e-2", "1e-3"]
    assert fitted["impostor_pairs"] == 20_000
    row = fitted["by_fmr"]["1e-3"]
    assert row["fmr"] <= 1e-3 <= row["fmr_95"][1]
