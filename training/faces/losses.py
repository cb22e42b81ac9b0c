"""Losses on templates and their distances: each a function, and a serialisable Keras class."""

from __future__ import annotations

import math
from typing import Any

import keras

from oneglance.training.engine.pairs import relational_loss

_ALMOST_ONE = 1 - 1e-6


def contrastive(same: Any, distances: Any, margin: float) -> Any:
    """Losses (n,) of pairs: d^2 for genuine ones, max(0, margin - d)^2 for impostors.

    `same` (n,) is 1 or 0, `distances` (n,) >= 0. Source: Hadsell, Chopra, LeCun, CVPR 2006,
    equation 4, without its halves.
    """
    ops = keras.ops
    same = ops.cast(same, distances.dtype)
    near, far = ops.square(distances), ops.square(ops.relu(margin - distances))
    return same * near + (1 - same) * far


def batch_hard_triplet(labels: Any, distances: Any, margin: float) -> Any:
    """Losses (n,): max(0, margin + farthest of the same person - nearest of another).

    `labels` (n,) say who is on each picture of the batch, `distances` (n, n) >= 0. Source:
    Hermans, Beyer, Leibe, In defense of the triplet loss, 2017 (arXiv:1703.07737), equation 5.
    """
    ops = keras.ops
    same = ops.equal(labels[:, None], labels[None, :])
    farthest = ops.max(ops.where(same, distances, 0.0), axis=1)
    nearest = ops.min(ops.where(same, float("inf"), distances), axis=1)
    return ops.relu(margin + farthest - nearest)


def angular_margin(labels: Any, cosines: Any, scale: float, margin: float) -> Any:
    """Losses (n,): cross-entropy where the right class's angle counts `margin` radians more.

    `labels` (n,) are class numbers, `cosines` (n, classes) those of each template with each class
    direction. Source: Deng, Guo, Xue, Zafeiriou, ArcFace, CVPR 2019. Where angle + margin would
    pass pi, cos(angle) - margin sin(margin) takes its place and keeps falling, as in their code.
    """
    ops = keras.ops
    right = ops.one_hot(ops.cast(labels, "int32"), cosines.shape[-1], dtype=cosines.dtype)
    cosine = ops.clip(ops.sum(right * cosines, axis=-1), -_ALMOST_ONE, _ALMOST_ONE)
    sine = ops.sqrt(1 - ops.square(cosine))
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    falling = cosine - margin * math.sin(margin)
    handicapped = ops.where(cosine > math.cos(math.pi - margin), turned, falling)
    logits = scale * (cosines * (1 - right) + handicapped[:, None] * right)
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def toward_teacher(teacher: Any, templates: Any) -> Any:
    """Losses (n,): 1 - cosine of a template (n, d) with the teacher's (n, d).

    Both are of length 1. Source: Hinton, Vinyals, Dean, Distilling the knowledge in a neural
    network, 2015 (arXiv:1503.02531), on templates in place of class probabilities. Its counterpart
    on pairs is `pairs.relational_loss`.
    """
    return 1 - keras.ops.sum(teacher * templates, axis=-1)


@keras.saving.register_keras_serializable(package="oneglance")
class Contrastive(keras.losses.Loss):
    """`contrastive`, called with same (n,) and distances (n,)."""

    def __init__(self, margin: float = 1.0, name: str = "contrastive", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, same: Any, distances: Any) -> Any:
        """Losses (n,)."""
        return contrastive(same, distances, self.margin)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this loss again."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="oneglance")
class BatchHardTriplet(keras.losses.Loss):
    """`batch_hard_triplet`, called with labels (n,) and distances (n, n)."""

    def __init__(self, margin: float = 0.3, name: str = "batch_hard", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, labels: Any, distances: Any) -> Any:
        """Losses (n,)."""
        return batch_hard_triplet(labels, distances, self.margin)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this loss again."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="oneglance")
class AngularMargin(keras.losses.Loss):
    """`angular_margin`, called with labels (n,) and cosines (n, classes)."""

    def __init__(
        self, scale: float = 64.0, margin: float = 0.5, name: str = "angular_margin", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = scale
        self.margin = margin

    def call(self, labels: Any, cosines: Any) -> Any:
        """Losses (n,)."""
        return angular_margin(labels, cosines, self.scale, self.margin)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this loss again."""
        return {**super().get_config(), "scale": self.scale, "margin": self.margin}


@keras.saving.register_keras_serializable(package="oneglance")
class Distillation(keras.losses.Loss):
    """`toward_teacher` and `relational_loss`, weighted; called with the teacher's templates (n, t).

    The student's output is (n, d + n), as `metric.student` makes it: its templates, and the head's
    distances negated. `size` is d. With a `cosine` weight, d must equal t.
    """

    def __init__(
        self,
        size: int,
        cosine: float = 1.0,
        relational: float = 0.0,
        name: str = "distillation",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.size = size
        self.cosine = cosine
        self.relational = relational

    def call(self, teacher: Any, said: Any) -> Any:
        """Losses (n,)."""
        templates, near = said[:, : self.size], said[:, self.size :]
        losses = keras.ops.zeros_like(templates[:, 0])
        if self.cosine:
            losses = losses + self.cosine * toward_teacher(teacher, templates)
        if self.relational:
            cosines = keras.ops.matmul(teacher, keras.ops.transpose(teacher))
            losses = losses + self.relational * relational_loss(cosines, near)
        return losses

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this loss again."""
        own = {"size": self.size, "cosine": self.cosine, "relational": self.relational}
        return {**super().get_config(), **own}
