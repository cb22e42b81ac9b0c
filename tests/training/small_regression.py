"""A training that ends the same on every backend, in one process and in several.

As a script it is one of those processes, and says what it trained; it writes into the folder named.

No batch norm, whose means differ where each process sees its own part; weights start at zero.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.training.engine import loop
from oneglance.training.engine.distribute import shared_out
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import silent
from oneglance.training.engine.stream import Batch, Stream, generator_of


def make(epoch: int, step: int) -> Batch:
    x = generator_of(3, epoch, step).normal(size=(8, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def fit(folder: Path) -> NDArray[np.float32]:
    """The weights (4,), trained by the processes that the training is shared out to."""
    dense = keras.layers.Dense(1, kernel_initializer="zeros")
    model = keras.Sequential([keras.layers.Input((4,)), dense])
    model.compile(keras.optimizers.Adam(0.05), loss="mse")
    trained = loop.train(
        model,
        folder=folder,
        name="sum",
        epochs=2,
        steps=3,
        batches=Stream(make, 3),
        validate=lambda net: {"norm": float(np.linalg.norm(net.get_weights()[0]))},
        stage=silent,
        stop=EarlyStop("norm", 5, larger_is_better=True),
    )
    return trained.get_weights()[0].ravel()


if __name__ == "__main__":
    with shared_out("auto") as spread:
        weights = fit(Path(sys.argv[1]))
    answer = {"processes": spread.processes, "index": spread.index, "weights": weights.tolist()}
    sys.stdout.write(json.dumps(answer) + "\n")
