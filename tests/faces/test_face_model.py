"""The shipped model: its files, its signatures, its scores, and what is refused."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import write_folder

from oneglance.errors import ModelError
from oneglance.faces.find.boxes import Box
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import manifest_of, read_manifest


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def only_variant(manifest: dict[str, Any]) -> Any:
    (variant,) = manifest["variants"].values()
    return variant


def some_chips(count: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 14, 14, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 9), st.integers(0, 2**31))
def test_a_batch_gives_what_its_chips_give_one_by_one(count: int, seed: int) -> None:
    model = load_model()
    chips = some_chips(count, seed)
    together = model.encode(chips)
    assert together.shape == (count, model.template_size)
    assert together.dtype == np.float32
    for place in range(count):
        alone = model.encode(chips[place : place + 1])[0]
        assert np.abs(together[place] - alone).max() < 1e-4
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(count), abs=1e-5)


def test_scores_are_the_weighted_l1_logit(model: FaceModel) -> None:
    d = model.template_size
    origin = np.zeros((1, d), np.float32)
    bias = model.compare(origin, origin)[0, 0]
    weights = bias - model.compare(np.eye(d, dtype=np.float32), origin)[:, 0]
    assert weights.min() >= -1e-5
    generator = np.random.default_rng(1)
    probes = generator.normal(0, 0.1, (3, d)).astype(np.float32)
    templates = generator.normal(0, 0.1, (5, d)).astype(np.float32)
    wanted = bias - (np.abs(probes[:, None] - templates[None]) * weights).sum(-1)
    assert model.compare(probes, templates) == pytest.approx(wanted, abs=1e-3)


def test_a_face_is_most_alike_to_itself_and_order_does_not_matter(model: FaceModel) -> None:
    templates = model.encode(some_chips(6))
    scores = model.compare(templates, templates)
    assert (scores.argmax(1) == np.arange(6)).all()
    assert scores == pytest.approx(scores.T, abs=1e-3)


@pytest.mark.parametrize(("probes", "people"), [(0, 0), (0, 4), (3, 0)])
def test_comparing_with_nobody_gives_an_empty_table(
    model: FaceModel, probes: int, people: int
) -> None:
    d = model.template_size
    scores = model.compare(np.zeros((probes, d), np.float32), np.zeros((people, d), np.float32))
    assert scores.shape == (probes, people)


def test_a_gallery_larger_than_one_call_is_scored_whole(model: FaceModel) -> None:
    generator = np.random.default_rng(2)
    gallery = generator.normal(0, 0.1, (70_000, model.template_size)).astype(np.float32)
    scores = model.compare(gallery[[0, 69_999]], gallery)
    assert scores.argmax(1).tolist() == [0, 69_999]


def test_chips_of_no_boxes_are_an_empty_batch(model: FaceModel) -> None:
    chips = model.chips(np.zeros((100, 100, 3), np.uint8), [])
    assert chips.shape == (0, 112, 112, 3)
    assert model.encode(chips).shape == (0, model.template_size)


def test_a_box_beyond_the_frame_still_gives_a_chip(model: FaceModel) -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    chips = model.chips(image, [Box(-80, -80, 100, 100), Box(500, 500, 40, 40)])
    assert chips.shape == (2, 112, 112, 3)
    assert chips.dtype == np.uint8


@pytest.mark.parametrize(
    "chips", [np.zeros((1, 112, 112, 3)), np.zeros((1, 111, 112, 3), np.uint8)]
)
def test_chips_of_another_type_are_refused(model: FaceModel, chips: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        model.encode(chips)


def test_templates_of_another_model_are_refused(model: FaceModel) -> None:
    with pytest.raises(ValueError, match="expected"):
        model.compare(np.zeros((1, 7), np.float32), np.zeros((1, 7), np.float32))


def test_threads_sharing_the_model_do_not_mix_their_faces(model: FaceModel) -> None:
    chips = some_chips(8)
    wanted = model.encode(chips)
    wrong: list[int] = []

    def encode_own(place: int) -> None:
        for _ in range(5):
            found = model.encode(chips[place : place + 1 + place % 3])[0]
            if np.abs(found - wanted[place]).max() > 1e-4:
                wrong.append(place)

    threads = [threading.Thread(target=encode_own, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_stricter_rates_have_higher_thresholds(model: FaceModel) -> None:
    rates = ["1e-2", "1e-3", "1e-4", "1e-5", "1e-6", "1e-7"]
    thresholds = [model.threshold(rate) for rate in rates]
    assert thresholds == sorted(thresholds)
    assert len(set(thresholds)) == len(rates)
    assert model.threshold(0.001) == model.threshold("1e-3") == model.threshold("0.001")


@pytest.mark.parametrize("rate", ["1e-9", 0.5, "strict", float("nan")])
def test_a_rate_that_was_not_fitted_has_no_threshold(model: FaceModel, rate: str | float) -> None:
    with pytest.raises(ModelError, match="no threshold was fitted") as caught:
        model.threshold(rate)
    assert "1e-4" in caught.value.fix


def test_the_model_id_names_the_files_and_the_cut_out(copied: Path) -> None:
    own = read_manifest(copied)
    assert load_model(copied).model_id == own.model_id
    assert own.model_id.startswith(f"{own.name}:")
    document = own.document
    files = document.files
    other_file = files["encoder.tflite"].model_copy(update={"sha256": "0" * 64})
    others = [
        document.model_copy(update=change)
        for change in (
            {"name": "other"},
            {"files": {**files, own.encoder.name: other_file}},
            {"files": {**files, own.aligner.name: other_file}},
            {"cutout": {**document.cutout, "crop_scale": 1.3}},
        )
    ]
    assert len({own.model_id, *(manifest_of(other).model_id for other in others)}) == 5


def test_the_model_id_does_not_hang_on_figures_and_licences(copied: Path) -> None:
    def retell(manifest: dict[str, Any]) -> None:
        manifest.update(licence="another", origins=[], trained_on={}, made_by=[], notes={"a": 1})
        only_variant(manifest).update(thresholds={"by_fmr": {}, "accuracy": None}, evaluation={})

    before = read_manifest(copied).model_id
    rewrite(copied, retell)
    assert read_manifest(copied).model_id == before


@pytest.mark.parametrize("file", ["encoder.tflite", "aligner.tflite"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_file_is_refused_before_it_is_loaded(
    copied: Path, file: str, damage: str
) -> None:
    path = copied / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: {"flip": len(data), "cut": len(data) // 2}.get(damage, 0)])
    if damage == "gone":
        path.unlink()
    with pytest.raises(ModelError, match=r"missing|changed or damaged") as caught:
        load_model(copied)
    assert file in caught.value.where
    assert caught.value.fix


def put(folder: Path, name: str, content: bytes) -> None:
    """Exchange a model file together with its hash, as one would who can write to the folder."""
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(folder, lambda m: m["files"][name].update(sha256=digest, bytes=len(content)))


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_cut_file_with_the_right_hash_is_refused(copied: Path, kept: float) -> None:
    whole = (copied / "encoder.tflite").read_bytes()
    put(copied, "encoder.tflite", whole[: int(len(whole) * kept)])
    with pytest.raises(ModelError, match="not a TensorFlow Lite model"):
        load_model(copied)


def test_encoder_and_aligner_exchanged_are_refused_by_their_signatures(copied: Path) -> None:
    def exchange(manifest: dict[str, Any]) -> None:
        only_variant(manifest).update(encoder="aligner.tflite", aligner="encoder.tflite")

    rewrite(copied, exchange)
    with pytest.raises(ModelError, match="no signature"):
        load_model(copied)


def test_a_template_size_that_the_files_do_not_have_is_refused(copied: Path) -> None:
    rewrite(copied, lambda m: m.update(template_size=7))
    with pytest.raises(ModelError, match="expected float32"):
        load_model(copied)


@pytest.mark.parametrize(
    "change", [{"shape": [-1, 112, 112, 1]}, {"dtype": "float32"}, {"name": "pictures"}]
)
def test_tensors_other_than_the_manifest_says_are_refused(
    copied: Path, change: dict[str, Any]
) -> None:
    rewrite(
        copied,
        lambda m: m["files"]["encoder.tflite"]["signatures"]["encode"]["inputs"][0].update(change),
    )
    with pytest.raises(ModelError, match="other tensors"):
        load_model(copied)


def test_a_model_for_another_cut_out_is_refused(copied: Path) -> None:
    rewrite(copied, lambda m: m["cutout"].update(crop_scale=1.3))
    with pytest.raises(ModelError, match="another cut-out"):
        load_model(copied)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="manifest is missing"):
        load_model(tmp_path / "none")


def test_a_model_without_fitted_thresholds_loads_and_opens_nothing(copied: Path) -> None:
    rewrite(copied, lambda m: only_variant(m).update(thresholds={"by_fmr": {}, "accuracy": None}))
    model = load_model(copied)
    assert model.manifest.accuracy_threshold is None
    with pytest.raises(ModelError, match="no threshold"):
        model.threshold("1e-4")
