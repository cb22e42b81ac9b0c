"""The read-out of the texture network: its fit, its file; another network is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneglance.errors import ModelError
from oneglance.models import model_dir
from oneglance.training.liveness.crops import SCALES
from oneglance.training.liveness.fit_texture import fit_readout
from oneglance.training.liveness.judge_texture import apcer, area
from oneglance.training.liveness.texture_files import (
    FEATURES,
    read_readouts,
    rebuild,
)


@pytest.mark.parametrize("name", ["manifest.json", "minifas-int8-weights.tflite"])
def test_another_file_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="not the network to rebuild") as caught:
        rebuild(model_dir("liveness-1") / name)
    assert "faceplugin" in caught.value.fix


def test_a_readout_finds_the_direction_that_tells_the_classes_apart() -> None:
    rng = np.random.default_rng(1)
    live = rng.random(600) < 0.2
    values = rng.normal(5, [1, 10, 0.1], (600, 3)) + live[:, None] * [2.0, 0.0, 0.0]
    weights, bias = fit_readout(values[:300], live[:300], 1.0)
    told = values[300:] @ weights + bias
    assert abs(weights[0]) > 10 * abs(weights[1])
    assert area(told[live[300:]], told[~live[300:]]) > 0.85
    # Equal weight of both classes: the middle between their means is even.
    assert abs(weights @ [6.0, 5.0, 5.0] + bias) < 0.6


def test_readouts_are_read_back_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "readouts.npz"
    whole = np.ones((len(SCALES), FEATURES), np.float32)
    np.savez(file, weights=whole, biases=np.array([2, 3], np.float32))
    weights, biases = read_readouts(file)
    assert (weights.shape, biases.tolist()) == (whole.shape, [2.0, 3.0])
    for broken in (whole[:1], whole * np.nan):
        np.savez(file, weights=broken, biases=np.array([2, 3], np.float32))
        with pytest.raises(ModelError, match="not the fitted read-outs"):
            read_readouts(file)
    file.write_bytes(b"PK not really")
    with pytest.raises(ModelError, match="not the fitted read-outs"):
        read_readouts(file)


def test_area_and_apcer_of_known_values() -> None:
    live, attacks = np.arange(1.0, 101.0), np.array([0.0, 3.5, 50.0, 200.0])
    assert area(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875
    assert apcer(live, attacks, 0.03) == 0.5
