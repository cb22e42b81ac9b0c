"""Other backends, several devices and several processes: the same recipe, the same result."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_regression
import tensorflow as tf
from several_processes import both_said, child, said

from oneglance.errors import ConfigError
from oneglance.training.engine.distribute import OneDevice, shared_out
from oneglance.training.engine.progress import silent
from oneglance.training.recipes.recipe import load_recipe
from oneglance.training.run import run_recipe

# TensorFlow's variables do not know NumPy 2's `copy` yet; saving a model says so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed; 'pip install jax' is it"
)

# The smoke recipe of the aligner, on one device and shared out; then how far the two are apart.
_RECIPE = """
import json, sys
from pathlib import Path
import numpy as np
from oneglance.training.engine.distribute import shared_out
from oneglance.training.engine.progress import silent
from oneglance.training.recipes.recipe import load_recipe
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.run import run_recipe

out = Path(sys.argv[1])
# One epoch: each step has batch norms, and compiling is what takes long.
recipe = load_recipe("smoke-aligner").model_copy(update={"passes": 1, "epochs": 1})
devices = {}
for wanted in ("none", "auto"):
    with shared_out(wanted) as spread:
        devices[wanted] = spread.devices
        run_recipe(recipe, data_dir=out, out=out / wanted, resume=False, stage=silent)
one, two = (load_keras(out / way / "aligner.keras").get_weights() for way in ("none", "auto"))
print(json.dumps({
    "devices": devices,
    "apart": max(float(np.abs(a - b).max()) for a, b in zip(one, two)),
}))
"""


@needs_jax
def test_jax_trains_the_recipe_on_two_devices_as_on_one(
    tmp_path: Path,
) -> None:
    found = json.loads(
        said(
            child(
                "-c",
                _RECIPE,
                str(tmp_path),
                KERAS_BACKEND="jax",
                # Compiling is nearly all that this does: it need not make fast code.
                XLA_FLAGS="--xla_force_host_platform_device_count=2"
                " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
            )
        )
    )
    assert found["devices"] == {"none": 1, "auto": 2}
    # Batch norms included: a step means the same on any number of devices.
    assert found["apart"] < 1e-5
    assert (tmp_path / "none" / "run.json").read_text().count('"backend": "jax"') == 1


@needs_jax
def test_two_processes_train_what_one_trains_and_the_first_writes(tmp_path: Path) -> None:
    """By JAX; TensorFlow's two are in test_one_writer.py."""
    shared = tmp_path / "shared"
    shared.mkdir()
    alone = small_regression.fit(tmp_path)
    told = both_said("jax", str(small_regression.__file__), str(shared))
    both = [json.loads(line) for line in told]
    assert [(each["processes"], each["index"]) for each in both] == [(2, 0), (2, 1)]
    for each in both:
        assert each["weights"] == pytest.approx(alone, abs=1e-5)
    assert sorted(path.name for path in shared.glob("*.keras")) == [
        "sum-1.keras",
        "sum-2.keras",
        "sum-best.keras",
    ]


@pytest.mark.parametrize("config", ["{", "{}", '{"cluster": 3}'])
def test_a_tf_config_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ConfigError, match="cluster and task") as caught, shared_out("auto"):
        pass
    assert caught.value.where == "TF_CONFIG"


def test_nothing_is_shared_where_there_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with shared_out("auto") as spread:
        assert type(spread) is OneDevice
    monkeypatch.setenv("TF_CONFIG", "{")
    with shared_out("none") as spread:
        assert type(spread) is OneDevice


def test_tensorflows_processes_refuse_a_kind_that_compares_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = {"cluster": {"worker": ["one:1", "two:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    # One of two processes, without waiting for the other.
    strategy = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: strategy)
    with shared_out("auto"), pytest.raises(ConfigError, match="'siamese' compares") as caught:
        run_recipe(
            load_recipe("smoke"), data_dir=tmp_path, out=tmp_path, resume=False, stage=silent
        )
    assert "JAX" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
