"""Recipes of kind `faces`: every loss trains, resumes exactly, and leaves a pair that scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from oneglance.errors import ConfigError
from oneglance.training.engine.progress import Advance, silent
from oneglance.training.faces import face_training
from oneglance.training.recipes.recipe import FaceRecipe, load_recipe, parse_recipe
from oneglance.training.run import run_recipe

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPE: dict[str, Any] = {
    "kind": "faces",
    "seed": 1,
    "network": "compact",
    "width": 0.125,
    "template_size": 16,
    "head": "cosine",
    "epochs": 2,
    "steps": 4,
    "learning_rate": 1e-3,
    "sampler": {"kind": "pairs", "pairs": 4},
    "loss": {"kind": "contrastive", "margin": 1.0},
    "drawn": {"people": 6, "pictures": 3},
}
PEOPLE = {"kind": "people", "people": 3, "pictures": 3}
ANGULAR = {"kind": "angular-margin", "margin": 0.3, "scale": 16.0}


class KilledError(Exception):
    """What the stage raises where a real run would be killed."""


def dying_in(step: int) -> Any:
    @contextmanager
    def stage(name: str, count: int) -> Iterator[Advance]:
        done = 0

        def advance(now: str) -> None:
            nonlocal done
            done += 1
            if name == face_training.NAME and done == step:
                raise KilledError

        yield advance

    return stage


def run(out: Path, stage: Any = silent, *, resume: bool = False, **change: Any) -> dict[str, Any]:
    recipe = parse_recipe({**RECIPE, **change}, "test")
    return run_recipe(recipe, data_dir=out.parent, out=out, resume=resume, stage=stage)


def weights_of(out: Path) -> np.ndarray:
    pair = keras.saving.load_model(out / "siamese.keras", compile=False)
    return np.concatenate([w.ravel() for w in pair.get_weights()])


@pytest.mark.parametrize(
    "name", ["angular-margin", "contrastive", "cross-entropy", "distillation", "triplet"]
)
def test_each_smoke_recipe_lowers_its_loss_and_leaves_a_pair(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(f"smoke-{name}")
    assert isinstance(recipe, FaceRecipe)
    assert recipe.loss.kind == name
    out = tmp_path / "run"
    report = run_recipe(recipe, data_dir=tmp_path, out=out, resume=False, stage=silent)
    rows = (out / "faces.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,eer"
    losses = [float(row.split(",")[1]) for row in rows[2:]]
    assert losses[1] < losses[0]
    assert json.loads((out / "report.json").read_text()) == report
    assert report["multiply_accumulates"] > 1e5
    pair = keras.saving.load_model(out / "siamese.keras", compile=False)
    chips = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.float32)
    scores = pair.predict_on_batch([chips, chips[::-1]])
    # Twins: the order of a pair does not matter, and nobody is more alike than oneself.
    assert scores[0] == pytest.approx(scores[2], abs=1e-4)
    if recipe.network != "koch":
        assert scores[1] == pytest.approx(pair.predict_on_batch([chips, chips]).max(), abs=1e-3)


CHANGES: dict[str, dict[str, Any]] = {
    "pairs": {"head": "l1"},
    "classes": {"loss": ANGULAR, "sampler": PEOPLE},
}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each of CHANGES that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    for name, change in CHANGES.items():
        run(folder / name, **change)
    return {name: folder / name for name in CHANGES}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_killed_in_a_step_and_resumed_ends_the_same(
    tmp_path: Path, wholes: dict[str, Path], name: str
) -> None:
    whole, broken = wholes[name], tmp_path / "broken"
    with pytest.raises(KilledError):
        run(broken, dying_in(6), **CHANGES[name])
    run(broken, resume=True, **CHANGES[name])
    assert np.array_equal(weights_of(broken), weights_of(whole))
    assert (broken / "faces.csv").read_text() == (whole / "faces.csv").read_text()


def test_class_directions_are_in_the_checkpoint_and_not_in_the_pair(
    wholes: dict[str, Path],
) -> None:
    checkpoint = keras.saving.load_model(wholes["classes"] / "faces-2.keras")
    assert checkpoint.get_layer("classes").directions.shape == (6, 16)
    pair = keras.saving.load_model(wholes["classes"] / "siamese.keras", compile=False)
    assert {layer.name for layer in pair.layers} == {"a", "b", "encoder", "head"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network": "kcoh"}, "there is no network 'kcoh' (did you mean 'koch'?)"),
        ({"network": "mobileface", "width": 1.0}, "too many for 18 training pictures"),
        ({"weights": "gone.keras"}, "no such model"),
        ({"network": "koch", "width": 0.0625, "template_size": 9}, "templates of koch have"),
        ({"sampler": {**PEOPLE, "people": 7}, "loss": ANGULAR}, "more than the 6"),
        ({"loss": {"kind": "distillation", "teacher": "gone.tflite"}}, "no such teacher"),
        ({"loss": {"kind": "distillation"}}, "templates have 256 numbers, the network's have 16"),
        (
            {"loss": {"kind": "cross-entropy", "layers": {"conv2": 1e-4}}},
            "the network has no layer 'conv2' (did you mean 'conv2d",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_line_and_leaves_no_model(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    recipe = parse_recipe({**RECIPE, **change}, "test")
    with pytest.raises(ConfigError) as caught:
        run_recipe(recipe, data_dir=tmp_path, out=tmp_path / "run", resume=False, stage=silent)
    assert told in caught.value.what
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "siamese.keras").exists()


def test_the_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(KilledError):
        run(out, dying_in(6))
    (out / "recipe.json").unlink()
    changed = parse_recipe({**RECIPE, "width": 0.25}, "test").model_dump(mode="json")
    (out / "recipe.json").write_text(json.dumps(changed))
    with pytest.raises(ConfigError, match="another network"):
        run(out, resume=True, width=0.25)


def test_with_patience_the_best_epoch_is_what_remains(tmp_path: Path) -> None:
    # Steps this large soon make nothing better.
    run(tmp_path / "run", epochs=5, patience=2, learning_rate=1.0)
    rows = (tmp_path / "run" / "faces.csv").read_text().splitlines()[1:]
    errors = [float(row.split(",")[2]) for row in rows]
    best = errors.index(min(errors))
    assert len(rows) == min(5, best + 2) + 1
    chosen = keras.saving.load_model(tmp_path / "run" / "faces-best.keras", compile=False)
    kept = keras.saving.load_model(tmp_path / "run" / "siamese.keras", compile=False)
    for one, other in zip(
        chosen.get_layer("encoder").get_weights(),
        kept.get_layer("encoder").get_weights(),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_people_with_one_picture_are_counted(wholes: dict[str, Path]) -> None:
    report = json.loads((wholes["pairs"] / "report.json").read_text())
    assert report["people_with_one_picture"] == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": {"kind": "contrastive", "margn": 1}}, "did you mean 'margin'?"),
        ({"loss": {"kind": "triplet", "margin": 1}}, "loss 'triplet' needs the sampler 'people'"),
        ({"sampler": PEOPLE}, "loss 'contrastive' needs the sampler 'pairs'"),
        ({"screen": 0.5}, "screen needs a screener"),
        ({"head": "l2"}, "head: Input should be 'l1' or 'cosine'"),
        ({"sampler": {"kind": "pears", "pairs": 4}}, "expected tags: 'pairs', 'people'"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe({**RECIPE, **change}, "my.toml")
    assert told in caught.value.what
