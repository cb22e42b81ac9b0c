"""`koch`: the paper's network, its optimiser, its schedule and its stop rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from drawn_alphabets import corners_of, drawn, write_omniglot

from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.errors import ConfigError
from oneglance.faces.drawings.drawing_model import load_drawing_model
from oneglance.faces.drawings.one_shot_trials import one_shot_figures
from oneglance.training.drawings.omniglot import draw_runs, read_background
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import Advance, silent
from oneglance.training.networks.koch import LAYERS, LayerwiseMomentum, koch
from oneglance.training.recipes.drawing_recipes import KochRecipe
from oneglance.training.recipes.recipe import load_recipe, parse_recipe
from oneglance.training.run import run_recipe

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPE: dict[str, Any] = {
    "kind": "koch",
    "seed": 3,
    "drawings": "omniglot.zip",
    "validation_alphabets": ["Script_2"],
    "width": 0.03125,
    "pairs": 6,
    "copies": 1,
    "batch": 4,
    "epochs": 3,
    "learning_rates": [1e-2] * 5 + [1e-3],
    "momenta": [0.9] * 6,
    "momentum_epochs": 2,
    "l2": [1e-4] * 6,
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


@pytest.fixture(scope="module")
def paper() -> keras.Model:
    return koch(seed=1)


def test_the_network_has_the_parameters_of_the_paper(paper: keras.Model) -> None:
    assert paper.get_layer("encoder").count_params() == 38_947_648
    assert paper.count_params() == 38_951_745


def test_the_layers_have_the_shapes_of_the_paper(paper: keras.Model) -> None:
    twin = paper.get_layer("encoder")
    shapes = [tuple(twin.get_layer(name).output.shape[1:]) for name in LAYERS[:5]]
    assert shapes == [(96, 96, 64), (42, 42, 128), (18, 18, 128), (6, 6, 256), (4096,)]
    assert twin.get_layer("dense").activation is keras.activations.sigmoid


def test_weights_and_biases_start_as_the_paper_draws_them(paper: keras.Model) -> None:
    twin = paper.get_layer("encoder")
    for name in LAYERS[:4]:
        kernel, bias = twin.get_layer(name).get_weights()
        assert kernel.mean() == pytest.approx(0.0, abs=1e-3)
        assert kernel.std() == pytest.approx(0.01, rel=0.05)
        assert bias.mean() == pytest.approx(0.5, abs=0.01)
        assert bias.std() == pytest.approx(0.01, rel=0.4)
    assert twin.get_layer("dense").get_weights()[0].std() == pytest.approx(0.2, rel=0.01)
    assert paper.get_layer("join").get_weights()[0].std() == pytest.approx(0.2, rel=0.05)


def test_both_twins_are_one_network_and_their_order_does_not_matter(paper: keras.Model) -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 1, 105, 105, 1)).astype(np.float32)
    assert paper.predict_on_batch([a, b]) == pytest.approx(paper.predict_on_batch([b, a]))
    same = float(paper.predict_on_batch([a, a])[0])
    assert same == pytest.approx(float(paper.get_layer("join").get_weights()[1][0]), abs=1e-4)


def test_each_layer_moves_by_its_own_rate_momentum_and_decay() -> None:
    rates, momenta = {"conv1": 0.1, "join": 0.02}, {"conv1": 0.9, "join": 0.6}
    inputs = keras.layers.Input((2,))
    hidden = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="conv1")
    join = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="join")
    model = keras.Model(inputs, join(hidden(inputs)))
    optimizer = LayerwiseMomentum(rates, momenta, steps_an_epoch=2, momentum_epochs=2)
    model.compile(optimizer, loss="mse")
    x, y = np.array([[1.0, 2.0]], np.float32), np.array([[0.5]], np.float32)
    weights = {"conv1": np.ones((2, 1)), "join": np.ones((1, 1))}
    changes = {name: np.zeros_like(value) for name, value in weights.items()}
    for step in range(7):
        model.train_on_batch(x, y)
        middle = x @ weights["conv1"]
        error = 2 * (middle @ weights["join"] - y)
        gradients = {"conv1": x.T @ (error @ weights["join"].T), "join": middle.T @ error}
        epoch = step // 2
        for name, gradient in gradients.items():
            momentum = 0.5 + (momenta[name] - 0.5) * min(epoch / 2, 1)
            changes[name] = momentum * changes[name] - rates[name] * 0.99**epoch * gradient
            weights[name] = weights[name] + changes[name]
            assert model.get_layer(name).get_weights()[0] == pytest.approx(weights[name], rel=1e-4)


@pytest.mark.parametrize(
    ("accuracy", "stops"),
    [
        ([0.5], False),
        ([0.1, 0.5, 0.4], False),
        ([0.1, 0.5, 0.4, 0.5], True),
        ([0.1, 0.5, 0.4, 0.6], False),
        ([0.5, 0.4, 0.3], True),
    ],
)
def test_training_stops_when_two_epochs_brought_nothing_new(
    accuracy: list[float], stops: bool
) -> None:
    log = [{"epoch": number, "one_shot": f"{value}"} for number, value in enumerate(accuracy)]
    assert EarlyStop("one_shot", 2, larger_is_better=True).enough(log) is stops


def test_the_best_epoch_is_what_remains(run: Path, data: Path) -> None:
    rows = [line.split(",") for line in (run / "koch.csv").read_text().splitlines()[1:]]
    pair = keras.saving.load_model(run / "siamese.keras")
    check = read_background(data / "omniglot.zip", silent)
    check = check.rows(check.of_alphabets(["Script_2"]) & (check.drawers > 2))
    twin, join = pair.get_layer("encoder"), pair.get_layer("join")

    def score(probes: Any, gallery: Any) -> Any:
        a, b = (
            twin.predict_on_batch(part[..., None].astype(np.float32)) for part in (probes, gallery)
        )
        return np.asarray(join(np.abs(a[:, None] - b[None])))[..., 0]

    accuracy = one_shot_figures(draw_runs(check, 1, 20, 3), score)["accuracy"]
    assert accuracy == pytest.approx(max(float(row[2]) for row in rows), abs=1e-5)


def test_a_killed_and_resumed_run_ends_the_same(data: Path, run: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, "test")
    out = tmp_path / "killed"
    with pytest.raises(KilledError):
        run_recipe(recipe, data_dir=data, out=out, resume=False, stage=dying)
    run_recipe(recipe, data_dir=data, out=out, resume=True, stage=silent)
    for name in ("siamese.keras", "koch-3.keras"):
        whole, killed = (keras.saving.load_model(folder / name) for folder in (run, out))
        for one, other in zip(whole.get_weights(), killed.get_weights(), strict=True):
            assert np.array_equal(one, other)


def test_it_converts_to_a_model_that_one_shot_evaluation_loads(tmp_path: Path) -> None:
    pair = koch(seed=1, width=0.03125)
    # As they start, narrow layers give every drawing nearly one template.
    pair.set_weights([np.asarray(weight) * 10 for weight in pair.get_weights()])
    pair.save(tmp_path / "siamese.keras")
    (tmp_path / "report.json").write_text(json.dumps({"threshold": {"threshold": 0.5}}))
    out = tmp_path / "made"
    run_job(
        Job(
            model=str(tmp_path / "siamese.keras"),
            aligner="",
            out=str(out),
            name="koch-test",
            quantize="float32",
            passes=1,
        )
    )
    model = load_drawing_model(out)
    assert model.manifest.threshold == 0.5
    drawings = np.stack([drawn(corners_of((7, number)), (number,)) for number in range(3)])
    wanted = pair.predict_on_batch([drawings[[0, 1], ..., None], drawings[[2, 2], ..., None]])
    assert abs(wanted[0] - wanted[1]) > 1e-3
    templates = model.encode(drawings)
    assert model.compare(templates, templates)[:2, 2] == pytest.approx(wanted, abs=1e-4)


def test_the_shipped_recipe_is_the_papers() -> None:
    recipe = load_recipe("omniglot-koch")
    assert isinstance(recipe, KochRecipe)
    assert (recipe.width, recipe.batch, recipe.epochs, recipe.patience) == (1.0, 128, 200, 20)
    assert (recipe.train_drawers, recipe.validation_drawers, recipe.copies) == (12, 4, 8)
    assert recipe.validation_trials == 320


def test_rates_for_too_few_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="learning_rates"):
        parse_recipe({**RECIPE, "learning_rates": [1e-2]}, "test")
