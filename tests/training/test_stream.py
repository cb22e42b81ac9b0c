"""Batches made ahead: the same ones, in order, whatever makes them and wherever they start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from oneglance.training.engine.stream import Batch, Stream, generator_of

STEPS = 7


def one(epoch: int, step: int) -> Batch:
    generator = generator_of(5, epoch, step)
    images = generator.integers(0, 256, (4, 8, 8, 3)).astype(np.float32)
    return images, generator.normal(size=(4, 2))


def two(epoch: int, step: int) -> Batch:
    a, targets = one(epoch, step)
    return [a, a[::-1]], targets


def flat(batches: Iterator[Batch]) -> list[bytes]:
    """Every byte of every batch."""
    found = []
    for inputs, targets in batches:
        parts = [*inputs, targets] if isinstance(inputs, list) else [inputs, targets]
        found.append(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    return found


@pytest.fixture(params=["tf.data", "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to make batches ahead: that of the TensorFlow backend, and that of the others."""
    if request.param == "threads":
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    return str(request.param)


@pytest.mark.parametrize("make", [one, two])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_batches_are_those_of_a_plain_loop(way: str, make: Any, workers: int) -> None:
    wanted = flat(make(3, step) for step in range(STEPS))
    assert flat(Stream(make, STEPS, workers=workers)(3)) == wanted
    assert len(set(wanted)) == STEPS


@pytest.mark.parametrize("first", [0, 1, 3, STEPS - 1, STEPS])
def test_a_start_in_the_middle_brings_the_rest(way: str, first: int) -> None:
    stream = Stream(one, STEPS, workers=2)
    assert flat(stream.start(2, first)) == flat(stream(2))[first:]


def test_epochs_differ_and_shapes_stay(way: str) -> None:
    stream = Stream(two, STEPS, workers=2)
    assert not set(flat(stream(1))) & set(flat(stream(2)))
    for inputs, targets in stream(1):
        assert [part.shape for part in inputs] == [(4, 8, 8, 3)] * 2
        assert inputs[0].dtype == np.float32
        assert targets.dtype == np.float64


def test_two_workers_make_batches_at_the_same_time(way: str) -> None:
    # Passes only if the makers of two batches wait for each other: one alone would break it.
    both = threading.Barrier(2, timeout=30)

    def make(epoch: int, step: int) -> Batch:
        # The first batch tells tf.data what batches are like, and is made alone.
        if step > 0:
            both.wait()
        return one(epoch, step)

    stream = Stream(make, 5, workers=2)
    batches = stream(1) if way == "tf.data" else stream.start(1, 1)
    assert len(flat(batches)) == (5 if way == "tf.data" else 4)


def test_batches_that_nobody_takes_any_more_are_not_made(way: str) -> None:
    made: list[int] = []

    def make(epoch: int, step: int) -> Batch:
        made.append(step)
        return one(epoch, step)

    batches = Stream(make, 1000, workers=2, ahead=2)(1)
    next(batches)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(made) < 50
