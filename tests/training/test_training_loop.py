"""Checkpoints: a run that was cut short ends exactly as one that was not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from oneglance.errors import ConfigError
from oneglance.training import loop
from oneglance.training.progress import silent

# TensorFlow's variables do not know NumPy 2's `copy` yet; saving a model says so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class PowerCutError(Exception):
    """The run was cut short."""


def fit(folder: Path, epochs: int, cut_in: int = 0) -> np.ndarray:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(loop.cosine(0.1, 4, 3, 1.0)), loss="mse")

    def batches(epoch: int) -> Iterator[loop.Batch]:
        generator = np.random.default_rng([3, epoch])
        for step in range(3):
            if epoch == cut_in and step == 2:
                raise PowerCutError
            x = generator.normal(size=(8, 4)).astype(np.float32)
            yield x, x.sum(1, keepdims=True)

    trained = loop.train(
        model,
        folder=folder,
        name="sum",
        epochs=epochs,
        steps=3,
        batches=batches,
        validate=lambda net: {"norm": float(np.linalg.norm(net.get_weights()[0]))},
        stage=silent,
    )
    return np.concatenate([w.ravel() for w in trained.get_weights()])


def test_a_run_cut_short_resumes_exactly(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    wanted = fit(whole, 4)
    with pytest.raises(PowerCutError):
        fit(broken, 4, cut_in=3)
    assert loop.done_epochs(broken, "sum") == 2
    assert np.array_equal(fit(broken, 4), wanted)
    assert (broken / "sum.csv").read_text() == (whole / "sum.csv").read_text()
    with (whole / "sum.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3", "4"]


def test_only_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    fit(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == ["sum-3.keras", "sum-4.keras"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(tmp_path: Path) -> None:
    fit(tmp_path, 3)
    (tmp_path / "sum-3.keras").write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="damaged") as caught:
        fit(tmp_path, 4)
    assert "sum-3.keras" in caught.value.where
    (tmp_path / "sum-3.keras").unlink()
    fit(tmp_path, 4)
    assert loop.done_epochs(tmp_path, "sum") == 4


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
        loop.open_run(folder, {"seed": 1}, resume=True)
    loop.open_run(folder, {"seed": 2}, resume=False)
    assert not folder.exists()
    loop.begin_run(folder, {"seed": 1})
    with pytest.raises(ConfigError, match="already here"):
        loop.open_run(folder, {"seed": 1}, resume=False)
    with pytest.raises(ConfigError, match="another recipe"):
        loop.open_run(folder, {"seed": 2}, resume=True)
    loop.open_run(folder, {"seed": 1}, resume=True)


def test_a_run_below_a_file_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep")
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        loop.begin_run(tmp_path / "file" / "run", {"seed": 1})
    assert "--out" in caught.value.fix
