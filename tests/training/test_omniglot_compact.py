"""`compact`: its layers, its loss, its training end to end, and what conversion makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from drawn_alphabets import corners_of, drawn, write_omniglot
from numpy.typing import NDArray

from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.errors import ConfigError
from oneglance.faces.drawings.drawing_model import load_drawing_model
from oneglance.training.drawings.compact_training import MatchingLoss, encode, posed
from oneglance.training.engine.progress import Advance, silent
from oneglance.training.networks.drawing_networks import InkFrame, all_poses, compact
from oneglance.training.networks.heads import CosineHead
from oneglance.training.recipes.drawing_recipes import CompactRecipe
from oneglance.training.recipes.recipe import load_recipe, parse_recipe
from oneglance.training.run import run_recipe

# Of TensorFlow's variables, by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPE: dict[str, Any] = {
    "kind": "compact",
    "seed": 3,
    "drawings": "omniglot.zip",
    "validation_alphabets": ["Script_2"],
    "epochs": 2,
    "template_size": 16,
    "size": 24,
    "channels": [8, 8, 16],
    "strength": 0.7,
    "zoom": 0.9,
    "pairs": 6,
    "alphabet_pairs": 3,
    "steps": 6,
    "learning_rate": 3e-3,
    "warmup_epochs": 0.0,
    "weight_decay": 0.01,
    "margin": 1.0,
    "validation_runs": 2,
    "distortions": {
        "chance": 0.5,
        "turn_deg": 10.0,
        "shear": 0.2,
        "scale_low": 0.9,
        "scale_high": 1.1,
        "shift_px": 3.0,
    },
}


class KilledError(Exception):
    """What the test's stage raises where a real run would be killed."""


def dying_after(steps: int) -> Any:
    """A stage that dies in the given step of the training."""

    @contextmanager
    def stage(name: str, count: int) -> Iterator[Advance]:
        done = 0

        def advance(now: str) -> None:
            nonlocal done
            done += 1
            if name == "compact" and done == steps:
                raise KilledError

        yield advance

    return stage


def placed(drawing: NDArray[np.uint8], scale: float, shift_px: float) -> NDArray[np.float32]:
    """A drawing (1, 105, 105, 1) scaled about the middle of the sheet and moved."""
    middle = 52 - scale * 52 + shift_px
    matrix = np.array([[scale, 0, middle], [0, scale, middle]])
    moved = cv2.warpAffine(drawing, matrix, (105, 105), borderValue=255)
    return moved[None, ..., None].astype(np.float32)


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


def test_where_on_the_sheet_a_character_stands_does_not_matter() -> None:
    drawing = drawn(corners_of((1, 2)), (1,))
    frame = InkFrame(35)
    here, there = (np.asarray(frame(placed(drawing, 0.6, shift))) for shift in (-9.0, 7.0))
    assert np.abs(here - there).max() < 0.02
    assert here.sum() > 20


def test_how_large_a_character_is_drawn_matters_less_with_strength() -> None:
    drawing = drawn(corners_of((1, 2)), (1,))

    def spread(strength: float, scale: float) -> float:
        ink = np.asarray(InkFrame(35, strength)(placed(drawing, scale, 0.0)))[0, ..., 0]
        places = np.arange(35)
        share = ink.sum(0) / ink.sum()
        middle = (share * places).sum()
        return float(np.sqrt((share * (places - middle) ** 2).sum()))

    apart = [spread(strength, 1.0) / spread(strength, 0.6) for strength in (0.0, 0.5, 1.0)]
    assert apart[0] > 1.5
    assert 1.2 < apart[1] < 1.4
    assert apart[2] == pytest.approx(1.0, abs=0.06)


def test_an_empty_sheet_gives_a_finite_frame_without_ink() -> None:
    frame = np.asarray(InkFrame(35, 0.7)(np.full((1, 105, 105, 1), 255, np.float32)))
    assert np.array_equal(frame, np.zeros((1, 35, 35, 1)))


def test_templates_have_length_one() -> None:
    encoder = compact(12, size=20, channels=(4, 8))
    templates = encode(encoder, np.stack([drawn(corners_of((4, n)), (n,)) for n in range(5)]))
    assert templates.shape == (5, 12)
    assert np.linalg.norm(templates, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_the_score_of_all_poses_is_the_mean_over_the_poses() -> None:
    encoder = compact(12, size=20, channels=(4, 8))
    a, b = (np.stack([drawn(corners_of((8, n)), (n,))]) for n in range(2))
    every = all_poses(encoder)
    cosine = float((encode(every, a) * encode(every, b)).sum())
    posed_pairs = [
        (encode(encoder, posed(a[0], pose)[None]) * encode(encoder, posed(b[0], pose)[None])).sum()
        for pose in range(8)
    ]
    assert cosine == pytest.approx(np.mean(posed_pairs), abs=1e-5)
    assert np.linalg.norm(encode(every, a)) == pytest.approx(1.0, abs=1e-5)


def test_a_saved_pair_scores_as_before(run: Path, tmp_path: Path) -> None:
    pair = keras.saving.load_model(run / "siamese.keras")
    pair.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    a, b = (placed(drawn(corners_of((5, number)), (number,)), 1.0, 0.0) for number in range(2))
    assert np.array_equal(pair.predict_on_batch([a, b]), again.predict_on_batch([a, b]))


def test_a_calibrated_head_scores_the_given_line() -> None:
    head = CosineHead(16.0)
    a = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    before = np.asarray(head([a, a[::-1]]))
    head.calibrate(0.5, -3.0)
    assert np.asarray(head([a, a[::-1]])) == pytest.approx(before * 0.5 - 3.0, abs=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_partner_among_the_others() -> None:
    scores = np.random.default_rng(0).normal(0, 2, (4, 4)).astype(np.float32)
    partners = np.array([1, 0, 3, 2])
    wanted = []
    for row, partner in enumerate(partners):
        handicapped = scores[row].astype(np.float64)
        handicapped[partner] -= 0.7
        others = np.delete(handicapped, row)
        wanted.append(np.log(np.exp(others).sum()) - handicapped[partner])
    found = MatchingLoss(0.7)(partners, scores)
    assert float(found) == pytest.approx(np.mean(wanted), rel=1e-5)


def test_training_learns_made_up_alphabets(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["characters"] == 12
    assert report["validation_alphabets"] == ["Script_2"]
    assert report["validation"]["trials"] == 12
    # Chance is one in six.
    assert report["validation"]["accuracy"] > 0.5
    assert (run / "compact.csv").read_text().splitlines()[0] == "epoch,loss,one_shot"


@pytest.mark.parametrize("step", [1, 9])
def test_a_run_killed_in_any_step_and_resumed_ends_the_same(
    step: int, data: Path, run: Path, tmp_path: Path
) -> None:
    recipe = parse_recipe(RECIPE, "test")
    out = tmp_path / "killed"
    with pytest.raises(KilledError):
        run_recipe(recipe, data_dir=data, out=out, resume=False, stage=dying_after(step))
    run_recipe(recipe, data_dir=data, out=out, resume=True, stage=silent)
    whole, killed = (keras.saving.load_model(folder / "siamese.keras") for folder in (run, out))
    for one, other in zip(whole.get_weights(), killed.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert (run / "compact.csv").read_text() == (out / "compact.csv").read_text()


def test_a_converted_pair_is_the_same_pair(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    report = run_job(job(run / "siamese.keras", out))
    model = load_drawing_model(out)
    assert report["model_id"] == model.model_id
    assert report["parity"]["cosine_min"] > 0.9999
    drawings = np.stack([drawn(corners_of((6, n)), (n,)) for n in range(7)])
    pair = keras.saving.load_model(run / "siamese.keras")
    wanted = encode(pair.get_layer("encoder"), drawings)
    templates = model.encode(drawings)
    assert templates == pytest.approx(wanted, abs=1e-4)
    scores = model.compare(templates[:2], templates)
    head = pair.get_layer("head")
    formula = float(head.scale) * wanted[:2] @ wanted.T + float(head.bias)
    assert scores == pytest.approx(formula, abs=1e-2)
    trained = json.loads((run / "report.json").read_text())
    assert model.manifest.threshold == trained["threshold"]["threshold"]


def test_int8_is_refused_and_nothing_is_left_behind(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="int8"):
        run_job(job(run / "siamese.keras", tmp_path / "made", "int8"))
    assert not list(tmp_path.iterdir())


def test_a_pair_without_its_report_is_refused(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "siamese.keras"
    alone.write_bytes((run / "siamese.keras").read_bytes())
    with pytest.raises(ConfigError, match=r"report\.json"):
        run_job(job(alone, tmp_path / "made"))


def test_the_shipped_recipe_holds_out_what_it_validates_on() -> None:
    recipe = load_recipe("omniglot-compact")
    assert isinstance(recipe, CompactRecipe)
    assert len(recipe.validation_alphabets) == 4


def test_an_unknown_key_is_named_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"strenght: unknown key \(did you mean 'strength'"):
        parse_recipe({**RECIPE, "strenght": 0.1}, "test")


def test_holding_out_every_alphabet_is_refused(data: Path, tmp_path: Path) -> None:
    every = {**RECIPE, "validation_alphabets": ["Script_0", "Script_1", "Script_2"]}
    recipe = parse_recipe(every, "test")
    with pytest.raises(ConfigError, match="no alphabet is left"):
        run_recipe(recipe, data_dir=data, out=tmp_path / "run", resume=False, stage=silent)


def job(model: Path, out: Path, quantize: str = "float32") -> Job:
    return Job(
        model=str(model),
        aligner=str(model.with_name("aligner.keras")),
        out=str(out),
        name="test",
        quantize=quantize,
        passes=1,
    )
