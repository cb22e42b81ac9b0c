"""L2 penalties on an encoder's kernels, as in Koch's regularised cross-entropy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import keras

from oneglance.errors import ConfigError

_KERNELS = (
    ("kernel", "kernel_regularizer"),
    ("depthwise_kernel", "depthwise_regularizer"),
    ("pointwise_kernel", "pointwise_regularizer"),
)


def penalise(encoder: keras.Model, l2: float, layers: Mapping[str, float]) -> None:
    """Add `l2` times the square of every kernel to what training minimises.

    `layers` gives individual layers, by name, a penalty of their own. Biases, slopes and norms have
    none. Source: Koch, Zemel, Salakhutdinov, 2015, section 3.2, where each layer has its own.
    Raises ConfigError for an unknown layer.
    """
    found = {layer.name: layer for layer in _flat(encoder)}
    for name in layers:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            raise ConfigError(
                f"the network has no layer {name!r}"
                + (f" (did you mean {near[0]!r}?)" if near else ""),
                where="loss.layers",
            )
    for name, layer in found.items():
        weight = layers.get(name, l2)
        for kernel, regularizer in _KERNELS:
            if weight and getattr(layer, kernel, None) is not None:
                penalty = keras.regularizers.L2(weight)
                # Training reads the variable's regulariser; a file keeps the layer's.
                getattr(layer, kernel).regularizer = penalty
                setattr(layer, regularizer, penalty)


def _flat(model: keras.Model) -> list[Any]:
    inner = [_flat(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for layers in inner for layer in layers]
