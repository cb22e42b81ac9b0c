"""Koch's network on faces: the baseline of the usual tutorial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from oneglance.faces.drawings.drawing_model import DRAWING_SIZE
from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.koch import LAYERS, koch

# Luma of ITU-R BT.601, as OpenCV's conversion to grey.
_LUMA = (0.299, 0.587, 0.114)


@keras.saving.register_keras_serializable(package="oneglance")
class Grey(keras.layers.Layer):
    """RGB pictures (n, h, w, 3) to grey (n, h, w, 1), by the luma of ITU-R BT.601."""

    def call(self, inputs: Any) -> Any:
        """Weigh the three colours."""
        weights = keras.ops.convert_to_tensor(_LUMA, inputs.dtype)
        return keras.ops.sum(inputs * weights, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One channel."""
        return (*input_shape[:-1], 1)


def koch_on_faces(
    seed: int = 0, l2: Sequence[float] = (0.0,) * len(LAYERS), width: float = 1.0
) -> keras.Model:
    """An encoder from RGB chips (n, 112, 112, 3), 0..255, to the paper's 4,096 values in 0..1.

    The network itself makes a chip grey and 105x105; the twin is that of `koch.koch`, and its
    templates do not have length 1. `seed`, `l2` and `width` are as there. The weights start as in
    Keras and in tutorials (Glorot): with the paper's initial weights, two thirds of the sigmoids
    are saturated on faces, and 0.4 % differ by more than 0.01 between faces.
    """
    twin = koch(seed, l2, width).get_layer("encoder")
    twin.name = "twin"
    for number, layer in enumerate(layer for layer in twin.layers if layer.weights):
        layer.kernel.assign(keras.initializers.GlorotUniform(seed + number)(layer.kernel.shape))
        layer.bias.assign(keras.ops.zeros_like(layer.bias))
    chips = keras.layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    x = Grey(name="grey")(chips)
    x = keras.layers.Resizing(DRAWING_SIZE, DRAWING_SIZE, name="to_105")(x)
    return keras.Model(chips, twin(x), name="encoder")
