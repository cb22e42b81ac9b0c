"""One row a person: what is fused, what is not, and that nobody is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.fusing import fuse, fused
from oneglance.faces.gallery.identify import most_alike, with_codes
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel, load_model

SIZE = 256
Rows = NDArray[np.float32]
HEAD = L1Head(27.4, np.full(SIZE, 1.9, np.float32))


def units(rng: np.random.Generator, count: int) -> Rows:
    rows = rng.standard_normal((count, SIZE))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def pictures(rng: np.random.Generator, count: int, noise: float) -> Rows:
    """Templates of one person: one direction, and noise of this length."""
    rows = units(rng, 1) + noise * units(rng, count)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(1, 5), max_size=8))
def test_who_agrees_with_themselves_has_one_row_and_the_others_keep_theirs(
    seed: int, counts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    noises = rng.choice([0.3, 2.0], len(counts))
    people = [pictures(rng, n, noise) for n, noise in zip(counts, noises, strict=True)]
    ids = [f"p{i}" for i, count in enumerate(counts) for _ in range(count)]
    rows = np.concatenate([*people, np.empty((0, SIZE), np.float32)])
    # In any order: whose rows they are is told by the ids alone.
    shuffled = rng.permutation(len(ids))
    names = {name: name.upper() for name in ids}
    snapshot = Snapshot(tuple(ids[i] for i in shuffled), names, rows[shuffled])
    one_each = fused(snapshot, HEAD, agreement=1.1)
    assert one_each.names == snapshot.names
    for i, (count, noise) in enumerate(zip(counts, noises, strict=True)):
        mine = one_each.templates[[one == f"p{i}" for one in one_each.person_ids]]
        if noise < 1:
            assert len(mine) == 1
            assert (mine[0] @ people[i].T).min() > 0.9
        else:
            assert {row.tobytes() for row in mine} == {row.tobytes() for row in people[i]}
            assert len(mine) == count


def test_a_fused_row_is_longer_the_less_its_pictures_agree() -> None:
    rng = np.random.default_rng(1)
    lengths = [float(np.linalg.norm(fuse(pictures(rng, 3, noise)))) for noise in (0.0, 0.3, 0.6)]
    assert lengths[0] == pytest.approx(1, abs=1e-5)
    assert 1 < lengths[1] < lengths[2] < 1.15


def test_longer_templates_make_a_row_as_much_longer() -> None:
    three = pictures(np.random.default_rng(4), 3, 0.4)
    assert np.allclose(fuse(np.asarray(1.3 * three, np.float32)), 1.3 * fuse(three), atol=1e-5)


def test_a_new_picture_of_the_person_scores_higher_than_against_most_single_ones() -> None:
    model: FaceModel = load_model()
    head = L1Head.behind(model.compare, SIZE)
    rng = np.random.default_rng(2)
    rows = pictures(rng, 4, 0.55)
    one = fused(Snapshot(("ada",) * 3, {"ada": "Ada"}, rows[:3]), head, agreement=1.1)
    alone = model.compare(rows[3:], rows[:3])[0]
    assert most_alike(model, one, rows[3:])[0]["ada"] > np.median(alone)


def test_a_large_fused_gallery_is_searched_as_exactly_as_any() -> None:
    rng = np.random.default_rng(3)
    rows = np.concatenate([pictures(rng, 2, 0.5) for _ in range(2100)])
    ids = tuple(f"p{i // 2}" for i in range(len(rows)))
    small = fused(Snapshot(ids, dict.fromkeys(ids, ""), rows), HEAD, agreement=1.1)
    assert len(small.templates) == 2100
    fast = with_codes(small, HEAD)
    assert fast.codes is not None

    class Exact:
        def compare(self, probes: Rows, templates: Rows) -> Rows:
            apart = np.abs(probes[:, np.newaxis] - templates)
            return np.asarray(HEAD.bias - apart @ HEAD.weights, np.float32)

    for probe in rows[:10, np.newaxis]:
        (found,), (wanted,) = (most_alike(Exact(), g, probe) for g in (fast, small))
        assert found == pytest.approx(wanted)


def test_without_an_l1_head_nothing_is_fused() -> None:
    rows = pictures(np.random.default_rng(4), 3, 0.1)
    snapshot = Snapshot(("ada",) * 3, {"ada": "Ada"}, rows)
    assert fused(snapshot, None, agreement=1.1) is snapshot
