"""The ranges of every tensor of a .tflite file, measured on samples and written into it.

TensorFlow's own calibration takes the smallest and the largest value ever seen, so that one odd
pixel widens every step. Here the range is the one whose 256 steps have the least squared error.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.tools import flatbuffer_utils

from oneglance.faces.model.litert import interpreter_class

WEIGHTY = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Of so many pictures every tensor is held at once: of a large network some 200 MB a picture.
AT_ONCE = 4
_BINS = 2048
_SHARES = np.linspace(0.3, 1.0, 36)
_STEPS = 255


@dataclass(slots=True, eq=False)
class Histogram:
    """How often each value of a tensor occurred; the histogram grows with what is added."""

    low: float = np.inf
    high: float = -np.inf
    values: NDArray[np.float32] | None = None

    def add(self, values: NDArray[np.float32], generator: np.random.Generator) -> None:
        """Count a batch: its extremes and a random sample of the rest."""
        flat = values.reshape(-1)
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        few = flat if len(flat) <= _BINS else flat[generator.integers(0, len(flat), _BINS)]
        self.values = few if self.values is None else np.concatenate([self.values, few])

    def range(self, method: str) -> tuple[float, float]:
        """The range to quantize: "minmax", as seen, or "mse", with the least squared error."""
        if method == "minmax" or self.values is None or not self.high > self.low:
            return self.low, self.high
        best, least = (self.low, self.high), np.inf
        for share in _SHARES:
            low, high = self.low * share, self.high * share
            step = max((max(high, 0) - min(low, 0)) / _STEPS, 1e-12)
            clipped = np.clip(self.values, min(low, 0), max(high, 0))
            # Rounding adds step^2 / 12 to values within the range.
            error = float(np.square(self.values - clipped).mean()) + step * step / 12
            if error < least:
                best, least = (low, high), error
        return best


def float_interpreter(model: bytes, *, every_tensor: bool = False) -> Any:
    """An interpreter; if all of its tensors are to be read, without a delegate."""
    make = interpreter_class()
    if not every_tensor:
        return make(model_content=model, num_threads=1)
    from ai_edge_litert.interpreter import OpResolverType

    return make(
        model_content=model,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


def tensors_of(model: bytes, batches: Iterable[NDArray[Any]]) -> Any:
    """The float tensors that a one-signature model computes, by index, for each batch."""
    net = float_interpreter(model, every_tensor=True)
    (entry,) = net.get_input_details()
    size = 0
    for batch in batches:
        if len(batch) != size:
            size = len(batch)
            net.resize_tensor_input(entry["index"], batch.shape)
            net.allocate_tensors()
        net.set_tensor(entry["index"], batch)
        net.invoke()
        yield net


def measure_ranges(
    model: bytes, batches: Iterable[NDArray[Any]], method: str, seed: int = 0
) -> dict[int, tuple[float, float]]:
    """The ranges of what will be quantized in the first subgraph, by tensor index.

    That is every float tensor from the input of the first convolution or dense layer to the output
    of the last. What comes before and after, the normalisation of pixels and of templates, has no
    range and so stays in float.
    """
    document = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    computed = _between_weights(document)
    generator = np.random.default_rng(seed)
    found: dict[int, Histogram] = {index: Histogram() for index in computed}
    for net in tensors_of(model, batches):
        for index, histogram in found.items():
            histogram.add(net.get_tensor(index), generator)
    return {index: histogram.range(method) for index, histogram in found.items()}


def _between_weights(document: Any) -> set[int]:
    graph = document.subgraphs[0]
    codes = [flatbuffer_utils.opcode_to_name(document, op.opcodeIndex) for op in graph.operators]
    weighty = [place for place, name in enumerate(codes) if name in WEIGHTY]
    if not weighty:
        return set()
    inner = graph.operators[weighty[0] : weighty[-1] + 1]
    tensors = {int(index) for op in inner for index in op.outputs}
    tensors.add(int(graph.operators[weighty[0]].inputs[0]))
    return {i for i in tensors if graph.tensors[i].type == schema.TensorType.FLOAT32}


def quantize_graph(
    model: bytes, signature: str, ranges: Mapping[int, tuple[float, float]]
) -> bytes:
    """Full int8 where a signature's tensors have ranges, float elsewhere.

    Weights have one scale per output channel; inputs and outputs keep their types.
    """
    document = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (chosen,) = [s for s in document.signatureDefs if s.signatureKey.decode() == signature]
    for index, (low, high) in ranges.items():
        measured = schema.QuantizationParametersT()
        measured.min, measured.max = [low], [high]
        document.subgraphs[chosen.subgraphIndex].tensors[index].quantization = measured
    calibrated = bytes(flatbuffer_utils.convert_object_to_bytearray(document))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(mlir_quantize(calibrated))
