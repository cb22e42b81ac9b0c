"""Koch's Siamese network and its optimiser, as in the paper.

Koch, Zemel, Salakhutdinov, Siamese neural networks for one-shot image recognition, ICML deep
learning workshop 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from oneglance.faces.drawings.drawing_model import DRAWING_SIZE

# Filters and kernel side; max-pooling by two follows all but the last.
_CONVOLUTIONS = ((64, 10), (128, 7), (128, 4), (256, 4))
_DENSE = 4096
LAYERS = ("conv1", "conv2", "conv3", "conv4", "dense", "join")
_FIRST_MOMENTUM = 0.5
_DECAY_AN_EPOCH = 0.99


def koch(
    seed: int = 0,
    l2: Sequence[float] = (0.0,) * len(LAYERS),
    width: float = 1.0,
    precision: str = "float32",
) -> keras.Model:
    """The pair of twins: from drawings a and b (n, 105, 105, 1), values 0..255, to logits (n,).

    Each twin has 38,947,648 parameters, the pair 38,951,745. The layer "encoder" is the twin, with
    4,096 outputs in 0..1; "join" weights the components of |a - b|, each with its own sign. `l2`
    are the penalties of LAYERS, on weights but not on biases. `width` scales every number of
    filters and units; 1 is the paper's network. `precision` is the dtype policy of all layers below
    "dense": bfloat16's steps of 0.004 are too coarse for templates in 0..1.
    """
    layers = keras.layers
    normal = keras.initializers.RandomNormal

    def bias(number: int) -> Any:
        return normal(0.5, 0.01, seed=seed + 100 + number)

    def weights(number: int, sigma: float) -> dict[str, Any]:
        return {
            "kernel_initializer": normal(0.0, sigma, seed=seed + number),
            "kernel_regularizer": keras.regularizers.L2(l2[number]),
            "bias_initializer": bias(number),
            "name": LAYERS[number],
        }

    drawings = layers.Input((DRAWING_SIZE, DRAWING_SIZE, 1), name="drawings")
    x = layers.Rescaling(-1 / 255, offset=1.0, dtype=precision)(drawings)
    for number, (filters, edge) in enumerate(_CONVOLUTIONS):
        x = layers.Conv2D(
            int(filters * width), edge, activation="relu", dtype=precision, **weights(number, 0.01)
        )(x)
        if number < len(_CONVOLUTIONS) - 1:
            x = layers.MaxPooling2D(2, dtype=precision)(x)
    x = layers.Flatten(dtype=precision)(x)
    x = layers.Dense(int(_DENSE * width), activation="sigmoid", **weights(4, 0.2))(x)
    encoder = keras.Model(drawings, x, name="encoder")

    a = layers.Input((DRAWING_SIZE, DRAWING_SIZE, 1), name="a")
    b = layers.Input((DRAWING_SIZE, DRAWING_SIZE, 1), name="b")
    apart = AbsoluteDifference(name="apart")([encoder(a), encoder(b)])
    logits = layers.Dense(1, **weights(5, 0.2))(apart)
    return keras.Model([a, b], layers.Reshape(())(logits), name="koch")


@keras.saving.register_keras_serializable(package="oneglance")
class AbsoluteDifference(keras.layers.Layer):
    """|a - b| of two inputs (..., d), whose shapes broadcast."""

    def call(self, inputs: Any) -> Any:
        """Compare component by component."""
        a, b = inputs
        return keras.ops.abs(a - b)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As both inputs broadcast."""
        return tuple(b if a == 1 else a for a, b in zip(*input_shape, strict=True))


@keras.saving.register_keras_serializable(package="oneglance")
class LayerwiseMomentum(keras.optimizers.Optimizer):
    """Gradient descent with a learning rate and a momentum for each layer.

    change(t) = momentum * change(t - 1) - rate * gradient. Every rate falls by 1 % per epoch; every
    momentum rises linearly from 0.5 to its own final value after `momentum_epochs`. `rates` and
    `momenta` are by layer name. All of this follows from the number of steps done, which is in the
    checkpoint.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        momenta: Mapping[str, float],
        steps_an_epoch: int,
        momentum_epochs: int,
        learning_rate: float = 1.0,
        name: str = "layerwise_momentum",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rates = dict(rates)
        self.momenta = dict(momenta)
        self.steps_an_epoch = steps_an_epoch
        self.momentum_epochs = momentum_epochs

    def build(self, variables: Any) -> None:
        """One running change per variable, and the layer whose rates it uses."""
        if self.built:
            return
        super().build(variables)
        self.changes = self.add_optimizer_variables(variables, "change")
        self.layers_of = [
            next(part for part in variable.path.split("/") if part in self.rates)
            for variable in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        ops = keras.ops
        number = self._get_variable_index(variable)
        layer = self.layers_of[number]
        epoch = ops.floor(ops.cast(self.iterations, variable.dtype) / self.steps_an_epoch)
        rate = ops.cast(learning_rate, variable.dtype) * self.rates[layer]
        rate = rate * ops.power(ops.cast(_DECAY_AN_EPOCH, variable.dtype), epoch)
        risen = ops.minimum(epoch / self.momentum_epochs, 1.0)
        momentum = _FIRST_MOMENTUM + (self.momenta[layer] - _FIRST_MOMENTUM) * risen
        change = self.changes[number]
        self.assign(change, momentum * change - rate * ops.cast(gradient, variable.dtype))
        self.assign_add(variable, change)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this optimiser again."""
        return {
            **super().get_config(),
            "rates": self.rates,
            "momenta": self.momenta,
            "steps_an_epoch": self.steps_an_epoch,
            "momentum_epochs": self.momentum_epochs,
        }
