"""Turn a Siamese model made elsewhere into a pair that a door can use: encoder and head.

The webcam tutorial's is the best known: two pictures of 100 x 100 px with values from 0 to 1, one
encoder for both, |a - b|, and one logistic unit.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from oneglance.errors import ConfigError
from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.face_networks import siamese
from oneglance.training.networks.heads import WeightedL1Head

_FIX = "a Siamese model is wanted: two pictures, one encoder, |a - b|, and Dense(1)"
_PAIRS = 8
# Largest difference allowed in the model's own answers, 0 to 1, or in its logits.
_TOLERANCE = 1e-4
_MARGIN = 8


def is_ours(model: keras.Model) -> bool:
    """Whether it is a pair as `oneglance train` writes it."""
    return {"encoder", "head"} <= {layer.name for layer in model.layers}


def adopt(model: keras.Model, where: str) -> keras.Model:
    """The pair for chips (n, 112, 112, 3), 0..255, that answers as `model` does for its pictures.

    A chip is scaled to the size that the model takes, made grey if it takes one channel, and
    brought to 0..1 unless a layer of the model does so. The head gives the logit. Raises
    ConfigError that names what cannot be used.
    """
    shapes = [tuple(one.shape[1:]) for one in model.inputs]
    if len(shapes) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 3:
        raise ConfigError(f"it takes {shapes}, not two pictures", where=where, fix=_FIX)
    height, width, channels = shapes[0]
    if channels not in (1, 3) or not height or not width:
        raise ConfigError(f"it takes pictures of {shapes[0]}", where=where, fix=_FIX)
    last = model.layers[-1]
    is_unit = isinstance(last, keras.layers.Dense) and last.units == 1
    if not is_unit or last.activation.__name__ not in {"sigmoid", "linear"}:
        raise ConfigError(
            f"its last layer {last.name!r} ({type(last).__name__}) cannot be taken as a head",
            where=where,
            fix=_FIX,
        )
    join, twins = _join(last)
    if join is None:
        raise ConfigError("no layer of it joins two templates", where=where, fix=_FIX)
    encoder = keras.Model(model.inputs[0], twins[0], name="embedding")
    if len(encoder.output_shape) != 2:
        raise ConfigError(
            f"what {join.name!r} joins is {encoder.output_shape}, not templates (n, d)",
            where=where,
            fix=_FIX,
        )
    kernel, bias = _weights(last)
    bound = _check(model, encoder, last, join, where)
    head = WeightedL1Head(signed=True, name="head")
    pair = siamese(_taking_chips(encoder, (height, width, channels), bound), head)
    head.weights_l1.assign(np.append(-kernel * bound, np.float32(0)))
    head.bias.assign(bias)
    return pair


def _join(last: keras.layers.Dense) -> tuple[Any, list[Any]]:
    """The layer where two templates become one, and the two; None if there is no such layer."""
    layer: Any = last
    while len(inputs := layer._inbound_nodes[0].input_tensors) == 1:
        layer = inputs[0]._keras_history.operation
        if isinstance(layer, (keras.layers.InputLayer, keras.Model)):
            return None, []
    return (layer, inputs) if len(inputs) == 2 else (None, [])


def _weights(last: keras.layers.Dense) -> tuple[Any, float]:
    kernel, *bias = last.get_weights()
    return kernel[:, 0], float(bias[0][0]) if bias else 0.0


def _taking_chips(encoder: keras.Model, shape: tuple[int, int, int], bound: float) -> keras.Model:
    """The encoder of chips, whose templates have length 1, as a door's have.

    They are divided by `bound`, which none exceeds in length; one more number, which the head
    ignores, makes up the rest.
    """
    layers, ops = keras.layers, keras.ops
    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    x = layers.Resizing(*shape[:2], name="scaled")(chips)
    if shape[2] == 1:
        x = layers.Dense(1, use_bias=False, name="grey")(x)
    if not any(isinstance(one, _SCALING) for one in _flat(encoder)):
        x = layers.Rescaling(1 / 255, name="to_unit")(x)
    x = encoder(x) / bound
    rest = ops.sqrt(ops.maximum(1 - ops.sum(ops.square(x), -1, keepdims=True), 0))
    made = keras.Model(chips, ops.concatenate([x, rest], -1), name="encoder")
    if shape[2] == 1:
        # The weights of BT.601.
        made.get_layer("grey").set_weights([np.array([[0.299], [0.587], [0.114]], np.float32)])
    return made


_SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


def _flat(model: keras.Model) -> list[keras.layers.Layer]:
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += _flat(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _check(
    model: keras.Model, encoder: keras.Model, last: keras.layers.Dense, join: Any, where: str
) -> float:
    """Check on made-up pictures that the parts answer as the whole; the greatest template length.

    Where no activation bounds the length, that is several times what these pictures give.
    """
    drawn = np.random.default_rng(0)
    a, b = (drawn.random((_PAIRS, *model.inputs[0].shape[1:]), np.float32) for _ in range(2))
    whole = np.asarray(model([a, b], training=False)).reshape(-1)
    first, second = (np.asarray(encoder(one, training=False)) for one in (a, b))
    kernel, bias = _weights(last)
    logits = np.abs(first - second) @ kernel + bias
    sigmoid = last.activation.__name__ == "sigmoid"
    ours = 1 / (1 + np.exp(-logits)) if sigmoid else logits
    scale = 1.0 if sigmoid else max(1.0, float(np.abs(whole).max()))
    if not np.allclose(ours, whole, atol=_TOLERANCE * scale):
        raise ConfigError(
            f"its layer {join.name!r} ({type(join).__name__}) is not |a - b|, or its twins differ",
            where=where,
            fix=_FIX,
        )
    ends = _flat(encoder)[-1]
    if getattr(getattr(ends, "activation", None), "__name__", "") in {"sigmoid", "tanh"}:
        return float(np.sqrt(encoder.output_shape[-1]))
    return _MARGIN * float(np.linalg.norm(np.concatenate([first, second]), axis=1).max())
