"""Rebuild the pretrained liveness network in Keras, node by node; `oneglance.converter.liveness`
makes the shipped folder of it.

fr_liveness.onnx is the file of the npm package faceplugin-face-recognition-js 0.0.1 (licence
MIT): a MiniFASNet of 0.47 M parameters. It takes crops (n, 3, 128, 128), values 0..255, to three
logits, of which the first is that of a true face. The package's own program feeds it RGB; it was
trained on BGR, as its values on true films show (docs/liveness.md), so BGR is what ours takes.
Needs the Python package onnx.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import MissingPartError, ModelError
from oneglance.training.liveness.crops import SCALES, SIDE

FEATURES = 512
# The original's three outputs, and the fitted read-outs.
OUTPUTS = 3 + len(SCALES)
_SHA256 = "afa783b7e902fdfcf323a7240cac2a1c580c25314ea4161129dc1b0d100dc32d"
# What the original file gives in onnxruntime 1.32.0 for the two `drawn` crops. The evaluator that
# comes with onnx cannot serve here: its logits are up to 0.08 away from onnxruntime's.
ORIGINAL_LOGITS = ((1.02272, 1.12537, -2.14806), (0.57045, 1.63928, -2.20971))
_MOST_DIFFERENCE = 1e-3
_FIX = "give fr_liveness.onnx of the npm package faceplugin-face-recognition-js 0.0.1"

_READOUT_FIX = "make it with python -m oneglance.training.liveness.fit_texture"

Tensors = dict[str, Any]
Values = dict[str, NDArray[np.float32]]


def drawn() -> NDArray[np.uint8]:
    """Two crops uint8 (2, 128, 128, 3) of coloured waves, the same on every machine."""
    y, x, colour = np.mgrid[0 : 2 * SIDE : 2, 0:SIDE, 0:3]
    waves = [
        127.5 + 90 * np.sin(x / (5 + 2 * k) + colour) * np.cos(y / (17.0 - 3 * k)) for k in range(2)
    ]
    return np.round(np.stack(waves)).astype(np.uint8)


def rebuild(source: Path) -> tuple[keras.Model, float]:
    """The network of fr_liveness.onnx, and how far its logits for `drawn` are from the file's.

    BGR crops float32 (n, 128, 128, 3), 0..255, to logits (n, 3). Raises ModelError for another
    file, or if the rebuilt network is not the same; MissingPartError without onnx.
    """
    if not source.is_file():
        raise ModelError("there is no such file", where=str(source), fix=_FIX)
    if hashlib.sha256(source.read_bytes()).hexdigest() != _SHA256:
        raise ModelError("not the network to rebuild", where=str(source), fix=_FIX)
    try:
        import onnx
    except ImportError as error:
        raise MissingPartError(
            "reading an ONNX file needs the package onnx", fix="pip install onnx"
        ) from error
    model = _of_graph(onnx.load(source).graph)
    found = np.asarray(model.predict_on_batch(drawn().astype(np.float32)))
    difference = float(np.abs(found - np.array(ORIGINAL_LOGITS)).max())
    if not difference < _MOST_DIFFERENCE:
        raise ModelError(
            f"the rebuilt network differs by {difference:.1e}", where=str(source), fix=_FIX
        )
    return model, difference


def features(model: keras.Model) -> keras.Model:
    """The rebuilt network up to the 512 numbers before its last two layers."""
    flat = next(layer for layer in model.layers if isinstance(layer, keras.layers.Flatten))
    return keras.Model(model.input, flat.output)


def read_readouts(file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (2, 512) and biases (2,), one for each of SCALES, that
    oneglance.training.liveness.fit_texture has written.

    Raises ModelError for any other file.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            weights, biases = arrays["weights"], arrays["biases"]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelError("not the fitted read-outs", where=str(file), fix=_READOUT_FIX) from error
    shapes = (weights.shape, biases.shape) == ((len(SCALES), FEATURES), (len(SCALES),))
    if not shapes or not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise ModelError("not the fitted read-outs", where=str(file), fix=_READOUT_FIX)
    return np.asarray(weights, np.float32), np.asarray(biases, np.float32)


def with_readouts(
    model: keras.Model, weights: NDArray[np.float32], biases: NDArray[np.float32]
) -> keras.Model:
    """The network with more outputs: linear read-outs, weights (k, 512), of its features."""
    readouts = keras.layers.Dense(len(biases))
    joined = keras.layers.Concatenate()([model.output, readouts(features(model).output)])
    readouts.set_weights([weights.T, biases])
    return keras.Model(model.input, joined)


def _of_graph(graph: Any) -> keras.Model:
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    start = keras.layers.Input((SIDE, SIDE, 3))
    tensors: Tensors = {graph.input[0].name: start}
    for node in graph.node:
        # The rest only computes the shape of the only Reshape.
        if node.op_type in _BUILDERS:
            tensors[node.output[0]] = _BUILDERS[node.op_type](node, tensors, values)
    return keras.Model(start, tensors[graph.output[0].name])


def _conv(node: Any, tensors: Tensors, values: Values) -> Any:
    options = {option.name: option for option in node.attribute}
    kernel, bias = (values[name] for name in node.input[1:])
    stride, pad = options["strides"].ints[0], options["pads"].ints[0]
    before = tensors[node.input[0]]
    # At stride 2, Keras pads on other sides.
    before = keras.layers.ZeroPadding2D(pad)(before) if pad else before
    size = kernel.shape[2:]
    if options["group"].i > 1:
        layer = keras.layers.DepthwiseConv2D(size, strides=stride)
        kernel = kernel.transpose(2, 3, 0, 1)
    else:
        layer = keras.layers.Conv2D(len(kernel), size, strides=stride)
        kernel = kernel.transpose(2, 3, 1, 0)
    return _filled(layer, before, [kernel, bias])


def _prelu(node: Any, tensors: Tensors, values: Values) -> Any:
    slopes = values[node.input[1]].reshape(1, 1, -1)
    return _filled(keras.layers.PReLU(shared_axes=[1, 2]), tensors[node.input[0]], [slopes])


def _dense(node: Any, tensors: Tensors, values: Values) -> Any:
    kernel = values[node.input[1]]
    layer = keras.layers.Dense(kernel.shape[1], use_bias=False)
    return _filled(layer, tensors[node.input[0]], [kernel])


def _normalise(node: Any, tensors: Tensors, values: Values) -> Any:
    epsilon = next(option.f for option in node.attribute if option.name == "epsilon")
    layer = keras.layers.BatchNormalization(epsilon=epsilon)
    return _filled(layer, tensors[node.input[0]], [values[name] for name in node.input[1:]])


def _filled(layer: Any, before: Any, weights: list[NDArray[np.float32]]) -> Any:
    after = layer(before)
    layer.set_weights(weights)
    return after


def _through(make: Callable[[], Any]) -> Callable[[Any, Tensors, Values], Any]:
    """A layer without weights that has one input."""
    return lambda node, tensors, values: make()(tensors[node.input[0]])


def _joined(make: Callable[[], Any]) -> Callable[[Any, Tensors, Values], Any]:
    """A layer without weights that has several inputs."""
    return lambda node, tensors, values: make()([tensors[name] for name in node.input])


_BUILDERS: dict[str, Callable[[Any, Tensors, Values], Any]] = {
    "Conv": _conv,
    "PRelu": _prelu,
    "MatMul": _dense,
    "BatchNormalization": _normalise,
    "Add": _joined(keras.layers.Add),
    "Mul": _joined(keras.layers.Multiply),
    "Relu": _through(keras.layers.ReLU),
    "Sigmoid": _through(lambda: keras.layers.Activation("sigmoid")),
    "GlobalAveragePool": _through(lambda: keras.layers.GlobalAveragePooling2D(keepdims=True)),
    "Reshape": _through(keras.layers.Flatten),
}
