"""The search for the most alike people, held against comparing with everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.faces.gallery.codes import LEVELS, Codes, L1Head
from oneglance.faces.gallery.identify import most_alike, with_codes
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel, load_model

SIZE = 256
Rows = NDArray[np.float32]


class Weighted:
    """A Siamese head in numpy: sure, slow, and made for any weights."""

    def __init__(self, weights: Rows, bias: float = 20.0) -> None:
        self.weights, self.bias = weights, bias

    def compare(self, probes: Rows, templates: Rows) -> Rows:
        """Scores (p, n)."""
        apart = np.abs(probes[:, np.newaxis] - templates[np.newaxis])
        return np.asarray(self.bias - apart @ self.weights, np.float32)


def unit(rng: np.random.Generator, count: int, size: int = SIZE) -> Rows:
    rows = rng.standard_normal((count, size)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def gallery(templates: Rows, per_person: int) -> Snapshot:
    ids = tuple(f"person-{i // per_person}" for i in range(len(templates)))
    return Snapshot(ids, dict.fromkeys(ids, "somebody"), templates)


def by_brute_force(head: Weighted, snapshot: Snapshot, probe: Rows) -> list[tuple[str, float]]:
    best: dict[str, float] = {}
    scores = head.compare(probe[np.newaxis], snapshot.templates)[0]
    for person, score in zip(snapshot.person_ids, scores, strict=True):
        best[person] = max(float(score), best.get(person, float("-inf")))
    return sorted(best.items(), key=lambda item: -item[1])[:2]


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    per_person=st.integers(1, 400),
    closeness=st.floats(0, 1.5),
    spread=st.floats(0, 2),
)
def test_the_fast_search_finds_the_same_people_with_the_same_scores(
    seed: int, per_person: int, closeness: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    head = Weighted(np.asarray(1 + spread * rng.random(SIZE), np.float32))
    templates = unit(rng, 2500)
    fast = with_codes(gallery(templates, per_person), L1Head(head.bias, head.weights))
    assert fast.codes is not None
    probe = templates[rng.integers(2500)] + closeness * unit(rng, 1)[0]
    probe = np.asarray(probe / np.linalg.norm(probe), np.float32)
    (found,) = most_alike(head, fast, probe[np.newaxis])
    expected = by_brute_force(head, fast, probe)
    assert sorted(found.values(), reverse=True) == pytest.approx([s for _, s in expected])
    assert list(found) == [person for person, _ in expected]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(0, 600))
def test_nobody_at_or_above_the_floor_is_ever_missed(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    head = Weighted(np.full(SIZE, 1.8, np.float32))
    fast = with_codes(gallery(unit(rng, 2500), 1), L1Head(head.bias, head.weights))
    probe = unit(rng, 1)[0]
    floor = float(np.sort(head.compare(probe[np.newaxis], fast.templates)[0])[-1 - rank])
    (found,) = most_alike(head, fast, probe[np.newaxis], floor=floor)
    above = [(p, s) for p, s in by_brute_force(head, fast, probe) if s >= floor]
    assert {p: s for p, s in found.items() if s >= floor} == pytest.approx(dict(above))


@pytest.mark.parametrize("count", [1, 2, 300])
def test_a_small_gallery_is_compared_as_a_whole(count: int) -> None:
    rng = np.random.default_rng(count)
    head = Weighted(np.ones(SIZE, np.float32))
    small = with_codes(gallery(unit(rng, count), 1), L1Head(head.bias, head.weights))
    assert small.codes is None
    probes = unit(rng, 3)
    for probe, found in zip(probes, most_alike(head, small, probes), strict=True):
        expected = by_brute_force(head, small, probe)
        assert list(found) == [person for person, _ in expected]
        assert found == pytest.approx(dict(expected))


def test_an_empty_gallery_is_like_nobody() -> None:
    head = Weighted(np.ones(SIZE, np.float32))
    assert most_alike(head, Snapshot.empty(SIZE), unit(np.random.default_rng(0), 2)) == [{}, {}]


def test_a_probe_that_is_no_number_is_like_nobody_in_a_large_gallery() -> None:
    rng = np.random.default_rng(0)
    head = Weighted(np.ones(SIZE, np.float32))
    large = with_codes(gallery(unit(rng, 2500), 1), L1Head(head.bias, head.weights))
    assert most_alike(head, large, np.full((1, SIZE), np.nan, np.float32)) == [{}]


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


def test_the_shipped_models_head_is_known_from_its_answers(model: FaceModel) -> None:
    head = L1Head.behind(model.compare, model.template_size)
    assert head is not None
    rng = np.random.default_rng(1)
    pairs = unit(rng, 5, model.template_size)
    ours = Weighted(head.weights, head.bias).compare(pairs[:2], pairs)
    assert model.compare(pairs[:2], pairs) == pytest.approx(ours, abs=1e-3)


def test_a_head_of_another_kind_leaves_the_gallery_as_it_is() -> None:
    def cosine(probes: Rows, templates: Rows) -> Rows:
        return np.asarray(probes @ templates.T, np.float32)

    assert L1Head.behind(cosine, SIZE) is None
    crooked = Weighted(np.linspace(-1, 1, SIZE, dtype=np.float32))
    assert L1Head.behind(crooked.compare, SIZE) is None
    large = gallery(unit(np.random.default_rng(0), 2500), 1)
    assert with_codes(large, None) is large


def test_a_code_has_a_bit_for_each_step_between_levels() -> None:
    codes = Codes.of(unit(np.random.default_rng(0), 3), L1Head(1.0, np.ones(SIZE, np.float32)))
    assert codes.bits.shape == (3, SIZE * (LEVELS - 1) // 8)


def test_a_claim_is_verified_against_the_claimed_person_alone() -> None:
    whole = gallery(unit(np.random.default_rng(0), 6), 2)
    claimed = whole.only("person-1")
    assert claimed.person_ids == ("person-1", "person-1")
    assert np.array_equal(claimed.templates, whole.templates[2:4])
    assert dict(claimed.names) == {"person-1": "somebody"}
    assert whole.only("nobody").person_ids == ()
