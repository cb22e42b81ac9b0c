"""Heads: two templates in, one logit out; and the distance that each one measures."""

from __future__ import annotations

import math
from typing import Any

import keras

# Added to 1 - cosine, so that the square root has a slope where two templates are equal.
_LEAST = 1e-6


@keras.saving.register_keras_serializable(package="oneglance")
class WeightedL1Head(keras.layers.Layer):
    """The logit b - sum_j w_j |a_j - b_j|; two inputs (..., d), one output (...).

    Koch, Zemel, Salakhutdinov, Siamese neural networks for one-shot image recognition, 2015, where
    the same join ends in a sigmoid. There the weights can have either sign (`signed`); here w >= 0
    by default, so that the sum is a distance.
    """

    def __init__(self, signed: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signed = signed

    def build(self, input_shape: Any) -> None:
        """Start with equal weights, a plain L1 distance; signed ones start at random (Glorot)."""
        sigma = math.sqrt(2 / (input_shape[0][-1] + 1))
        self.weights_l1 = self.add_weight(
            name="weights_l1",
            shape=(input_shape[0][-1],),
            initializer=keras.initializers.RandomNormal(0.0, sigma) if self.signed else "ones",
            constraint=None if self.signed else keras.constraints.NonNeg(),
        )
        self.bias = self.add_weight(name="bias", shape=(), initializer="zeros")

    def start(self, sharpness: float) -> None:
        """Set weights so that for random unit templates the distance is `sharpness` times the
        chord.

        The mean L1 length of a random unit vector of d components is sqrt(2 d / pi). The bias
        puts a logit of 0 at a chord of 1. A signed head keeps its random weights.
        """
        if not self.signed:
            even = math.sqrt(math.pi / (2 * self.weights_l1.shape[0]))
            self.weights_l1.assign(keras.ops.full(self.weights_l1.shape, sharpness * even))
            self.bias.assign(sharpness)

    def calibrate(self, factor: float, shift: float) -> None:
        """Make the score factor * score + shift."""
        self.weights_l1.assign(self.weights_l1 * factor)
        self.bias.assign(self.bias * factor + shift)

    def distance(self, inputs: Any) -> Any:
        """The weighted L1 distance (...), with which the logit falls."""
        a, b = inputs
        return keras.ops.sum(keras.ops.abs(a - b) * self.weights_l1, axis=-1)

    def call(self, inputs: Any) -> Any:
        """Score pairs; shapes broadcast."""
        return self.bias - self.distance(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One score a pair."""
        return _broadcast(*input_shape)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        return {**super().get_config(), "signed": self.signed}


@keras.saving.register_keras_serializable(package="oneglance")
class CosineHead(keras.layers.Layer):
    """The logit scale * cosine + bias of templates of length 1; two inputs (..., d), one (...).

    Scale and bias are not trained unless `learned`: a free scale diverges in a loss that compares
    scores, but a cross-entropy of single pairs needs them. `calibrate` sets them after training.
    """

    def __init__(self, scale: float = 16.0, learned: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first_scale = scale
        self.learned = learned

    def build(self, input_shape: Any) -> None:
        """One factor and one shift."""
        constant = keras.initializers.Constant(self.first_scale)
        self.scale = self.add_weight(
            name="scale", shape=(), initializer=constant, trainable=self.learned
        )
        self.bias = self.add_weight(
            name="bias", shape=(), initializer="zeros", trainable=self.learned
        )

    def start(self, sharpness: float) -> None:
        """Set scale and bias so that the logit is `sharpness` (1 - chord^2), 0 at a chord of 1."""
        self.scale.assign(2 * sharpness)
        self.bias.assign(-sharpness)

    def calibrate(self, factor: float, shift: float) -> None:
        """Make the score factor * score + shift."""
        self.scale.assign(self.scale * factor)
        self.bias.assign(self.bias * factor + shift)

    def distance(self, inputs: Any) -> Any:
        """The chord (...) between templates of length 1: sqrt(2 - 2 cosine)."""
        a, b = inputs
        cosine = keras.ops.sum(a * b, axis=-1)
        return keras.ops.sqrt(keras.ops.maximum(2 - 2 * cosine, _LEAST))

    def call(self, inputs: Any) -> Any:
        """Score pairs; shapes broadcast."""
        a, b = inputs
        return self.scale * keras.ops.sum(a * b, axis=-1) + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One score a pair."""
        return _broadcast(*input_shape)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        return {**super().get_config(), "scale": self.first_scale, "learned": self.learned}


@keras.saving.register_keras_serializable(package="oneglance")
class Distance(keras.layers.Layer):
    """The distance that a head sees between two templates: two inputs (..., d), one (...)."""

    def __init__(self, head: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = head if isinstance(head, keras.layers.Layer) else _deserialised(head)
        self._without_bias()

    def build(self, input_shape: Any) -> None:
        """The head's own weights."""
        if not self.head.built:
            self.head.build(input_shape)
        self._without_bias()

    def call(self, inputs: Any) -> Any:
        """Measure pairs; shapes broadcast."""
        return self.head.distance(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One distance a pair."""
        return _broadcast(*input_shape)

    def _without_bias(self) -> None:
        # The distance does not use the bias, and Keras warns of a weight without a gradient.
        if self.head.built:
            self.head.bias.trainable = False

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        head = keras.saving.serialize_keras_object(self.head)
        return {**super().get_config(), "head": head}


Head = WeightedL1Head | CosineHead
HEADS = ("l1", "cosine")


def make_head(name: str, *, signed: bool = False, learned: bool = False) -> Head:
    """An untrained head, by its name in HEADS."""
    if name == "l1":
        return WeightedL1Head(signed=signed, name="head")
    return CosineHead(learned=learned, name="head")


def _broadcast(a: Any, b: Any) -> tuple[int | None, ...]:
    """Shape of the scores of templates of these shapes."""
    return tuple(there if here == 1 else here for here, there in zip(a[:-1], b[:-1], strict=True))


def _deserialised(config: Any) -> Any:
    return keras.saving.deserialize_keras_object(config)
