"""One training on several devices or machines: each step's batch is shared between them.

JAX (keras.distribution.DataParallel): all devices of a process, and all processes where Keras's own
KERAS_DISTRIBUTION_* variables name them. A step computes the same as on one device, even if the
loss or batch norms work across the batch.

TensorFlow (tf.distribute.MultiWorkerMirroredStrategy): one process per device, as named in
TF_CONFIG. Gradients and batch norms' means are averaged over the processes, but a loss that
compares the pictures of a batch with each other sees only its own process's part.

Every process runs the same command with the same shared run folder; only the first one writes
there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.training.engine.stream import Batch


class OneDevice:
    """No sharing: this process and its device do everything."""

    devices = 1
    processes = 1
    index = 0

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's files."""
        return self.index == 0

    @property
    def saves_alone(self) -> bool:
        """Whether this process writes checkpoints and can do so at any time."""
        return self.writes

    def need_whole_batches(self, kind: str) -> None:
        """ConfigError if recipes of `kind` need a loss to see the whole batch, and it does not."""

    @contextmanager
    def folder_of_checkpoints(self, folder: Path) -> Iterator[Path | None]:
        """Where this process has to save after an epoch; None if it has nothing to save."""
        yield folder if self.writes else None

    def placed(self, model: keras.Model) -> keras.Model:
        """The compiled model, with its optimiser, which is built, where it is to be trained."""
        return model

    def local(self, model: keras.Model) -> keras.Model:
        """A model that this process alone can use: same weights, on one device."""
        return model

    def step(self, model: keras.Model, batch: Batch) -> float:
        """One step of training on the whole batch; the epoch's mean loss so far."""
        inputs, targets = batch
        return float(model.train_on_batch(inputs, targets, return_dict=True)["loss"])

    def agreed(self, figures: Mapping[str, float]) -> dict[str, float]:
        """What the first process found; all others wait for it."""
        return dict(figures)


class _Shared(OneDevice):
    """What both ways of sharing have in common: copies of models and parts of batches."""

    def __init__(self) -> None:
        self._copied: keras.Model | None = None
        self._copy: keras.Model = None

    def placed(self, model: keras.Model) -> keras.Model:
        # Loading a checkpoint also places every variable, including the optimiser's.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            with self._scope():
                return keras.saving.load_model(path)

    def local(self, model: keras.Model) -> keras.Model:
        # One copy for the whole training: a new one for each epoch would be compiled each time.
        if self._copied is not model:
            self._copied = model
            self._copy = keras.models.clone_model(model)
        self._copy.set_weights(model.get_weights())
        return self._copy

    def step(self, model: keras.Model, batch: Batch) -> float:
        with self._scope():
            return super().step(model, self._part(batch))

    def agreed(self, figures: Mapping[str, float]) -> dict[str, float]:
        if self.processes == 1:
            return dict(figures)
        values = self._from_first(np.array(list(figures.values()), np.float64))
        return dict(zip(figures, map(float, values), strict=True))

    def _part(self, batch: Batch) -> Batch:
        """The rows of a batch that are for this process."""
        inputs, targets = batch
        count = len(targets)
        if count % self.devices:
            raise ConfigError(
                f"{self.devices} devices cannot share a batch of {count} evenly",
                where="batch",
                fix=f"set it to a multiple of {self.devices}, or use --distribute none",
            )
        size = count // self.processes
        mine = slice(self.index * size, (self.index + 1) * size)
        several = isinstance(inputs, list)
        return ([part[mine] for part in inputs] if several else inputs[mine]), targets[mine]

    def _scope(self) -> Any:
        raise NotImplementedError

    def _from_first(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError


class _Jax(_Shared):
    def __init__(self) -> None:
        import jax

        super().__init__()
        self.devices = jax.device_count()
        self.processes = jax.process_count()
        self.index = jax.process_index()
        self._data_parallel = keras.distribution.DataParallel(auto_shard_dataset=False)

    def _scope(self) -> Any:
        return self._data_parallel.scope()

    def _from_first(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        from jax.experimental.multihost_utils import broadcast_one_to_all

        # JAX computes in float32 unless told otherwise, so float64 values are sent as their bytes.
        sent = broadcast_one_to_all(np.frombuffer(values.tobytes(), np.uint8))
        return np.frombuffer(np.asarray(sent).astype(np.uint8).tobytes(), np.float64)


class _TensorFlow(_Shared):
    def __init__(self, config: Mapping[str, Any]) -> None:
        import tensorflow as tf

        super().__init__()
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._trained: keras.Model | None = None
        self._run: Any = None
        self.processes = sum(len(config["cluster"].get(kind, ())) for kind in ("chief", "worker"))
        self.devices = self._strategy.num_replicas_in_sync
        chiefs = len(config["cluster"].get("chief", ()))
        task = config["task"]
        self.index = int(task["index"]) + (chiefs if task["type"] == "worker" else 0)
        if self.devices != self.processes:
            raise ConfigError(
                f"{self.processes} processes with {self.devices} devices",
                where="TF_CONFIG",
                fix="let each process see one device (CUDA_VISIBLE_DEVICES), or train with JAX",
            )

    @property
    def saves_alone(self) -> bool:
        # Reading the means of batch norms takes every process: after an epoch they all do it.
        return False

    def need_whole_batches(self, kind: str) -> None:
        raise ConfigError(
            f"each of TensorFlow's processes sees only its part of a batch, and {kind!r} compares "
            "all of it",
            where="kind",
            fix="train with JAX (KERAS_BACKEND=jax), or in one process: --distribute none",
        )

    @contextmanager
    def folder_of_checkpoints(self, folder: Path) -> Iterator[Path | None]:
        if self.writes:
            yield folder
            return
        with tempfile.TemporaryDirectory() as elsewhere:
            yield Path(elsewhere)

    def step(self, model: keras.Model, batch: Batch) -> float:
        import tensorflow as tf

        # Keras 3.15's own train_on_batch fails here: it averages scalars over an axis that they
        # do not have (reduce_per_replica).
        if self._trained is not model:
            self._trained = model
            self._run = tf.function(
                lambda data: self._strategy.run(model.train_step, args=(data,)),
                reduce_retracing=True,
            )
        logs = self._run(self._part(batch))
        return float(self._strategy.experimental_local_results(logs["loss"])[0])

    def _scope(self) -> Any:
        return self._strategy.scope()

    def _from_first(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        import tensorflow as tf

        mine = tf.constant(values if self.index == 0 else np.zeros_like(values))
        everybodys = self._strategy.run(lambda: tf.identity(mine))
        return np.asarray(self._strategy.reduce(tf.distribute.ReduceOp.SUM, everybodys, axis=None))


_ONE = OneDevice()
_current: OneDevice = _ONE


def current() -> OneDevice:
    """How training is shared in this process."""
    return _current


@contextmanager
def shared_out(wanted: str) -> Iterator[OneDevice]:
    """Share the training done within: `auto` over all devices and processes, `none` over none.

    Enter it before any model is made. Raises ConfigError for an invalid TF_CONFIG.
    """
    with sharing(_found() if wanted == "auto" else _ONE) as spread:
        yield spread


@contextmanager
def sharing(way: OneDevice) -> Iterator[OneDevice]:
    """Share the training done within in this way."""
    global _current
    before, _current = _current, way
    try:
        yield way
    finally:
        _current = before


def _found() -> OneDevice:
    backend = keras.backend.backend()
    if backend == "jax":
        if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
            keras.distribution.initialize()
        return _Jax() if len(keras.distribution.list_devices()) > 1 else _ONE
    if backend == "tensorflow" and "TF_CONFIG" in os.environ:
        try:
            config = json.loads(os.environ["TF_CONFIG"])
            processes = [each for part in config["cluster"].values() for each in part]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                "not the JSON that names cluster and task", where="TF_CONFIG"
            ) from error
        return _TensorFlow(config) if len(processes) > 1 else _ONE
    return _ONE
