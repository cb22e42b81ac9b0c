"""What a network costs: multiply-accumulates per picture, counted from its layers."""

from __future__ import annotations

import math
from typing import Any

import keras


def multiply_accumulates(model: keras.Model) -> int:
    """Products that convolutions and dense layers sum for one input, including nested models.

    A layer that is called several times counts once: a Siamese pair costs what one twin does.
    Activations, norms, additions and poolings are not counted, as is usual.
    """
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: Any) -> int:
    layers = keras.layers
    if isinstance(layer, keras.Model):
        return multiply_accumulates(layer)
    if isinstance(layer, layers.SeparableConv2D):
        between = layer.input.shape[-1] * layer.depth_multiplier
        places = math.prod(layer.output.shape[1:3])
        return int(places * between * (math.prod(layer.kernel_size) + layer.filters))
    if isinstance(layer, layers.DepthwiseConv2D):
        return int(math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size))
    if isinstance(layer, layers.Conv2D):
        depth = layer.input.shape[-1] // layer.groups
        return int(math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size) * depth)
    if isinstance(layer, layers.Dense):
        return int(math.prod(layer.output.shape[1:]) * layer.input.shape[-1])
    return 0
