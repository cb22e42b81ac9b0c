"""Channels of like range, exactly: what one int8 scale for a whole tensor costs the quiet ones.

A tensor is quantized with one scale, so a channel with a hundredth of the largest range is left
with two or three steps. Each channel is multiplied by a factor in the layer that makes it and
divided by it in the layers that read it; ReLUs, PReLUs, additions and poolings in between do not
notice. Source: cross-layer equalisation of Nagel et al., Data-free quantization through weight
equalization and bias correction, ICCV 2019, here with ranges of measured activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.fold import linear_of
from oneglance.converter.graph import Graph, Node, activations

Batches = Callable[[], Iterator[NDArray[np.uint8]]]

# f(s x) = s f(x) for positive s a channel, and for additions the same s on both sides.
_ALIKE = (
    "Add",
    "AveragePooling2D",
    "GlobalAveragePooling2D",
    "LeakyReLU",
    "MaxPooling2D",
    "PReLU",
    "ReLU",
    "Vector",
    "ZeroPadding2D",
)
_PERCENTILE = 99.9
_MOST = 50.0
# A convolution's weights share one scale over all input channels, so its inputs are only
# brought half the way; a depthwise one has a scale for each.
_STRENGTH = {False: 0.5, True: 1.0}


@dataclass(slots=True, eq=False)
class _Group:
    """Tensors that only can be scaled together, and who makes and reads them."""

    tensors: list[str] = field(default_factory=list)
    fixed: bool = False
    makers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)


def equalise(graph: Graph, batches: Batches) -> Graph:
    """The same function, its channels brought to like ranges on batches of inputs uint8."""
    groups = [group for group in _groups(graph) if not group.fixed]
    measured = channel_ranges(graph, [name for group in groups for name in group.tensors], batches)
    return scale_groups(graph, groups, measured)


def channel_ranges(
    graph: Graph, names: list[str], batches: Batches
) -> dict[str, NDArray[np.float64]]:
    """The 99.9th percentile of |activation| of each channel (c,), the mean over the batches."""
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for tensors in activations(graph, names, batches):
        for name, values in tensors.items():
            flat = np.abs(values).reshape(-1, values.shape[-1])
            found[name].append(np.percentile(flat, _PERCENTILE, axis=0))
    return {name: np.mean(rows, axis=0) for name, rows in found.items()}


def scale_groups(
    graph: Graph, groups: list[_Group], ranges: Mapping[str, NDArray[np.float64]]
) -> Graph:
    """Scale each group toward its loudest channel; ranges (c,) are by tensor."""
    by_output: dict[str, NDArray[np.float64]] = {}
    by_input: dict[str, NDArray[np.float64]] = {}
    for group in groups:
        factors = _factors(graph, group, ranges)
        by_output.update(dict.fromkeys(group.makers, factors))
        by_input.update(dict.fromkeys(group.readers, 1 / factors))
    nodes = []
    for node in graph.nodes:
        linear = linear_of(node)
        if linear is not None and (node.name in by_output or node.name in by_input):
            linear = linear.scaled(by_output.get(node.name), by_input.get(node.name))
            node = linear.as_node()
        nodes.append(node)
    return graph.changed(nodes)


def _factors(
    graph: Graph, group: _Group, ranges: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    readers = [linear_of(graph.node(name)) for name in group.readers]
    depthwise = all(reader is not None and reader.depthwise for reader in readers)
    loudest = np.max([ranges[name] for name in group.tensors], axis=0)
    ratio = loudest.max() / np.maximum(loudest, 1e-12)
    return np.asarray(np.clip(ratio ** _STRENGTH[depthwise], 1, _MOST))


def _groups(graph: Graph) -> list[_Group]:
    """Every set of tensors that are scaled together, in the order of the graph."""
    group_of: dict[str, _Group] = {graph.source: _Group([graph.source], fixed=True)}
    groups = [group_of[graph.source]]

    def merge(names: list[str]) -> None:
        kept = group_of[names[0]]
        for name in names[1:]:
            other = group_of[name]
            if other is kept:
                continue
            kept.tensors += other.tensors
            kept.makers += other.makers
            kept.readers += other.readers
            kept.fixed |= other.fixed
            groups.remove(other)
            for tensor in other.tensors:
                group_of[tensor] = kept

    for node in graph.nodes:
        own = _Group([node.name])
        groups.append(own)
        group_of[node.name] = own
        if linear_of(node) is not None:
            own.makers.append(node.name)
            group_of[node.inputs[0]].readers.append(node.name)
        elif _is_alike(node):
            merge([node.name, *node.inputs])
        else:
            own.fixed = True
            for name in node.inputs:
                group_of[name].fixed = True
    group_of[graph.output].fixed = True
    return groups


def _is_alike(node: Node) -> bool:
    if node.kind == "ReLU":
        return node.config["max_value"] is None and not node.config["threshold"]
    if node.kind == "PReLU":
        return bool(node.weights[0].size == node.weights[0].shape[-1])
    return node.kind in _ALIKE
