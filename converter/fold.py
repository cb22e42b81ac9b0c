"""Exact simplifications before quantization: fold batch norms, separate activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.converter.graph import Graph, Node, make

_LINEAR = ("Conv2D", "DepthwiseConv2D", "Dense")


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """The weights of a convolution or dense layer, seen by channel.

    `kernel` is as Keras has it; `outputs` and `inputs` are its axes over output and input channels
    (the same axis for a depthwise convolution).
    """

    node: Node
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    outputs: int
    inputs: int

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved on its own."""
        return self.outputs == self.inputs

    def scaled(
        self,
        by_output: NDArray[np.floating] | None = None,
        by_input: NDArray[np.floating] | None = None,
    ) -> Linear:
        """Output channels multiplied by one vector, input channels (of the kernel) by another."""
        kernel, bias = self.kernel.astype(np.float64), self.bias.astype(np.float64)
        if by_output is not None:
            kernel = kernel * _along(by_output, self.outputs, kernel.ndim)
            bias = bias * by_output
        if by_input is not None:
            kernel = kernel * _along(by_input, self.inputs, kernel.ndim)
        return Linear(
            self.node, kernel.astype(np.float32), bias.astype(np.float32), self.outputs, self.inputs
        )

    def shifted(self, bias: NDArray[np.floating]) -> Linear:
        """The same with this added to the bias."""
        return Linear(self.node, self.kernel, self.bias + bias, self.outputs, self.inputs)

    def as_node(self) -> Node:
        """The layer with these weights, and with a bias if it needs one."""
        node = self.node
        biased = bool(node.config["use_bias"]) or bool(np.any(self.bias))
        weights = (self.kernel, self.bias) if biased else (self.kernel,)
        config = {**node.config, "use_bias": biased}
        return Node(node.name, node.layer, config, weights, node.inputs)


def linear_of(node: Node) -> Linear | None:
    """A node's weights by channel; None if it is not a plain convolution or dense layer.

    Grouped convolutions and depthwise ones that multiply channels are left alone.
    """
    if node.kind not in _LINEAR or node.config["activation"] != "linear":
        return None
    kernel = node.weights[0]
    if node.kind == "DepthwiseConv2D":
        if node.config["depth_multiplier"] != 1:
            return None
        outputs = inputs = 2
    else:
        if node.config.get("groups", 1) != 1:
            return None
        outputs, inputs = kernel.ndim - 1, kernel.ndim - 2
    bias = node.weights[1] if node.config["use_bias"] else np.zeros(kernel.shape[outputs])
    return Linear(node, kernel, np.asarray(bias, np.float32), outputs, inputs)


def fold(graph: Graph) -> Graph:
    """The same function in fewer, plainer layers: `set_apart`, then `fold_batch_norms`."""
    return fold_batch_norms(set_apart(graph))


def set_apart(graph: Graph) -> Graph:
    """Turn every activation inside a layer into a layer of its own after it; remove dropout."""
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        node = node.with_inputs(*(renamed.get(name, name) for name in node.inputs))
        if node.kind in ("Dropout", "SpatialDropout2D"):
            renamed[node.name] = node.inputs[0]
            continue
        activation = node.config.get("activation", "linear")
        if node.kind not in _LINEAR or activation == "linear":
            nodes.append(node)
            continue
        config = {**node.config, "activation": "linear"}
        nodes.append(Node(node.name, node.layer, config, node.weights, node.inputs))
        name = f"{node.name}_active"
        layer: Any = (
            keras.layers.ReLU(name=name)
            if activation == "relu"
            else keras.layers.Activation(activation, name=name)
        )
        nodes.append(make(layer, [node.name]))
        renamed[node.name] = name
    return graph.changed(nodes, renamed.get(graph.output, graph.output))


def fold_batch_norms(graph: Graph) -> Graph:
    """Fold each batch norm into the convolution or dense layer that feeds only it."""
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        node = node.with_inputs(*(renamed.get(name, name) for name in node.inputs))
        fed = [place for place, before in enumerate(nodes) if before.name == node.inputs[0]]
        linear = linear_of(nodes[fed[0]]) if fed else None
        if (
            node.kind != "BatchNormalization"
            or linear is None
            or len(graph.consumers(linear.node.name)) != 1
        ):
            nodes.append(node)
            continue
        factor, shift = _batch_norm(node)
        nodes[fed[0]] = linear.scaled(by_output=factor).shifted(shift).as_node()
        renamed[node.name] = linear.node.name
    return graph.changed(nodes, renamed.get(graph.output, graph.output))


def _batch_norm(node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = [array.astype(np.float64) for array in node.weights]
    size = len(weights[-1])
    gamma = weights.pop(0) if node.config["scale"] else np.ones(size)
    beta = weights.pop(0) if node.config["center"] else np.zeros(size)
    mean, variance = weights
    factor = gamma / np.sqrt(variance + node.config["epsilon"])
    return factor, beta - mean * factor


def _along(vector: NDArray[np.floating], axis: int, dimensions: int) -> NDArray[np.float64]:
    shape = [1] * dimensions
    shape[axis] = len(vector)
    return np.asarray(vector, np.float64).reshape(shape)
