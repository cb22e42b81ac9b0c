"""How long a converted graph takes, beside what this core could do at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from oneglance.converter.delegate import macs_of
from oneglance.converter.ranges import measure_ranges, quantize_graph
from oneglance.converter.tflite import convert_archive
from oneglance.faces.model.litert import interpreter_class

BATCHES = (1, 4, 8, 16)
THREADS = (1, 2)
_ROUNDS = 12
_PEAK_SIDE, _PEAK_CHANNELS = 28, 256
PEAK_METHOD = (
    "best of 12 runs of one 1x1 convolution, 28x28x256 to 256, in this precision, by the same "
    "runtime on one thread"
)


def times_ms(
    models: Mapping[str, bytes], signature: str, input_name: str, samples: NDArray[np.uint8]
) -> dict[str, list[dict[str, Any]]]:
    """For each model, ms per sample at each batch size and thread count, measured alternately.

    The best of 12 rounds: what the machine can do if nothing else runs.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    for threads in THREADS:
        runners = {
            name: interpreter_class()(model_content=model, num_threads=threads)
            for name, model in models.items()
        }
        calls = {name: net.get_signature_runner(signature) for name, net in runners.items()}
        for batch in BATCHES:
            given = {input_name: samples[np.arange(batch) % len(samples)]}
            best = _alternate({name: _bound(call, given) for name, call in calls.items()})
            for name, seconds in best.items():
                told = {"batch": batch, "threads": threads, "ms": seconds * 1e3 / batch}
                rows[name].append(told)
    return rows


@cache
def peak_gmacs(integer: bool) -> float:
    """What one thread of the runtime reaches for its best shape, in 1e9 MAC/s."""
    side, channels = _PEAK_SIDE, _PEAK_CHANNELS
    pictures = keras.layers.Input((side, side, channels))
    layer = keras.layers.Conv2D(channels, 1, use_bias=False)
    model = keras.Model(pictures, layer(pictures))
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((1, side, side, channels), tf.float32, "x")
    archive.add_endpoint("run", lambda x: {"y": model(x)}, [spec])
    made = convert_archive(archive, ["run"], "float32")
    x = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    if integer:
        made = quantize_graph(made, "run", measure_ranges(made, [x], "minmax"))
    net = interpreter_class()(model_content=made, num_threads=1)
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], x)
    best = _alternate({"peak": net.invoke})["peak"]
    return float(side * side * channels * channels / best / 1e9)


def floor_ms(model: bytes, signature: str, *, integer: bool) -> float:
    """The least time that a sample could take on one thread: MACs over the measured peak."""
    return macs_of(model, signature) / peak_gmacs(integer) / 1e6


def _bound(call: Any, given: dict[str, Any]) -> Callable[[], Any]:
    return lambda: call(**given)


def _alternate(runs: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best
