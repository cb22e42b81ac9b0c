"""`koch` on all pairs of a batch: its start, its loss, its precision, and what remains of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from drawn_alphabets import corners_of, drawn, write_omniglot

from oneglance.errors import ConfigError
from oneglance.training.drawings.koch_all_pairs import PairCrossEntropy
from oneglance.training.engine.progress import Advance, silent
from oneglance.training.networks.koch import LAYERS, koch
from oneglance.training.recipes.drawing_recipes import KochAllPairsRecipe, KochRecipe
from oneglance.training.recipes.recipe import load_recipe, parse_recipe
from oneglance.training.run import run_recipe

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPE: dict[str, Any] = {
    "kind": "koch-all-pairs",
    "seed": 3,
    "drawings": "omniglot.zip",
    "validation_alphabets": ["Script_2"],
    "width": 0.03125,
    "pairs": 4,
    "steps": 3,
    "epochs": 3,
    "learning_rate": 1e-3,
    "warmup_epochs": 0.5,
    "precision": "mixed_bfloat16",
    "train_drawers": 2,
    "validation_drawers": 2,
    "validation_trials": 10,
    "patience": 5,
    "distortions": {
        "chance": 0.5,
        "turn_deg": 10.0,
        "shear": 0.3,
        "scale_low": 0.8,
        "scale_high": 1.2,
        "shift_px": 2.0,
    },
}


class KilledError(Exception):
    """What the test's stage raises where a real run would be killed."""


@contextmanager
def dying(name: str, count: int) -> Iterator[Advance]:
    """A stage that dies in the fifth step of the training, the second of its second epoch."""
    done = 0

    def advance(now: str) -> None:
        nonlocal done
        done += 1
        if name == "koch" and done == 5:
            raise KilledError

    yield advance


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_omniglot(folder / "omniglot.zip")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    recipe = parse_recipe(RECIPE, "test")
    run_recipe(recipe, data_dir=data, out=out, resume=False, stage=silent)
    return out


def test_same_and_different_pairs_weigh_the_same_whatever_their_numbers() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (6, 6))
    partners = np.arange(6) ^ 1
    chance = 1 / (1 + np.exp(-logits))
    wanted = []
    for row in range(6):
        others = [column for column in range(6) if column not in (row, partners[row])]
        missed = -np.log(chance[row, partners[row]])
        wanted.append((missed - np.log(1 - chance[row, others]).mean()) / 2)
    found = np.asarray(PairCrossEntropy().call(partners, logits.astype(np.float32)))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_bfloat16_changes_no_weight_and_no_template_by_much() -> None:
    exact, coarse = (
        koch(seed=1, width=0.0625, precision=name) for name in ("float32", "mixed_bfloat16")
    )
    for one, other in zip(exact.weights, coarse.weights, strict=True):
        assert other.dtype == "float32"
        assert np.array_equal(one, other)
    twin = coarse.get_layer("encoder")
    assert twin.get_layer(LAYERS[0]).compute_dtype == "bfloat16"
    drawings = np.stack([drawn(corners_of((7, number)), (number,)) for number in range(4)])
    templates = twin.predict_on_batch(drawings[..., None].astype(np.float32))
    assert templates.dtype == np.float32
    wanted = exact.get_layer("encoder").predict_on_batch(drawings[..., None].astype(np.float32))
    assert 0 < np.abs(templates - wanted).max() < 0.02


def test_what_remains_is_the_pair_in_float32_with_the_best_epochs_weights(run: Path) -> None:
    pair = keras.saving.load_model(run / "siamese.keras")
    best = keras.saving.load_model(run / "koch-best.keras", compile=False)
    assert pair.input_shape == [(None, 105, 105, 1), (None, 105, 105, 1)]
    layers = [*pair.layers, *pair.get_layer("encoder").layers]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    for one, other in zip(pair.get_weights(), best.get_weights(), strict=True):
        assert np.array_equal(one, other)
    drawings = np.stack([drawn(corners_of((7, number)), (number,)) for number in range(4)])
    drawings = drawings[..., None].astype(np.float32)
    every = best.predict_on_batch(drawings)
    assert every.shape == (4, 4)
    assert pair.predict_on_batch([drawings[:3], drawings[1:]]) == pytest.approx(
        np.diag(every, 1), abs=0.02
    )


def test_templates_spread_at_the_start_and_no_sigmoid_is_saturated(
    data: Path, tmp_path: Path
) -> None:
    # Of a rate so low that nothing is learned, the start is what remains.
    still = parse_recipe({**RECIPE, "epochs": 1, "steps": 1, "learning_rate": 1e-12}, "test")
    run_recipe(still, data_dir=data, out=tmp_path / "run", resume=False, stage=silent)
    twin = keras.saving.load_model(tmp_path / "run" / "siamese.keras").get_layer("encoder")
    drawings = np.stack([drawn(corners_of((7, number)), (number,)) for number in range(8)])
    templates = twin.predict_on_batch(drawings[..., None].astype(np.float32))
    assert np.abs(templates - 0.5).max() < 0.49
    assert templates.std(axis=0).mean() > 0.01


def test_a_killed_and_resumed_run_ends_the_same_in_bfloat16(
    data: Path, run: Path, tmp_path: Path
) -> None:
    recipe = parse_recipe(RECIPE, "test")
    out = tmp_path / "killed"
    with pytest.raises(KilledError):
        run_recipe(recipe, data_dir=data, out=out, resume=False, stage=dying)
    run_recipe(recipe, data_dir=data, out=out, resume=True, stage=silent)
    for name in ("siamese.keras", "koch-3.keras"):
        whole, killed = (keras.saving.load_model(folder / name) for folder in (run, out))
        for one, other in zip(whole.get_weights(), killed.get_weights(), strict=True):
            assert np.array_equal(one, other)


def test_the_recipe_for_a_cpu_is_the_papers_network_people_and_stop_rule() -> None:
    here, paper = load_recipe("omniglot-koch-cpu"), load_recipe("omniglot-koch")
    assert isinstance(here, KochAllPairsRecipe)
    assert isinstance(paper, KochRecipe)
    kept = ("width", "train_drawers", "validation_drawers", "validation_trials", "patience")
    kept += ("validation_alphabets", "distortions")
    for name in kept:
        assert getattr(here, name) == getattr(paper, name)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision"):
        parse_recipe({**RECIPE, "precision": "float8"}, "test")
