"""Subtract from the biases the mean error that rounding the weights causes.

Rounded weights differ from the true ones by dW, so a whole output channel shifts by E[dW x] = dW
E[x]. Source: Nagel et al., Data-free quantization through weight equalization and bias correction,
ICCV 2019, section 4.2; E[x] is measured here, not assumed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.equalise import Batches
from oneglance.converter.fold import Linear, linear_of
from oneglance.converter.graph import Graph, activations

_STEPS = 127


def correct_biases(graph: Graph, batches: Batches) -> Graph:
    """The graph with biases that make up for weights rounded to int8; only for int8."""
    found = {node.name: linear for node in graph.nodes if (linear := linear_of(node)) is not None}
    inputs = sorted({linear.node.inputs[0] for linear in found.values()} - {graph.source})
    means = _channel_means(graph, inputs, batches)
    nodes = []
    for node in graph.nodes:
        linear = found.get(node.name)
        if linear is not None and node.inputs[0] in means:
            node = linear.shifted(-_mean_error(linear, means[node.inputs[0]])).as_node()
        nodes.append(node)
    return graph.changed(nodes)


def rounded(linear: Linear) -> NDArray[np.float64]:
    """The kernel as int8 stores it: symmetric, one scale for each output channel."""
    kernel = linear.kernel.astype(np.float64)
    others = tuple(axis for axis in range(kernel.ndim) if axis != linear.outputs)
    scale = np.maximum(np.abs(kernel).max(axis=others, keepdims=True), 1e-30) / _STEPS
    return np.asarray(np.round(kernel / scale) * scale)


def _mean_error(linear: Linear, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rounding adds to each output channel on average; padding counts as interior."""
    error = rounded(linear) - linear.kernel
    shape = [1] * error.ndim
    shape[linear.inputs] = len(mean)
    others = tuple(axis for axis in range(error.ndim) if axis != linear.outputs)
    return np.asarray((error * mean.reshape(shape)).sum(axis=others))


def _channel_means(
    graph: Graph, names: list[str], batches: Batches
) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for tensors in activations(graph, names, batches):
        for name, values in tensors.items():
            found[name].append(values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64))
    return {name: np.mean(rows, axis=0) for name, rows in found.items()}
