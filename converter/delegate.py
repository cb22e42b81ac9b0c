"""Which part of a .tflite graph a delegate takes, and what each operation costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from oneglance.converter.ranges import WEIGHTY, float_interpreter


@dataclass(frozen=True, slots=True)
class Taken:
    """Delegate `partitions` of one signature, and the operations `outside` of them, by name."""

    partitions: int
    outside: tuple[str, ...]


def only(model: bytes, signature: str) -> bytes:
    """A file with the graph of one signature only: the runtime reports on the first one alone."""
    whole = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (chosen,) = [made for made in whole.signatureDefs if made.signatureKey.decode() == signature]
    part = schema.ModelT()
    part.version, part.buffers, part.operatorCodes = 3, whole.buffers, whole.operatorCodes
    part.subgraphs = [whole.subgraphs[chosen.subgraphIndex]]
    chosen.subgraphIndex = 0
    part.signatureDefs = [chosen]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(part))


def taken_by_delegate(model: bytes, signature: str) -> Taken:
    """How the runtime's own delegate (XNNPACK) partitions a signature's graph."""
    part = only(model, signature)
    net = float_interpreter(part)
    net.allocate_tensors()
    plan = [op for op in net._get_ops_details() if op["op_name"] == "DELEGATE"]
    whole = flatbuffer_utils.read_model_from_bytearray(bytearray(part))
    # The delegate's nodes come after the file's own. An operation is outside if no delegate node
    # produces its output, and it still computes that output itself.
    return Taken(len(plan), _outside(whole, plan))


def macs_of(model: bytes, signature: str) -> int:
    """Multiply-accumulates for one input in convolutions and dense layers."""
    whole = flatbuffer_utils.read_model_from_bytearray(bytearray(only(model, signature)))
    graph = whole.subgraphs[0]
    total = 0
    for op in graph.operators:
        name = flatbuffer_utils.opcode_to_name(whole, op.opcodeIndex)
        if name not in WEIGHTY:
            continue
        output, weights = graph.tensors[op.outputs[0]].shape, graph.tensors[op.inputs[1]].shape
        places = output[1] * output[2] if len(output) == 4 else 1
        size = 1
        for side in weights:
            size *= int(side)
        total += int(places) * size
    return total


def _outside(whole: Any, plan: list[Any]) -> tuple[str, ...]:
    graph = whole.subgraphs[0]
    makers = {int(index): place for place, op in enumerate(graph.operators) for index in op.outputs}
    inside: set[int] = set()
    for node in plan:
        given = {int(index) for index in node["inputs"]}
        open_ends = [int(index) for index in node["outputs"]]
        while open_ends:
            index = open_ends.pop()
            place = makers.get(index)
            if place is None or place in inside or index in given:
                continue
            inside.add(place)
            open_ends += [int(source) for source in graph.operators[place].inputs]
    return tuple(
        flatbuffer_utils.opcode_to_name(whole, op.opcodeIndex)
        for place, op in enumerate(graph.operators)
        if place not in inside
    )
