"""The score from which on a trained pair takes two drawings for one character."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.training.drawings.compact_training import Head, encode
from oneglance.training.drawings.koch_training import draw_pairs, join_of
from oneglance.training.drawings.omniglot import Drawings
from oneglance.training.engine.pairs import calibration
from oneglance.training.networks.heads import CosineHead

_THRESHOLD_PAIRS = 4_000


def head_of(pair: keras.Model) -> Head:
    """What scores two templates in a Siamese pair of drawings, `compact` or `koch`."""
    if any(layer.name == "head" for layer in pair.layers):
        head: Head = pair.get_layer("head")
        return head
    return join_of(pair)


def fit_threshold(
    encoder: keras.Model, head: Head, drawings: Drawings, seed: int
) -> dict[str, float | int]:
    """The score that decides the most pairs correctly, where half of them are the same.

    A CosineHead is calibrated first, so that its score is a logit.
    """
    rows, same = draw_pairs(drawings, _THRESHOLD_PAIRS, np.random.default_rng([seed, 9]))
    used, places = np.unique(rows, return_inverse=True)
    templates = encode(encoder, drawings.images[used])[places.reshape(rows.shape)]

    def scores() -> NDArray[np.float64]:
        return np.asarray(head([templates[:, 0], templates[:, 1]]), np.float64)

    if isinstance(head, CosineHead):
        raw = scores()
        head.calibrate(*calibration(raw[same > 0], raw[same == 0]))
    threshold, accuracy = best_threshold(scores(), same > 0)
    return {"threshold": threshold, "accuracy": accuracy, "pairs": len(rows)}


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold, midway between two scores, that gets the most pairs right; and how many."""
    order = np.argsort(-scores, kind="stable")
    falling = np.concatenate([[np.inf], scores[order], [-np.inf]])
    accepted_right = np.concatenate([[0], np.cumsum(same[order])])
    refused_right = np.concatenate([np.cumsum(~same[order][::-1])[::-1], [0]])
    right = np.where(falling[:-1] > falling[1:], accepted_right + refused_right, -1)
    best = int(np.argmax(right))
    above, below = falling[best], falling[best + 1]
    if not np.isfinite(above) or not np.isfinite(below):
        threshold = float(np.nextafter(below, np.inf) if np.isfinite(below) else above)
    else:
        threshold = float((above + below) / 2)
    return threshold, float(right[best] / len(scores))
