"""The Siamese training's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from oneglance.training.engine.pairs import PairBatches, calibration, relational_loss
from oneglance.training.faces.siamese_training import Faces, unseen, worn


def test_scores_that_are_minus_the_teachers_distance_cost_nothing() -> None:
    generator = np.random.default_rng(0)
    templates = generator.normal(size=(6, 4))
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    cosines = (templates @ templates.T).astype(np.float32)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0)).astype(np.float32)
    assert float(relational_loss(cosines, -distances)) == pytest.approx(0, abs=1e-4)
    assert float(relational_loss(cosines, -1.1 * distances)) == pytest.approx(0.01, rel=0.01)


def test_a_face_compared_with_itself_does_not_count() -> None:
    cosines = np.array([[1.0, 0.4], [0.4, 1.0]], np.float32)
    distance = np.sqrt(1.2)
    wrong_only_at_home = np.array([[-9, -distance], [-distance, -9]], np.float32)
    assert float(relational_loss(cosines, wrong_only_at_home)) == pytest.approx(0, abs=1e-5)


def test_half_of_a_batch_comes_in_pairs_of_one_person() -> None:
    people = [f"p{n // 3}" for n in range(60)] + [f"alone{n}" for n in range(40)]
    rows = PairBatches(people).draw(32, np.random.default_rng(0))
    assert rows.shape == (32,)
    for twin in range(8):
        a, b = rows[2 * twin], rows[2 * twin + 1]
        assert a != b
        assert people[a] == people[b]


def test_calibration_puts_zero_where_both_kinds_are_as_likely() -> None:
    generator = np.random.default_rng(0)
    genuine, impostor = generator.normal(2, 1, 20_000), generator.normal(0, 1, 90_000)
    factor, shift = calibration(genuine, impostor)
    # For two normal heaps of one width the logit is known: (m1 - m0) / s^2 * (x - middle).
    assert factor == pytest.approx(2.0, rel=0.05)
    assert shift / factor == pytest.approx(-1.0, abs=0.05)


def test_calibration_of_separable_scores_stays_finite() -> None:
    factor, shift = calibration(np.array([2.0, 3.0]), np.array([-2.0, -3.0]))
    assert 0 < factor < 1e3
    assert np.isfinite(shift)


def test_everybody_who_looks_like_a_tested_person_is_left_out() -> None:
    templates = np.eye(3, dtype=np.float32)
    chips = np.zeros((3, 1, 1, 3), np.uint8)
    faces = Faces(chips, chips, ("a", "a", "b"))
    tested = np.array([[0.0, 0.9, np.sqrt(1 - 0.81)]], np.float32)
    assert unseen(faces, templates, tested, 0.5).tolist() == [False, False, True]


def test_a_worn_chip_is_still_a_chip_and_repeatable() -> None:
    chip = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    first, second = (worn(chip, np.random.default_rng(4)) for _ in range(2))
    assert first.shape == chip.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, worn(chip, np.random.default_rng(5)))
