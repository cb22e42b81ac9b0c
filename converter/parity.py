"""Is the converted model still the same model?"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.model.face_model import FaceModel

_BATCH = 32
_SCORED = 64


@dataclass(frozen=True, slots=True)
class Parity:
    """How closely two models agree on the same chips.

    `cosine_mean` and `cosine_min` of their templates, and the largest difference of a score in
    standard deviations of the original's scores.
    """

    cosine_mean: float
    cosine_min: float
    score_difference: float

    def within(self, limit: Parity) -> bool:
        """Whether this is at least as good as `limit`; NaN never is."""
        return (
            self.cosine_mean >= limit.cosine_mean
            and self.cosine_min >= limit.cosine_min
            and self.score_difference <= limit.score_difference
        )

    def as_dict(self) -> dict[str, float]:
        """For a manifest."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"cosine mean {self.cosine_mean:.5f}, min {self.cosine_min:.5f}, "
            f"scores differ by {self.score_difference:.4f} of their spread"
        )


def measure(pair: keras.Model, model: FaceModel, chips: NDArray[np.uint8]) -> Parity:
    """Compare the Keras pair with the converted model on chips uint8 (n, 112, 112, 3)."""
    encoder, head = pair.get_layer("encoder"), pair.get_layer("head")
    wanted = np.concatenate(
        [
            np.asarray(encoder.predict_on_batch(chips[at : at + _BATCH].astype(np.float32)))
            for at in range(0, len(chips), _BATCH)
        ]
    )
    found = np.concatenate(
        [model.encode(chips[at : at + _BATCH]) for at in range(0, len(chips), _BATCH)]
    )
    few = slice(0, _SCORED)
    original = np.asarray(head([wanted[few, None, :], wanted[None, few, :]]))
    return parity(wanted, found, original, model.compare(found[few], found[few]))


def parity(
    wanted: NDArray[np.float32],
    found: NDArray[np.float32],
    original: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> Parity:
    """From templates (n, d) by both models, and scores (m, m) of the first m with each other."""
    values = cosines(wanted, found)
    off = ~np.eye(len(scores), dtype=bool)
    spread = float(original[off].std()) if len(scores) > 1 else 1.0
    difference = float(np.abs(scores - original).max()) / max(spread, 1e-9)
    return Parity(float(values.mean()), float(values.min()), difference)


def cosines(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each row of two arrays (n, d); NaN where a row is all zero."""
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(1) / np.where(lengths > 0, lengths, np.nan))
