"""Bring channels to similar ranges, exactly, so that int8 leaves no channel with too few steps.

A tensor is quantized with one scale, so a channel with a hundredth of the largest range is left
with two or three steps. Each channel is multiplied by a factor in the layer that makes it and
divided by it in the layers that read it; ReLUs, PReLUs, additions and poolings in between commute
with that. Source: cross-layer equalisation of Nagel et al., Data-free quantization through weight
equalization and bias correction, ICCV 2019, here with ranges of measured activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.fold import linear_of
from oneglance.converter.graph import Graph, Node, activations, build_model

Batches = Callable[[], Iterator[NDArray[np.uint8]]]

# f(s x) = s f(x) for a positive s per channel; additions need the same s on both sides.
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
# A convolution's weights share one scale over all input channels, so its inputs are only moved
# half-way; a depthwise one has a scale for each.
_STRENGTH = {False: 0.5, True: 1.0}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the channels of a tensor, or of a layer's input or output, lie within a group."""

    name: str
    start: int
    stop: int


@dataclass(slots=True, eq=False)
class _Group:
    """Channels that can only be scaled together, and the layers that make and read them."""

    size: int
    tensors: list[Place] = field(default_factory=list)
    fixed: bool = False
    makers: list[Place] = field(default_factory=list)
    readers: list[Place] = field(default_factory=list)


def equalise(graph: Graph, batches: Batches) -> Graph:
    """The same function, with channels of similar range on these batches of uint8 inputs."""
    groups = [group for group in _groups(graph) if not group.fixed]
    names = [place.name for group in groups for place in group.tensors]
    measured = channel_ranges(graph, names, batches)
    return scale_groups(graph, groups, measured)


def channel_ranges(
    graph: Graph, names: list[str], batches: Batches
) -> dict[str, NDArray[np.float64]]:
    """The 99.9th percentile of |activation| of each channel (c,), averaged over the batches."""
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
        by_output.update({to.name: factors[to.start : to.stop] for to in group.makers})
        by_input.update({to.name: 1 / factors[to.start : to.stop] for to in group.readers})
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
    readers = [linear_of(graph.node(place.name)) for place in group.readers]
    depthwise = all(reader is not None and reader.depthwise for reader in readers)
    loudest = np.zeros(group.size)
    for place in group.tensors:
        part = loudest[place.start : place.stop]
        np.maximum(part, ranges[place.name], out=part)
    ratio = loudest.max() / np.maximum(loudest, 1e-12)
    return np.asarray(np.clip(ratio ** _STRENGTH[depthwise], 1, _MOST))


def _groups(graph: Graph) -> list[_Group]:
    """Every set of channels that are scaled together, in the order of the graph.

    What is concatenated gets one scale when quantized, so its parts belong to one group, side by
    side.
    """
    model = build_model(graph, [node.name for node in graph.nodes])
    shapes = zip(graph.nodes, model.outputs, strict=True)
    channels = {node.name: int(tensor.shape[-1]) for node, tensor in shapes}
    first = Place(graph.source, 0, graph.shape[-1])
    groups = [_Group(first.stop, [first], fixed=True)]
    at: dict[str, tuple[_Group, int]] = {graph.source: (groups[0], 0)}

    def put(group: _Group, other: _Group, shift: int) -> None:
        """Merge the other group into this one, its channels moved by `shift`."""
        for own, theirs in (
            (group.tensors, other.tensors),
            (group.makers, other.makers),
            (group.readers, other.readers),
        ):
            own += [Place(p.name, p.start + shift, p.stop + shift) for p in theirs]
        group.fixed |= other.fixed
        groups.remove(other)
        for place in other.tensors:
            at[place.name] = (group, place.start + shift)

    for node in graph.nodes:
        size = channels[node.name]
        own = _Group(size, [Place(node.name, 0, size)])
        groups.append(own)
        at[node.name] = (own, 0)
        before = [at[name] for name in node.inputs]
        if linear_of(node) is not None:
            own.makers.append(Place(node.name, 0, size))
            group, start = before[0]
            group.readers.append(
                Place(node.name, start, start + channels.get(node.inputs[0], size))
            )
        elif _is_alike(node):
            for name in node.inputs:
                group, start = at[name]
                mine, my_start = at[node.name]
                if group is mine and start == my_start:
                    continue
                if group is mine or group.size != mine.size or start != my_start:
                    group.fixed = mine.fixed = True
                else:
                    put(group, mine, 0)
        elif _is_side_by_side(node) and len({id(group) for group, _ in before}) == len(before):
            shift = 0
            for name, (group, start) in zip(node.inputs, before, strict=True):
                whole = start == 0 and group.size == channels[name]
                own.fixed |= not whole
                group.fixed |= not whole
                if whole:
                    put(own, group, shift)
                shift += channels[name]
        else:
            own.fixed = True
            for group, _ in before:
                group.fixed = True
    at[graph.output][0].fixed = True
    return groups


def _is_side_by_side(node: Node) -> bool:
    return node.kind == "Concatenate" and node.config["axis"] in (-1, 3)


def _is_alike(node: Node) -> bool:
    if node.kind == "ReLU":
        return node.config["max_value"] is None and not node.config["threshold"]
    if node.kind == "PReLU":
        return bool(node.weights[0].size == node.weights[0].shape[-1])
    return node.kind in _ALIKE
