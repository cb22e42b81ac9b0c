"""Pairs in Siamese training: the loss, the batches, the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation import metrics

# The cosine at which the teacher decides. Errors near it count most, errors far away hardly at all.
_DECIDING_COSINE = 0.4
_DECIDING_WIDTH = 0.2
_FAR_WEIGHT = 0.02


@keras.saving.register_keras_serializable(package="oneglance")
def relational_loss(cosines: Any, scores: Any) -> Any:
    """How far scores (n, n) are from the teacher's distances, negated, given as cosines (n, n).

    The relative squared error of the head's distance, weighted toward the pairs near the
    decision. Source: relational distillation (Park et al., CVPR 2019), here through the head.
    """
    ops = keras.ops
    distance = ops.sqrt(ops.maximum(2 - 2 * cosines, 1e-4))
    off = (cosines - _DECIDING_COSINE) / _DECIDING_WIDTH
    weight = ops.exp(-ops.square(off)) + _FAR_WEIGHT
    weight = ops.where(cosines > 0.999, 0.0, weight)
    return ops.sum(weight * ops.square(scores / distance + 1)) / (ops.sum(weight) + 1e-9)


def all_pairs_model(inputs: Any, templates: Any, head: keras.layers.Layer) -> keras.Model:
    """From a batch of inputs (n, ...) to the scores (n, n) of each with each other."""
    rows = keras.layers.Lambda(_as_rows, name="rows")(templates)
    columns = keras.layers.Lambda(_as_columns, name="columns")(templates)
    return keras.Model(inputs, head([rows, columns]), name="all_pairs")


@keras.saving.register_keras_serializable(package="oneglance")
def _as_rows(templates: Any) -> Any:
    return keras.ops.expand_dims(templates, 1)


@keras.saving.register_keras_serializable(package="oneglance")
def _as_columns(templates: Any) -> Any:
    return keras.ops.expand_dims(templates, 0)


class PairBatches:
    """Batches in which half of the pictures come in pairs of one person."""

    def __init__(self, people: Sequence[str]) -> None:
        _, numbers = np.unique(np.asarray(people), return_inverse=True)
        order = np.argsort(numbers, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
        self._paired = [group for group in groups if len(group) > 1]
        self._count = len(numbers)

    def draw(self, size: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """`size` row numbers."""
        pairs = min(size // 4, len(self._paired))
        chosen = generator.choice(len(self._paired), pairs, replace=False)
        twins = [generator.choice(self._paired[group], 2, replace=False) for group in chosen]
        rest = generator.integers(0, self._count, size - 2 * pairs)
        return np.concatenate([*twins, rest]).astype(np.int64)


def calibration(
    genuine: NDArray[np.floating], impostor: NDArray[np.floating]
) -> tuple[float, float]:
    """Logistic regression: (factor, shift) so that factor * score + shift is a logit.

    Genuine and impostor pairs have the same total weight, so at a logit of 0 a pair is equally
    likely to be either. Fitted by Newton's method.
    """
    scores = np.concatenate([genuine, impostor]).astype(np.float64)
    same = np.concatenate([np.ones(len(genuine)), np.zeros(len(impostor))])
    weight = np.concatenate(
        [np.full(len(genuine), 1 / len(genuine)), np.full(len(impostor), 1 / len(impostor))]
    )
    middle, spread = scores.mean(), scores.std()
    x = np.column_stack([(scores - middle) / spread, np.ones(len(scores))])
    # A trace of ridge, so that perfectly separable pairs do not drive the factor to infinity.
    ridge = 1e-3 * np.diag([1.0, 0.0])
    answer = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(x @ answer, -50, 50)))
        gradient = x.T @ (weight * (chance - same)) + ridge @ answer
        curvature = (x * (weight * chance * (1 - chance))[:, None]).T @ x + ridge
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        answer -= step
        if np.abs(step).max() < 1e-10:
            break
    factor = float(answer[0] / spread)
    return factor, float(answer[1] - factor * middle)


def figures(genuine: NDArray[np.floating], impostor: NDArray[np.floating]) -> dict[str, float]:
    """TAR at the strict false accept rates for which the sample is large enough, and the EER."""
    shown = {"eer": metrics.equal_error_rate(genuine, impostor)}
    for far in (1e-3, 1e-4, 1e-5):
        if far * len(impostor) >= 10:
            shown[f"tar_{far:.0e}"] = metrics.tar_at_far(genuine, impostor, far)
    return shown
