"""The least time that the encoder could take: its multiply-accumulates at the core's measured peak.

Multiply-accumulates are counted from the shapes of the file's own convolutions and matrix products.
The peak is the best rate at which this core multiplies square float32 matrices (OpenBLAS, one
thread): fewer operations a second than it could issue, more than convolutions reach.

python benchmarks/floor.py [--core N]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Let OpenBLAS use the widest vectors of this core, whatever the environment says.
os.environ.pop("OPENBLAS_CORETYPE", None)

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from oneglance.faces.model.face_model import load_model
from oneglance.models import default_model_dir

_SIZES = (256, 384, 512, 768, 1024)
_ROUNDS = 20


def macs(file: Path, signature: str) -> int:
    """Multiply-accumulates of one input through a signature of a .tflite file."""
    model = schema.ModelT.InitFromPackedBuf(file.read_bytes())
    names = {found.signatureKey.decode(): found.subgraphIndex for found in model.signatureDefs}
    graph = model.subgraphs[names[signature]]
    total = 0
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if kind == schema.BuiltinOperator.CONV_2D:
            one = np.prod(graph.tensors[operator.inputs[1]].shape[1:])
        elif kind == schema.BuiltinOperator.DEPTHWISE_CONV_2D:
            one = np.prod(graph.tensors[operator.inputs[1]].shape[1:3])
        elif kind == schema.BuiltinOperator.FULLY_CONNECTED:
            one = graph.tensors[operator.inputs[1]].shape[1]
        else:
            continue
        total += int(np.prod(graph.tensors[operator.outputs[0]].shape[1:]) * one)
    return total


def main() -> None:
    """Measure the peak and the encoder in turn; one JSON object on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int)
    chosen = parser.parse_args()
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    folder = default_model_dir()
    model = load_model(folder)
    rng = np.random.default_rng(0)
    chip = rng.integers(0, 256, (1, 112, 112, 3), np.uint8)
    matrices = {n: rng.normal(0, 1, (n, n)).astype(np.float32) for n in _SIZES}
    encode_s, rates = [], []
    for _ in range(_ROUNDS):
        encode_s.append(min(_seconds(lambda: model.encode(chip)) for _ in range(10)))
        for size, matrix in matrices.items():
            rates.append(size**3 / _seconds(lambda m=matrix: m @ m))
    work = macs(folder / model.manifest.encoder.name, "encode")
    floor_s = work / max(rates)
    figures = {
        "macs": work,
        "peak_gmacs_per_s": round(max(rates) / 1e9, 1),
        "encode_ms": round(1e3 * min(encode_s), 3),
        "floor_ms": round(1e3 * floor_s, 3),
        "encoder_over_floor": round(min(encode_s) / floor_s, 2),
    }
    json.dump(figures, sys.stdout)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
