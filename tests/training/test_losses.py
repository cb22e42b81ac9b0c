"""Each loss against numbers worked out by hand, and what it must not depend on."""

from __future__ import annotations

import math
from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.training.engine.pairs import relational_loss
from oneglance.training.faces.losses import (
    AngularMargin,
    BatchHardTriplet,
    Contrastive,
    Distillation,
    angular_margin,
    batch_hard_triplet,
    contrastive,
    toward_teacher,
)


def units(seed: int, count: int, size: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_contrastive_pulls_genuine_pairs_and_pushes_impostors_within_the_margin() -> None:
    same = np.array([1, 1, 0, 0, 0], np.float32)
    distances = np.array([0.0, 0.5, 0.3, 1.0, 1.4], np.float32)
    losses = np.asarray(contrastive(same, distances, 1.0))
    assert losses == pytest.approx([0.0, 0.25, 0.49, 0.0, 0.0], abs=1e-6)
    assert float(Contrastive(1.0)(same, distances)) == pytest.approx(0.74 / 5, rel=1e-5)


def test_batch_hard_takes_the_farthest_partner_and_the_nearest_stranger() -> None:
    labels = np.array([7, 7, 7, 2, 2])
    distances = np.array(
        [
            [0.0, 0.2, 0.9, 1.0, 0.6],
            [0.2, 0.0, 0.3, 0.4, 0.5],
            [0.9, 0.3, 0.0, 2.0, 2.1],
            [1.0, 0.4, 2.0, 0.0, 0.1],
            [0.6, 0.5, 2.1, 0.1, 0.0],
        ],
        np.float32,
    )
    # margin 0.25 + farthest - nearest: .9 - .6, .3 - .4, .9 - 2, .1 - .4, .1 - .5
    losses = np.asarray(batch_hard_triplet(labels, distances, 0.25))
    assert losses == pytest.approx([0.55, 0.15, 0.0, 0.0, 0.0], abs=1e-6)
    assert float(BatchHardTriplet(0.25)(labels, distances)) == pytest.approx(0.14, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_batch_hard_does_not_hang_on_the_order_of_the_batch(seed: int) -> None:
    templates = units(seed, 6, 4)
    distances = np.linalg.norm(templates[:, None] - templates[None], axis=2).astype(np.float32)
    labels = np.array([0, 0, 1, 1, 2, 2])
    order = np.random.default_rng(seed).permutation(6)
    mixed = batch_hard_triplet(labels[order], distances[order][:, order], 0.4)
    straight = np.asarray(batch_hard_triplet(labels, distances, 0.4))
    assert np.asarray(mixed) == pytest.approx(straight[order], abs=1e-6)


def test_the_angular_margin_is_added_to_the_right_classs_angle() -> None:
    angles = np.array([[0.4, 1.2, 2.0], [1.5, 0.9, 1.1]])
    cosines = np.cos(angles).astype(np.float32)
    labels = np.array([0, 1])
    wanted = []
    for row, label in enumerate(labels):
        logits = 8.0 * np.cos(angles[row] + 0.5 * (np.arange(3) == label))
        wanted.append(np.log(np.exp(logits).sum()) - logits[label])
    assert np.asarray(angular_margin(labels, cosines, 8.0, 0.5)) == pytest.approx(wanted, rel=1e-4)
    found = AngularMargin(8.0, 0.5)(labels, cosines)
    assert float(found) == pytest.approx(np.mean(wanted), rel=1e-4)


def test_without_a_margin_it_is_plain_cross_entropy() -> None:
    cosines = np.array([[0.1, -0.3], [0.8, 0.2]], np.float32)
    plain = keras.ops.sparse_categorical_crossentropy([1, 0], 4.0 * cosines, from_logits=True)
    found = np.asarray(angular_margin(np.array([1, 0]), cosines, 4.0, 0.0))
    assert found == pytest.approx(np.asarray(plain), rel=1e-4)


def test_the_angular_margin_loss_never_rewards_turning_away() -> None:
    """Also past the angle at which angle + margin would go round."""
    losses = [
        float(
            angular_margin(
                np.array([0]), np.array([[math.cos(angle), 0.0]], np.float32), 16.0, 0.5
            )[0]
        )
        for angle in np.linspace(0.01, math.pi - 0.01, 60)
    ]
    assert all(later >= before - 1e-4 for before, later in pairwise(losses))


def test_toward_teacher_is_one_minus_the_cosine() -> None:
    teacher = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    said = np.array([[0.6, 0.8], [0.0, 1.0]], np.float32)
    assert np.asarray(toward_teacher(teacher, said)) == pytest.approx([0.4, 0.0], abs=1e-6)


def test_distillation_weighs_templates_and_distances() -> None:
    teacher, templates = units(1, 5, 6), units(2, 5, 4)
    near = -np.linalg.norm(templates[:, None] - templates[None], axis=2).astype(np.float32)
    said = np.concatenate([templates, near], axis=1)
    related = float(relational_loss(teacher @ teacher.T, near))
    found = Distillation(4, cosine=0.0, relational=2.0)(teacher, said)
    assert float(found) == pytest.approx(2 * related, rel=1e-4)
    own = units(3, 5, 6)
    both = Distillation(6, cosine=0.5, relational=1.0)(teacher, np.concatenate([own, near], axis=1))
    cosine = 1 - float((teacher * own).sum(1).mean())
    assert float(both) == pytest.approx(0.5 * cosine + related, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        Contrastive(0.7),
        BatchHardTriplet(0.4),
        AngularMargin(30.0, 0.2),
        Distillation(8, 0.5, 2.0),
    ],
)
def test_a_loss_is_made_again_from_its_config(loss: keras.losses.Loss) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
