"""PReLU expressed, exactly, in operations that XNNPACK runs in int8.

PReLU(x) = a x + (1 - a) max(x, 0). With s = 1 where a <= 1 and s = -1 elsewhere,
s PReLU(x) = s a x + max(|1 - a| x, 0): two depthwise 1x1 convolutions, the second with a ReLU
that the converter fuses into it, and an addition. The sign goes into the weights of what follows.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.converter.fold import linear_of
from oneglance.converter.graph import Graph, Node, make


def rewrite_prelu(graph: Graph) -> Graph:
    """Rewrite every PReLU that has one slope per channel; leave others as they are.

    If anything but convolutions and dense layers follows, one more depthwise convolution undoes the
    sign.
    """
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    signs: dict[str, NDArray[np.float32]] = {}
    for node in graph.nodes:
        sign = signs.get(node.inputs[0]) if len(node.inputs) == 1 else None
        node = node.with_inputs(*(renamed.get(name, name) for name in node.inputs))
        slopes = _slopes(node)
        if slopes is not None:
            made, sign = _rewritten(node, slopes)
            if np.any(sign < 0) and not _can_absorb(graph, node.name):
                made.append(_scale(f"{node.name}_sign", made[-1].name, sign))
            elif np.any(sign < 0):
                signs[node.name] = sign
            nodes.extend(made)
            renamed[node.name] = made[-1].name
            continue
        linear = linear_of(node)
        if sign is not None and linear is not None:
            node = linear.scaled(by_input=sign).as_node()
        nodes.append(node)
    return graph.changed(nodes, renamed.get(graph.output, graph.output))


def _slopes(node: Node) -> NDArray[np.float32] | None:
    """The slopes (c,) of a PReLU that has one per channel of a picture or vector."""
    if node.kind != "PReLU":
        return None
    alpha = node.weights[0]
    return alpha.reshape(-1) if alpha.size == alpha.shape[-1] and alpha.ndim == 3 else None


def _can_absorb(graph: Graph, name: str) -> bool:
    followed_by = graph.consumers(name)
    return name != graph.output and all(linear_of(node) is not None for node in followed_by)


def _rewritten(node: Node, slopes: NDArray[np.float32]) -> tuple[list[Node], NDArray[np.float32]]:
    sign = np.where(slopes <= 1, 1, -1).astype(np.float32)
    (source,) = node.inputs
    if not slopes.any():
        # A plain ReLU: the linear half would be a tensor of zeros, which has no int8 scale.
        return [make(keras.layers.ReLU(name=f"{node.name}_relu"), [source])], sign
    straight = _scale(f"{node.name}_straight", source, sign * slopes)
    bent = _scale(f"{node.name}_bent", source, np.abs(1 - slopes))
    relu = make(keras.layers.ReLU(name=f"{node.name}_relu"), [bent.name])
    joined = make(keras.layers.Add(name=f"{node.name}_sum"), [straight.name, relu.name])
    return [straight, bent, relu, joined], sign


def _scale(name: str, source: str, factors: NDArray[np.floating]) -> Node:
    layer = keras.layers.DepthwiseConv2D(1, use_bias=False, name=name)
    return make(layer, [source], np.asarray(factors, np.float32).reshape(1, 1, -1, 1))
