"""Rebuild two pretrained MobileFaceNets side by side in Keras, for the recipe `siamese`.

    python -m oneglance.training.networks.rebuild_two_trunks ONE.keras fr_feature.onnx TWO.keras

ONE.keras is what `rebuild_mobileface` made; fr_feature.onnx is the file of the npm
package faceplugin-face-recognition-js 0.0.1 (licence MIT). It takes chips (n, 3, 112, 112),
values (x - 127) / 128, to 512 numbers each. Needs the Python package onnx.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import MissingPartError, ModelError, OneglanceError
from oneglance.training.engine.run_folder import save_model
from oneglance.training.networks.face_networks import mobileface
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.networks.two_trunks import two_trunks

Weights = list[NDArray[np.float32]]

# What the templates of each network span: further directions carry nothing (singular values of
# the first fall from 1.3 to 0.01 after 64, of the second from 1.5 to 0.03 after 192).
RANKS = (64, 192)
# The first network's numbers are some twenty times as long as the second's. Both count about
# the same, the first a little more: of the shares tried (0.6 to 1.25) the best on LFW folds 7-8,
# where all of them were within 0.7 points of each other at a false accept rate of 1e-5.
_SECOND_SCALE = 17.0
_CHIPS_COMPARED = 2
_MOST_DIFFERENCE = 2e-3
_FIX = "give fr_feature.onnx of the npm package faceplugin-face-recognition-js 0.0.1"


def rebuild(first: Path, second: Path) -> tuple[keras.Model, float]:
    """The encoder of both, 256 values, and how far its cosines are from those of the two files.

    The distance is the largest difference of a cosine of two random chips. Raises ModelError if
    a file is no such network, or the rebuilt one is not the same; MissingPartError without onnx.
    """
    if not second.is_file():
        raise ModelError("there is no such file", where=str(second), fix=_FIX)
    original = _without_normalisation(load_keras(first, "make it with rebuild_mobileface"), first)
    try:
        import onnx
        from onnx.reference import ReferenceEvaluator
    except ImportError as error:
        raise MissingPartError(
            "reading an ONNX file needs the package onnx", fix="pip install onnx"
        ) from error
    try:
        graph = onnx.load(second)
        evaluator = ReferenceEvaluator(graph)
        trunks = [_of_keras(original), _of_onnx(graph)]
    except (OSError, ValueError, IndexError, TypeError, RuntimeError) as error:
        raise ModelError("not the networks to rebuild", where=str(second), fix=_FIX) from error
    except Exception as error:
        # What protobuf raises for other bytes has no class that every version exports.
        raise ModelError("not an ONNX file", where=str(second), fix=_FIX) from error
    encoder = two_trunks(sum(RANKS))
    try:
        _fill(encoder, trunks)
    except ValueError as error:
        raise ModelError("not the MobileFaceNets", where=str(second), fix=_FIX) from error
    difference = _difference(original, evaluator, encoder)
    if not difference < _MOST_DIFFERENCE:
        raise ModelError(
            f"the rebuilt network differs by {difference:.1e}", where=str(second), fix=_FIX
        )
    return encoder, difference


def _without_normalisation(model: keras.Model, path: Path) -> keras.Model:
    """The network in our own definition, up to the templates before they get length 1."""
    weights = model.get_weights()
    try:
        encoder = mobileface(len(weights[-1]))
        encoder.set_weights(weights)
    except (ValueError, IndexError, TypeError) as error:
        raise ModelError("not the weights of a MobileFaceNet", where=str(path)) from error
    return keras.Model(encoder.input, encoder.get_layer("templates").input)


def _of_keras(model: keras.Model) -> tuple[Weights, NDArray[np.float32], NDArray[np.float32]]:
    """The trunk's weights, and the linear layer (512, 192) with bias that ends the network."""
    *trunk, inner, inner_bias, outer, outer_bias = model.get_weights()
    outer = outer.reshape(outer.shape[-2:])
    return (
        trunk,
        inner.reshape(inner.shape[-2:]) @ outer,
        inner_bias @ outer + outer_bias,
    )


def _of_onnx(graph: Any) -> tuple[Weights, NDArray[np.float32], NDArray[np.float32]]:
    """The same of the ONNX network, in Keras's layout and in the order of its layers."""
    *trunk, kernel, bias = _onnx_weights(graph)
    return trunk, kernel.reshape(kernel.shape[-2:]), bias


def _onnx_weights(graph: Any) -> Iterator[NDArray[np.float32]]:
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type == "PRelu":
            yield values[node.input[1]].reshape(1, 1, -1)
        elif node.op_type == "Conv":
            options = {option.name: option for option in node.attribute}
            kernel = values[node.input[1]]
            grouped = options["group"].i > 1
            kernel = kernel.transpose(2, 3, 0, 1) if grouped else kernel.transpose(2, 3, 1, 0)
            if options["strides"].ints[0] == 2:
                kernel = np.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
            yield kernel
            yield values[node.input[2]]


def _fill(
    encoder: keras.Model,
    trunks: list[tuple[Weights, NDArray[np.float32], NDArray[np.float32]]],
) -> None:
    joint = next(layer for layer in encoder.layers if isinstance(layer, keras.layers.Concatenate))
    kernels, biases = [], []
    for place, (end, (weights, kernel, bias), rank, scale) in enumerate(
        zip(joint.input, trunks, RANKS, (1.0, _SECOND_SCALE), strict=True)
    ):
        remaining = list(weights)
        for layer in layers_before(end):
            count = len(layer.weights)
            layer.set_weights(remaining[:count])
            remaining = remaining[count:]
        if remaining:
            raise ValueError(f"{len(remaining)} weights too many")
        directions = np.linalg.svd(kernel, full_matrices=False)[2][:rank].T * scale
        block = [np.zeros((len(kernel), size), np.float32) for size in RANKS]
        block[place][:] = kernel @ directions
        kernels.append(np.concatenate(block, axis=1))
        biases.append(bias @ directions)
    join = encoder.get_layer("join")
    join.set_weights([np.concatenate(kernels)[None, None], np.concatenate(biases)])


def layers_before(end: Any) -> list[keras.layers.Layer]:
    """The layers that lead to a tensor, in the order in which they run."""
    found: list[keras.layers.Layer] = []

    def visit(tensor: Any) -> None:
        layer = tensor._keras_history.operation
        if layer in found:
            return
        inputs = layer._inbound_nodes[0].input_tensors if layer._inbound_nodes else []
        for before in inputs:
            visit(before)
        found.append(layer)

    visit(end)
    return found


def _difference(original: keras.Model, evaluator: Any, encoder: keras.Model) -> float:
    """Largest difference of a cosine, over random chips of coarse squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (_CHIPS_COMPARED, 14, 14, 3))
    chips = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    pixels = ((chips - 127.5) / 128).transpose(0, 3, 1, 2)
    name = evaluator.input_names[0]
    second = np.concatenate([evaluator.run(None, {name: one[None]})[0] for one in pixels])
    first = np.asarray(original.predict_on_batch(chips))
    wanted = np.concatenate([first, _SECOND_SCALE * second], axis=1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = np.asarray(encoder.predict_on_batch(chips))
    return float(np.abs(wanted @ wanted.T - found @ found.T).max())


def main() -> None:
    """Rebuild argv[1] and argv[2] into argv[3]."""
    if len(sys.argv) != 4 or not sys.argv[3].endswith(".keras"):
        sys.exit(
            "usage: "
            "python -m oneglance.training.networks.rebuild_two_trunks IN.keras IN.onnx OUT.keras"
        )
    first, second, out = (Path(argument) for argument in sys.argv[1:])
    try:
        encoder, difference = rebuild(first, second)
        save_model(encoder, out)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{out}: cosines differ from the files' by at most {difference:.1e}\n")


if __name__ == "__main__":
    main()
