"""A Keras functional model as a plain list of nodes that can be changed and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Weights = tuple[NDArray[np.float32], ...]

# How many values of each picture are held at once: 200 MB for a batch of 16 in float32.
_MOST_VALUES = 3_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One layer and where its inputs come from; its output has its name.

    `weights` are in the order of the layer's `get_weights()`.
    """

    name: str
    layer: type[keras.layers.Layer]
    config: Mapping[str, Any]
    weights: Weights
    inputs: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The name of the layer's class, e.g. "Conv2D"."""
        return self.layer.__name__

    def with_weights(self, *weights: NDArray[np.floating]) -> Node:
        """The same layer with other weights of the same shapes."""
        kept = tuple(np.asarray(array, np.float32) for array in weights)
        return Node(self.name, self.layer, self.config, kept, self.inputs)

    def with_inputs(self, *inputs: str) -> Node:
        """The same layer fed from elsewhere."""
        return Node(self.name, self.layer, self.config, self.weights, inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in an order where each comes after its inputs; one input, one output.

    The input is not a node: `source` is its name, `shape` its shape without the batch.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    output: str

    def node(self, name: str) -> Node:
        """The node of this name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def consumers(self, name: str) -> list[Node]:
        """Every node that reads a node's output."""
        return [node for node in self.nodes if name in node.inputs]

    def changed(self, nodes: Sequence[Node], output: str | None = None) -> Graph:
        """The same graph with other nodes."""
        return Graph(self.name, self.source, self.shape, tuple(nodes), output or self.output)


def make(layer: keras.layers.Layer, inputs: Sequence[str], *weights: NDArray[Any]) -> Node:
    """A node for a layer that has not been called yet, with its weights."""
    kept = tuple(np.asarray(array, np.float32) for array in weights)
    return Node(layer.name, type(layer), layer.get_config(), kept, tuple(inputs))


def read_graph(model: keras.Model) -> Graph:
    """The nodes of a functional model with one input and one output, with nested models unpacked.

    A layer that is called several times gives a node for each call. Raises ValueError for a model
    with several inputs or outputs.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"{model.name} has not one input and one output")
    nodes: list[Node] = []
    source = "input"
    output = _unpack(model, source, nodes, "")
    return Graph(model.name, source, tuple(model.inputs[0].shape[1:]), tuple(nodes), output)


def build_model(graph: Graph, outputs: Sequence[str] | None = None) -> keras.Model:
    """A Keras model with the graph's weights; with `outputs` it gives those nodes' tensors."""
    inputs = keras.layers.Input(graph.shape, name=graph.source)
    tensors: dict[str, Any] = {graph.source: inputs}
    filled = []
    for node in graph.nodes:
        layer = node.layer.from_config({**node.config, "name": node.name})
        given = [tensors[name] for name in node.inputs]
        tensors[node.name] = layer(given if _takes_many(node) else given[0])
        filled.append((layer, node.weights))
    wanted = tensors[graph.output] if outputs is None else [tensors[name] for name in outputs]
    model = keras.Model(inputs, wanted, name=graph.name)
    for layer, weights in filled:
        if weights:
            layer.set_weights(list(weights))
    return model


def activations(
    graph: Graph,
    names: Sequence[str],
    batches: Callable[[], Iterator[NDArray[np.uint8]]],
    most: int = _MOST_VALUES,
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """The outputs of the nodes `names`, by name, for each batch of uint8 inputs (n, ...).

    A large graph is run several times over all batches, for some of the nodes each time, so that
    a dict holds no more than `most` values a picture, unless a single output has more.
    """
    model = build_model(graph, names)
    tensors = dict(zip(names, model.outputs, strict=True))
    for part in _parts({name: int(np.prod(t.shape[1:])) for name, t in tensors.items()}, most):
        some = keras.Model(model.inputs, [tensors[name] for name in part])
        for batch in batches():
            found = some.predict_on_batch(batch.astype(np.float32))
            # For a single output Keras gives the tensor itself.
            yield dict(zip(part, found if len(part) > 1 else [found], strict=True))


def _parts(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """The names in their order, cut where their sizes would come to more than `most`."""
    parts: list[list[str]] = []
    held = 0
    for name, size in sizes.items():
        if not parts or held + size > most:
            parts.append([])
            held = 0
        parts[-1].append(name)
        held += size
    return parts


def _takes_many(node: Node) -> bool:
    return len(node.inputs) > 1 or issubclass(
        node.layer, keras.layers.Add | keras.layers.Concatenate
    )


def _unpack(model: keras.Model, source: str, nodes: list[Node], prefix: str) -> str:
    """Append the nodes of a model fed by `source`; returns the name of its output."""
    known = {id(model.inputs[0]): source}
    taken = {node.name for node in nodes}

    def name_of(tensor: Any) -> str:
        if id(tensor) in known:
            return known[id(tensor)]
        operation, call, _ = tensor._keras_history
        inputs = tuple(name_of(given) for given in operation._inbound_nodes[call].input_tensors)
        name = _free(prefix + operation.name, taken)
        if isinstance(operation, keras.Model):
            known[id(tensor)] = _unpack(operation, inputs[0], nodes, f"{name}_")
            taken.update(node.name for node in nodes)
            return known[id(tensor)]
        if not isinstance(operation, keras.layers.Layer):
            raise ValueError(f"{operation.name} is no layer")
        weights = tuple(np.asarray(array, np.float32) for array in operation.get_weights())
        nodes.append(Node(name, type(operation), operation.get_config(), weights, inputs))
        taken.add(name)
        known[id(tensor)] = name
        return name

    return name_of(model.outputs[0])


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
