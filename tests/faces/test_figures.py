"""What is said of scores, and of every picture against every other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.evaluation import metrics
from oneglance.faces.evaluation.all_against_all import compare_all, report_all
from oneglance.faces.evaluation.figures import Comparisons, ScoredPair, figures_of
from oneglance.faces.evaluation.listed_pairs import Pair, comparisons, worst_pairs
from oneglance.faces.evaluation.paired import PairedPictures
from oneglance.faces.evaluation.readings import Reading
from oneglance.faces.model.face_model import FaceModel, load_model

PICTURE = {"shorter_side_px": 250.0, "brightness": 100.0, "sharpness": 300.0}
FACE = {"tilt_deg": 3.0, "eyes_px": 50.0, "brightness": 120.0, "sharpness": 300.0}


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


@pytest.fixture(scope="module")
def templates(model: FaceModel) -> dict[str, np.ndarray]:
    """Four people with three pictures each that lie close together, and a bad one of the first."""
    generator = np.random.default_rng(7)
    size = model.template_size
    made = {}
    for person in "abcd":
        centre = generator.normal(0, 1, size)
        for number in range(3):
            noisy = centre + generator.normal(0, 0.1, size)
            made[f"{person}{number}"] = np.float32(noisy / np.linalg.norm(noisy))
    bad = generator.normal(0, 1, size)
    made["a9"] = np.float32(bad / np.linalg.norm(bad))
    return made


def scored(
    genuine: np.ndarray, impostor: np.ndarray, more_genuine: int = 0, more_impostor: int = 0
) -> Comparisons:
    """Each genuine score of a person of its own, impostor scores of the same people in turn."""
    g, i = len(genuine), len(impostor)
    pictures = np.arange(2 * max(g, 2)).reshape(-1, 2)
    first = np.arange(i) % len(pictures)
    others = np.stack([pictures[first, 0], pictures[(first + 1) % len(pictures), 1]], axis=1)
    names = tuple(str(n) for n in range(pictures.size))
    person = np.repeat(np.arange(len(pictures)), 2)
    paired = PairedPictures(names, pictures[:g], others, person)
    return Comparisons(genuine, impostor, g + more_genuine, i + more_impostor, paired)


def test_rates_rest_on_ten_false_matches_at_least(model: FaceModel) -> None:
    generator = np.random.default_rng(0)
    made = scored(generator.normal(6, 2, 300), generator.normal(-6, 2, 9_999))
    figures = figures_of(made, model.manifest)
    assert list(figures["tar_at_far"]) == list(figures["tar_at_far_95"]) == ["1e-1", "1e-2"]
    for far, tar in figures["tar_at_far"].items():
        low, high = figures["tar_at_far_95"][far]
        assert low < tar <= high
        assert tar == metrics.tar_at_far(made.genuine, made.impostor, float(far))
    for row in figures["at_door_thresholds"].values():
        assert row["fmr_95"][0] <= row["fmr"] < row["fmr_95"][1]
    json.dumps(figures, allow_nan=False)


def test_precision_and_recall_are_those_at_the_shipped_threshold(model: FaceModel) -> None:
    shipped = model.manifest.accuracy_threshold
    assert shipped is not None
    genuine = shipped + np.array([-1.0, 0.0, 1.0, 2.0])
    impostor = shipped + np.array([-3.0, -2.0, 0.5])
    figures = figures_of(scored(genuine, impostor, more_genuine=2), model.manifest)
    assert figures["precision"] == 3 / 4
    # Two genuine pairs had no face: they are missed as well.
    assert figures["recall"] == 3 / 6
    assert figures["recall_95"] == metrics.wilson(3, 6)


def test_what_pairs_cannot_show_is_left_out(model: FaceModel) -> None:
    one_kind = figures_of(scored(np.empty(0), np.array([-9.0])), model.manifest)
    assert one_kind["eer"] is one_kind["auc"] is one_kind["precision"] is one_kind["recall"] is None
    unfitted = replace(model.manifest, accuracy_threshold=None)
    figures = figures_of(scored(np.array([9.0]), np.array([-9.0])), unfitted)
    assert figures["shipped_threshold"] is figures["precision"] is None
    assert figures["auc"] == 1.0


def test_the_worst_pairs_of_a_list_are_acquired_ones_by_kind() -> None:
    pairs = [Pair(1, f"{n}a", f"{n}b", n < 4) for n in range(7)]
    scores = np.array([3.0, -2.0, np.nan, 5.0, 1.0, -8.0, np.nan])
    worst = worst_pairs(pairs, scores, 2)
    assert worst.genuine == [ScoredPair("1a", "1b", -2.0), ScoredPair("0a", "0b", 3.0)]
    assert worst.impostor == [ScoredPair("4a", "4b", 1.0), ScoredPair("5a", "5b", -8.0)]
    made = comparisons(pairs, scores)
    assert (made.genuine.tolist(), made.impostor.tolist()) == ([3.0, -2.0, 5.0], [1.0, -8.0])
    assert (made.genuine_pairs, made.impostor_pairs) == (4, 3)


def test_every_picture_is_compared_with_every_other(
    model: FaceModel, templates: dict[str, np.ndarray]
) -> None:
    person_of = {name: name[0] for name in templates} | {"d7": "d"}
    made, worst = compare_all(person_of, templates, model, 3)
    assert len(made.genuine) == 6 + 3 * 3
    assert len(made.impostor) == 13 * 12 // 2 - 15
    # The picture without a face counts with the pairs it would have made.
    assert made.genuine_pairs == 6 + 3 + 3 + 6
    assert made.genuine_pairs + made.impostor_pairs == 14 * 13 // 2
    assert {name for pair in worst.genuine for name in (pair.image_a, pair.image_b)} == {
        "a0",
        "a1",
        "a2",
        "a9",
    }
    for pair in (*worst.genuine, *worst.impostor):
        a, b = templates[pair.image_a], templates[pair.image_b]
        assert pair.score == pytest.approx(model.compare(a[None], b[None])[0, 0], abs=1e-4)
    pictures = dict.fromkeys(person_of, PICTURE)
    reading = Reading(pictures, dict.fromkeys(templates, FACE), templates)
    figures = report_all(made, person_of, reading, model)
    assert figures["failure_to_acquire"] == 1 / 14
    assert figures["people"] == 4
    # 12 of 18 genuine pairs match, and none of the impostors; 13 of those have no face.
    refused = len(made.impostor) / made.impostor_pairs
    assert figures["recall"] == 12 / 18
    assert figures["accuracy"] == pytest.approx((12 / 18 + refused) / 2)
    assert figures["precision"] == 1.0


@pytest.mark.parametrize("kept", ["a", "abcd0"])
def test_pictures_that_make_no_pair_of_a_kind_are_refused(
    model: FaceModel, templates: dict[str, np.ndarray], kept: str
) -> None:
    if kept == "a":
        some = {name: row for name, row in templates.items() if name[0] == "a"}
    else:
        some = {name: row for name, row in templates.items() if name[1] == "0"}
    with pytest.raises(ImageError, match=r"no (genuine|impostor) pair"):
        compare_all({name: name[0] for name in some}, some, model, 3)


def test_all_pairs_need_a_model_with_a_threshold(model: FaceModel) -> None:
    unfitted = load_model()
    unfitted.manifest = replace(model.manifest, accuracy_threshold=None)
    made = scored(np.array([9.0]), np.array([-9.0]))
    with pytest.raises(ConfigError, match="no threshold"):
        report_all(made, {"a": "a", "b": "a", "c": "c"}, Reading(), unfitted)
