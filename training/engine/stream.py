"""Batches prepared ahead by several workers, the same whatever the number of workers.

A batch follows from its epoch and step alone, so that a training can start anywhere. With the
TensorFlow backend the pipeline is tf.data's; with any other it is a pool of threads, and TensorFlow
is not loaded. Both work in threads: OpenCV and NumPy release Python's lock while they compute.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Batch = tuple[Any, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Stream:
    """The batches of every epoch: `make(epoch, step)` gives one, step counting from 0.

    `make` is called from several threads at once, so it must draw from a generator of its own,
    seeded by epoch and step. `workers` threads (None: one per core) stay at most `ahead` batches
    ahead.
    """

    make: Callable[[int, int], Batch]
    steps: int
    workers: int | None = None
    ahead: int = 4

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, in order."""
        return self.start(epoch, 0)

    def start(self, epoch: int, step: int) -> Iterator[Batch]:
        """The batches of an epoch from `step` on, in order."""
        workers = self.workers or len(os.sched_getaffinity(0))
        if step >= self.steps:
            return iter(())
        if keras.backend.backend() == "tensorflow":
            return self._by_tf_data(epoch, step, workers)
        return self._by_threads(epoch, step, workers)

    def _by_tf_data(self, epoch: int, first: int, workers: int) -> Iterator[Batch]:
        import tensorflow as tf

        # Shapes and types are not known beforehand; the first batch tells.
        inputs, targets = self.make(epoch, first)
        yield inputs, targets
        several = isinstance(inputs, list)
        kinds = [tf.as_dtype(part.dtype) for part in [*(inputs if several else [inputs]), targets]]

        def make(step: Any) -> list[NDArray[Any]]:
            inputs, targets = self.make(epoch, int(step))
            return [*inputs, targets] if several else [inputs, targets]

        pipeline = tf.data.Dataset.range(first + 1, self.steps).map(
            lambda step: tf.numpy_function(make, [step], kinds),
            num_parallel_calls=workers,
            deterministic=True,
        )
        options = tf.data.Options()
        options.threading.private_threadpool_size = workers
        for parts in pipeline.prefetch(self.ahead).with_options(options).as_numpy_iterator():
            yield (list(parts[:-1]) if several else parts[0]), parts[-1]

    def _by_threads(self, epoch: int, first: int, workers: int) -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for step in range(first, self.steps):
                    waiting.append(pool.submit(self.make, epoch, step))
                    if len(waiting) > self.ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def generator_of(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The randomness of one batch, the same in every run of a recipe."""
    return np.random.default_rng([seed, epoch, step])
