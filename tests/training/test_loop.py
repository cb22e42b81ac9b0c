"""Checkpoints: a run that was cut short ends exactly as one that was not."""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from oneglance.errors import ConfigError
from oneglance.training.engine import loop, run_folder
from oneglance.training.engine.checkpoints import Place, places
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import silent
from oneglance.training.engine.stream import Stream, generator_of

# TensorFlow's variables do not know NumPy 2's `copy` yet; saving a model says so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class PowerCutError(Exception):
    """The run was cut short."""


STEPS, EPOCHS = 4, 5


def make(epoch: int, step: int) -> loop.Batch:
    generator = generator_of(3, epoch, step)
    x = generator.normal(size=(8, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def network(seed: int = 3, units: int = 6) -> keras.Model:
    """A network with all that a training holds beside weights: moments, means, dropout's seeds."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1),
        ]
    )
    adam = keras.optimizers.Adam(loop.cosine(0.1, EPOCHS, STEPS, 1.0))
    # Step by step, as each of some thirty short runs would compile a graph of its own first; the
    # recipes' own tests are killed and resumed with graphs.
    model.compile(adam, loss="mse", run_eagerly=True)
    return model


def fit(
    folder: Path,
    epochs: int = EPOCHS,
    *,
    cut: tuple[int, int] = (0, 0),
    stop: EarlyStop | None = None,
    model: keras.Model | None = None,
    resumable: bool = False,
) -> np.ndarray:
    """Train; a checkpoint every second step, drawing batch `cut` (epoch, step) fails."""

    def checked(epoch: int, step: int) -> loop.Batch:
        if (epoch, step) == cut:
            raise PowerCutError
        return make(epoch, step)

    def batches(epoch: int) -> Iterator[loop.Batch]:
        return (checked(epoch, step) for step in range(STEPS))

    ticks = itertools.count()
    trained = loop.train(
        model or network(),
        folder=folder,
        name="sum",
        epochs=epochs,
        steps=STEPS,
        batches=Stream(make, STEPS, workers=2) if resumable else batches,
        validate=lambda net: {"norm": float(np.linalg.norm(net.get_weights()[0]))},
        stage=silent,
        stop=stop,
        save_every_s=1.5,
        clock=lambda: float(next(ticks)),
    )
    return np.concatenate([w.ravel() for w in trained.get_weights()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder)


@pytest.mark.parametrize("cut", [(1, 0), (1, 3), (3, 0), (3, 1), (5, 3)])
def test_a_run_cut_short_at_any_step_resumes_exactly(
    tmp_path: Path, whole: tuple[Path, np.ndarray], cut: tuple[int, int]
) -> None:
    with pytest.raises(PowerCutError):
        fit(tmp_path, cut=cut)
    assert np.array_equal(fit(tmp_path), whole[1])
    assert (tmp_path / "sum.csv").read_text() == (whole[0] / "sum.csv").read_text()
    with (tmp_path / "sum.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3", "4", "5"]


def test_a_checkpoint_within_an_epoch_is_where_the_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        fit(tmp_path, cut=(3, 3))
    assert places(tmp_path, "sum")[-1][0] == Place(2, 2)
    drawn: list[tuple[int, int]] = []

    def noted(epoch: int, step: int) -> loop.Batch:
        drawn.append((epoch, step))
        return make(epoch, step)

    loop.train(
        network(),
        folder=tmp_path,
        name="sum",
        epochs=3,
        steps=STEPS,
        batches=Stream(noted, STEPS),
        validate=lambda net: {"norm": 0.0},
        stage=silent,
    )
    assert drawn == [(3, 2), (3, 3)]


def killed_run(folder: Path, at_step: int, at_write: int) -> None:
    """In a child: train, and die without a word at a step, or while a file is being written."""
    steps, writes = itertools.count(1), itertools.count(1)
    fsync = os.fsync

    def die_when(count: int, limit: int) -> None:
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_fsync(file: int) -> None:
        die_when(next(writes), at_write)
        fsync(file)

    os.fsync = dying_fsync
    model = network()
    train_on_batch = model.train_on_batch

    def dying_step(*args: Any, **kwargs: Any) -> Any:
        die_when(next(steps), at_step)
        return train_on_batch(*args, **kwargs)

    load = keras.saving.load_model

    def dying_model(path: Path) -> keras.Model:
        nonlocal train_on_batch
        loaded = load(path)
        train_on_batch = loaded.train_on_batch
        loaded.train_on_batch = dying_step
        return loaded

    keras.saving.load_model = dying_model
    model.train_on_batch = dying_step
    fit(folder, model=model, resumable=True)


def test_a_run_killed_again_and_again_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, whole: tuple[Path, np.ndarray]
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oneglance.training.engine.loop"])
    generator = np.random.default_rng(5)
    # Steps done until the kill, and files written: whatever comes first.
    kills = [(int(generator.integers(1, 7)), 99) for _ in range(2)]
    kills += [(99, int(generator.integers(1, 6))) for _ in range(2)]
    for at_step, at_write in kills:
        child = context.Process(target=killed_run, args=(tmp_path, at_step, at_write))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert places(tmp_path, "sum")[-1][0] > Place(0, 0)
    assert np.array_equal(fit(tmp_path, resumable=True), whole[1])
    assert (tmp_path / "sum.csv").read_text() == (whole[0] / "sum.csv").read_text()


def test_only_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    fit(tmp_path, 4)
    left = sorted(path.name for path in tmp_path.glob("*.keras"))
    assert left == ["sum-3-2.keras", "sum-4.keras"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(tmp_path: Path) -> None:
    fit(tmp_path, 3)
    (tmp_path / "sum-3.keras").write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="damaged") as caught:
        fit(tmp_path, 4)
    assert "sum-3.keras" in caught.value.where
    (tmp_path / "sum-3.keras").unlink()
    fit(tmp_path, 4)
    assert loop.done_epochs(tmp_path, "sum") == 4


def test_a_checkpoint_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    fit(tmp_path, 1)
    with pytest.raises(ConfigError, match="another network") as caught:
        fit(tmp_path, 2, model=network(units=7))
    assert "(4, 6), and the recipe's (4, 7)" in caught.value.what
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("figures", "patience", "best", "enough"),
    [
        ([0.5], 2, 0, False),
        ([0.1, 0.5, 0.4], 2, 1, False),
        ([0.1, 0.5, 0.4, 0.5], 2, 1, True),
        ([0.1, 0.5, 0.4, 0.6], 2, 3, False),
        ([0.5, 0.4, 0.3], 2, 0, True),
        ([0.5, 0.4, 0.3], None, 0, False),
        ([float("nan"), 0.4, float("nan")], 2, 1, False),
        ([float("nan"), float("nan")], 2, None, True),
    ],
)
def test_training_stops_when_patience_is_at_its_end(
    figures: list[float], patience: int | None, best: int | None, enough: bool
) -> None:
    log = [{"epoch": number, "figure": f"{value}"} for number, value in enumerate(figures)]
    rising = EarlyStop("figure", patience, larger_is_better=True)
    falling = EarlyStop("figure", patience, larger_is_better=False)
    assert (rising.best(log), rising.enough(log)) == (best, enough)
    turned = [{**row, "figure": f"{-float(row['figure'])}"} for row in log]
    assert (falling.best(turned), falling.enough(turned)) == (best, enough)


def test_the_best_epochs_weights_are_what_remains_also_after_a_resume(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    stop = EarlyStop("norm", 2, larger_is_better=False)
    kept = fit(whole, 5, stop=stop)
    with (whole / "sum.csv").open(newline="") as file:
        norms = [float(row["norm"]) for row in csv.DictReader(file)]
    best = int(np.argmin(norms))
    assert len(norms) - 1 == min(best + 2, 5)
    assert np.linalg.norm(kept[:24]) == pytest.approx(norms[best], rel=1e-5)
    with pytest.raises(PowerCutError):
        fit(broken, 5, stop=stop, cut=(2, 3))
    assert np.array_equal(fit(broken, 5, stop=stop), kept)
    assert np.array_equal(fit(broken, 5, stop=stop), kept)


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """What TensorFlow's own reader, which checks the sums, finds in the event files."""
    files = [str(path) for path in sorted(folder.glob("events.out.tfevents.*"))]
    found = []
    for record in tf.data.TFRecordDataset(files):
        event = event_pb2.Event.FromString(record.numpy())
        if event.HasField("session_log"):
            assert event.session_log.status == event_pb2.SessionLog.START
            found.append((event.step, "start", 0.0))
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return found


def test_tensorboard_finds_each_epochs_figures_and_where_a_run_was_resumed(tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        fit(tmp_path, 3, cut=(2, 3))
    fit(tmp_path, 3)
    found = scalars(tmp_path / "tensorboard" / "sum")
    with (tmp_path / "sum.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[1:]
    norms = {step: value for step, tag, value in found if tag == "norm"}
    assert list(norms) == [STEPS * int(row["epoch"]) for row in rows]
    assert list(norms.values()) == pytest.approx([float(row["norm"]) for row in rows], rel=1e-5)
    # The third step of the second epoch is done again: what was logged from there on is void.
    assert [step for step, tag, _ in found if tag == "start"] == [1, STEPS + 3]
    losses = {step: value for step, tag, value in found if tag == "loss"}
    assert sorted(losses) == list(range(1, 3 * STEPS + 1))
    assert losses[3 * STEPS] == pytest.approx(float(rows[-1]["loss"]), rel=1e-4)
    rates = [value for _, tag, value in found if tag == "learning_rate"]
    schedule = loop.cosine(0.1, EPOCHS, STEPS, 1.0)
    assert rates == pytest.approx([float(schedule(STEPS * n)) for n in (1, 2, 3)], rel=1e-5)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    with pytest.raises(ConfigError, match="the loss became nan"):
        loop.train(
            model,
            folder=tmp_path,
            name="bad",
            epochs=1,
            steps=1,
            batches=lambda epoch: iter([(np.full((1, 1), np.nan), np.ones((1, 1), np.float32))]),
            validate=lambda net: {},
            stage=silent,
        )
    assert loop.done_epochs(tmp_path, "bad") == 0


def test_a_run_is_not_overwritten_nor_mixed_with_another(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ConfigError, match="no run to resume"):
        run_folder.open_run(folder, {"seed": 1}, resume=True)
    run_folder.open_run(folder, {"seed": 2}, resume=False)
    assert not folder.exists()
    run_folder.begin_run(folder, {"seed": 1})
    with pytest.raises(ConfigError, match="already here"):
        run_folder.open_run(folder, {"seed": 1}, resume=False)
    with pytest.raises(ConfigError, match="another recipe"):
        run_folder.open_run(folder, {"seed": 2}, resume=True)
    run_folder.open_run(folder, {"seed": 1, "new_key": None}, resume=True)


def test_a_run_below_a_file_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep")
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        run_folder.begin_run(tmp_path / "file" / "run", {"seed": 1})
    assert "--out" in caught.value.fix
