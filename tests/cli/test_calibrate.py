"""`oneglance calibrate` on a real door: strangers in, stricter thresholds out."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from oneglance.audit.segments import entries
from oneglance.cli.audit_log import open_gallery
from oneglance.cli.calibrate.command import calibrate
from oneglance.cli.doctor import Verdict, examine
from oneglance.cli.evaluate.command import evaluate
from oneglance.cli.init import init
from oneglance.config import Config, load_config
from oneglance.daemon.build import calibrated_door, door_of, policy_hash, rule_of
from oneglance.errors import GalleryError, ImageError, ModelError
from oneglance.faces.calibration.door import Door, Spread, settled
from oneglance.faces.calibration.file import read_calibration, write_calibration
from oneglance.faces.calibration.fit import LEAST_STRANGERS, TooFewStrangersError
from oneglance.faces.calibration.setup import DoorModel, any_door, fitted_spread, stranger_file
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.document import FaceDocument, parse_part
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image, read_central_face
from oneglance.models import model_dir

STRANGERS = 40


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


@pytest.fixture(scope="module")
def obama(model: FaceModel, small_photos: Path) -> list[NDArray[np.float32]]:
    """His templates from two photographs."""
    detector = FaceDetector()
    samples = [
        read_central_face(load_image(small_photos / name), detector, model)
        for name in ("obama.jpg", "obama2.jpg")
    ]
    return [sample.template for sample in samples if sample is not None]


@pytest.fixture
def door(tmp_path: Path, model: FaceModel, obama: list[NDArray[np.float32]]) -> Config:
    """A new door at which Obama is enrolled, and which kept made strangers and Obama again."""
    init(tmp_path / "door", None, "home", "front", "0")
    config = load_config(tmp_path / "door" / "oneglance.toml")
    with open_gallery(config, create=True) as gallery:
        gallery.enrol(
            "Barack Obama",
            obama[0][np.newaxis],
            model.model_id,
            consent_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="test",
        )
    rng = np.random.default_rng(3)
    own = rng.standard_normal((STRANGERS, model.template_size))
    own = own / np.linalg.norm(own, axis=1, keepdims=True) + 0.6 * np.eye(1, model.template_size)
    file = stranger_file(config, model)
    for template in own / np.linalg.norm(own, axis=1, keepdims=True):
        file.add(template.astype(np.float32))
    file.add(obama[1])
    return config


def run(door: Config, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(calibrate)
    config = door.gallery.path.parent.parent / "oneglance.toml"
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def finding(door: Config) -> tuple[Verdict, str]:
    config = door.gallery.path.parent.parent / "oneglance.toml"
    return next((f.verdict, f.detail) for f in examine(config) if f.what == "calibration")


def test_from_kept_strangers_to_a_stricter_door(
    door: Config, model: FaceModel, caplog: pytest.LogCaptureFixture
) -> None:
    general = door_of(door, model)
    assert general is not None
    assert general.stretch is not None
    assert f"{STRANGERS + 1} strangers are kept" in finding(door)[1]
    before = rule_of(door, model, general).bar(1)
    assert before == rule_of(door, model).bar(1)
    hashes = [policy_hash(door, calibrated_door(door, model))]
    door.calibration_file.mkdir()
    assert isinstance(run(door).exception, GalleryError)
    door.calibration_file.rmdir()
    result = run(door, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["strangers"], told["enrolled_left_out"], told["came_again"]) == (STRANGERS, 1, 0)
    # What was learned is kept; what it was learned from is not.
    assert not door.strangers_file.exists()
    found = door_of(door, model)
    assert found is not None
    # It knows the door, and need not guess from each face.
    assert found.stretch is None
    after = rule_of(door, model, found).bar(1)
    assert after.threshold > before.threshold
    assert after.threshold == found.lifted(before.threshold)
    assert finding(door) == (Verdict.GOOD, f"from {STRANGERS} strangers, {_when(door, model)}")
    # The log says so, and the daemon's next start that another policy holds.
    said = [entry for entry in entries(door.audit_folder) if entry.kind == "calibration"]
    assert [entry.body.get("strangers") for entry in said] == [STRANGERS, None, STRANGERS]
    assert said[1].body == {"failed": said[0].number}
    assert said[2].body["watched"] is False
    hashes.append(policy_hash(door, calibrated_door(door, model)))
    # With another model the model's own thresholds hold, and both say so.
    key = load_key(door.gallery.key_file)
    kept = read_calibration(door.calibration_file, model.model_id, model.template_size, key)
    write_calibration(door.calibration_file, replace(kept), "other:1", key)
    with caplog.at_level(logging.WARNING):
        aside = door_of(door, model)
    assert aside is not None
    assert np.array_equal(aside.directions, general.directions)
    assert aside.stretch is not None
    assert calibrated_door(door, model) is None
    write_calibration(door.calibration_file, replace(kept, door=general), model.model_id, key)
    hashes.append(policy_hash(door, calibrated_door(door, model)))
    assert len(set(hashes)) == 3
    write_calibration(door.calibration_file, replace(kept), "other:1", key)
    assert "was made with the model other:1" in caplog.text
    assert finding(door)[0] is Verdict.BROKEN
    door.calibration_file.write_bytes(b"nothing")
    with pytest.raises(GalleryError, match="was changed"):
        door_of(door, model)


def test_a_door_whose_named_calibration_was_deleted_decides_nothing(
    door: Config, model: FaceModel
) -> None:
    assert run(door).exit_code == 0
    written = door.gallery.path.parent.parent / "oneglance.toml"
    with written.open("a") as file:
        file.write(f'\n[calibration]\nfile = "{door.calibration_file}"\n')
    named = load_config(written)
    calibrated = door_of(named, model)
    assert calibrated is not None
    door.calibration_file.unlink()
    with pytest.raises(GalleryError, match="names a calibration that is not there"):
        door_of(named, model)
    assert finding(door)[0] is Verdict.BROKEN
    # Without the name nobody ever calibrated this door, for all that is known.
    general = door_of(door, model)
    assert general is not None
    assert general.lifted(1.0) == 1.0
    # It can be learned anew, there.
    assert isinstance(run(door).exception, TooFewStrangersError)


def test_strangers_who_are_not_watched_make_nobody_look_like_somebody_else(
    door: Config, model: FaceModel
) -> None:
    # All of them were chosen: what they have in common is what tells these two people apart.
    way, rest, *own = np.linalg.qr(
        np.random.default_rng(4).standard_normal((model.template_size, 2 + STRANGERS))
    )[0].T.astype(np.float32)
    one, other = ((0.6 * rest + apart * way)[np.newaxis] for apart in (0.8, -0.8))
    assert float(model.compare(one, other)[0, 0]) < 0
    door.strangers_file.unlink()
    for template in own:
        stranger_file(door, model).add(0.6 * way + 0.8 * template)
    assert run(door).exit_code == 0
    found = door_of(door, model)
    assert found is not None
    assert float(model.compare(found.settled(one), found.settled(other))[0, 0]) < 0


def _when(door: Config, model: FaceModel) -> str:
    key = load_key(door.gallery.key_file)
    path, size = door.calibration_file, model.template_size
    return read_calibration(path, model.model_id, size, key).calibrated_at


def test_too_few_strangers_are_refused_and_stay(
    door: Config, small_photos: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for name in ("obama.jpg", "biden.jpg"):
        (some / name).write_bytes((small_photos / name).read_bytes())
    cv2.imwrite(str(some / "wall.png"), np.full((120, 160, 3), 127, np.uint8))
    (some / "torn.jpg").write_bytes(b"torn")
    result = run(door, "--images", str(some))
    assert isinstance(result.exception, TooFewStrangersError)
    assert "too few strangers: 2, since 0 were enrolled" in str(result.exception)
    assert "2 pictures show no face that the door would use" in str(result.exception)
    assert f"fewer than {LEAST_STRANGERS}" in str(result.exception)
    assert door.strangers_file.exists()
    assert not door.calibration_file.exists()
    (tmp_path / "none").mkdir()
    assert isinstance(run(door, "--images", str(tmp_path / "none")).exception, ImageError)
    assert run(door, "--images", str(some), "--camera", "0").exit_code == 2


def test_a_door_through_which_only_its_own_people_passed_learns_nothing(
    door: Config, model: FaceModel, obama: list[NDArray[np.float32]]
) -> None:
    door.strangers_file.unlink()
    noise = np.random.default_rng(5).normal(0, 0.02, (25, model.template_size))
    for template in obama[1] + noise:
        stranger_file(door, model).add(np.asarray(template, np.float32))
    result = run(door)
    assert isinstance(result.exception, TooFewStrangersError)
    assert "too few strangers: 0, since 25 were enrolled" in str(result.exception)
    assert door.strangers_file.exists()
    assert not door.calibration_file.exists()


def test_a_door_that_will_turn_many_away_is_told(door: Config, model: FaceModel) -> None:
    assert "so strict" not in run(door).stdout
    own = np.random.default_rng(6).standard_normal((30, model.template_size))
    own[:, 4:] *= 0.1
    for template in own / np.linalg.norm(own, axis=1, keepdims=True):
        stranger_file(door, model).add(np.asarray(template, np.float32))
    assert "so strict that many" in run(door).stdout


def test_a_model_of_few_pictures_calibrates_a_door_too(
    door: Config, model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lax = {rate: at for rate, at in model.manifest.thresholds.items() if float(rate) > 1e-5}
    of_few = FaceModel(replace(model.manifest, thresholds=lax), *model.networks)
    monkeypatch.setattr("oneglance.faces.model.setup.load_configured", lambda _config: of_few)
    result = run(door)
    assert result.exit_code == 0, result.output
    assert "FMR 1e-3" in result.stdout
    assert "FMR 1e-5" not in result.stdout


def test_a_camera_may_be_named_as_in_the_configuration(door: Config) -> None:
    folder = door.gallery.path.parent.parent
    (folder / "film").mkdir()
    cv2.imwrite(str(folder / "film/1.png"), np.full((240, 320, 3), 90, np.uint8))
    config = folder / "oneglance.toml"
    config.write_text(config.read_text().replace("source = 0", 'source = "film"'))
    result = run(door, "--camera", "front")
    assert isinstance(result.exception, TooFewStrangersError), result.output


def test_a_model_is_measured_as_it_is_at_a_calibrated_door(
    model: FaceModel, small_photos: Path, tmp_path: Path
) -> None:
    directions = np.eye(2, model.template_size, dtype=np.float32)
    at_door = DoorModel(model, Door(directions, Spread(-5.0, 2.5), fitted_spread(model)))
    chips = np.random.default_rng(0).integers(0, 255, (2, 112, 112, 3), np.uint8)
    assert np.allclose(at_door.encode(chips), settled(model.encode(chips), directions), atol=1e-6)
    assert at_door.threshold("1e-3") > model.threshold("1e-3")
    # Calibrated first: with too few strangers there is nothing to be measured.
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "biden.jpg").write_bytes((small_photos / "biden.jpg").read_bytes())
    (tmp_path / "few" / "torn.jpg").write_bytes(b"torn")
    app = typer.Typer()
    app.command()(evaluate)
    photos, pairs = str(small_photos), str(tmp_path / "pairs.csv")
    arguments = ["--images", photos, "--pairs", pairs, "--strangers", str(tmp_path / "few")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, TooFewStrangersError)
    assert "1 pictures show no face" in str(result.exception)


@pytest.fixture
def no_reference(monkeypatch: pytest.MonkeyPatch, model: FaceModel) -> Callable[[], None]:
    def forget() -> None:
        fitted = model.manifest.fitted.model_copy(update={"impostors": None})
        variants = dict(model.manifest.document.variants)
        variants[model.variant] = variants[model.variant].model_copy(update={"thresholds": fitted})
        document = model.manifest.document.model_copy(update={"variants": variants})
        monkeypatch.setattr(model, "manifest", replace(model.manifest, document=document))

    return forget


def test_a_model_that_does_not_tell_how_strangers_scored_cannot_be_calibrated(
    model: FaceModel, no_reference: Callable[[], None]
) -> None:
    assert fitted_spread(model).sd > 1
    no_reference()
    with pytest.raises(ModelError, match="does not tell how strangers"):
        fitted_spread(model)


def test_doctor_tells_of_a_model_that_knows_nothing_of_doors_in_general(door: Config) -> None:
    assert "corrects nothing" not in finding(door)[1]
    config = door.gallery.path.parent.parent / "oneglance.toml"
    config.write_text(config.read_text() + '\n[model]\nname = "mobileface-small"\n')
    assert finding(door)[1].endswith("this model corrects nothing for doors")


@pytest.mark.parametrize(
    ("common", "said"),
    [
        ("no base64", "damaged"),
        (base64.b64encode(bytes(8)).decode(), "another length"),
        (base64.b64encode(bytes(1024)).decode(), "right angles"),
    ],
)
def test_a_manifest_with_directions_that_are_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: FaceModel, common: str, said: str
) -> None:
    whole = model.manifest.document
    assert whole.common_stretch is not None
    parts = [{"common": common}] + [
        {"common_stretch": whole.common_stretch.model_copy(update={name: common})}
        for name in ("along", "directions")
    ]
    for damaged in parts:
        document = whole.model_copy(update=damaged)
        monkeypatch.setattr(model, "manifest", replace(model.manifest, document=document))
        with pytest.raises(ModelError, match=said):
            any_door(model)


def test_a_manifest_with_a_stretch_and_no_directions_is_refused() -> None:
    written = json.loads((model_dir("mobileface-3") / "manifest.json").read_text())
    assert parse_part(FaceDocument, written).common_stretch is not None
    del written["common"]
    with pytest.raises(ValueError, match="without common"):
        parse_part(FaceDocument, written)


def test_a_manifest_may_take_nothing_out_and_only_stretch(
    monkeypatch: pytest.MonkeyPatch, model: FaceModel
) -> None:
    whole = model.manifest.document
    nothing = parse_part(FaceDocument, whole.model_dump(mode="json") | {"common": ""})
    monkeypatch.setattr(model, "manifest", replace(model.manifest, document=nothing))
    door = any_door(model)
    assert door is not None
    assert door.stretch is not None
    assert door.directions.shape == (0, model.template_size)
    rows = np.random.default_rng(3).normal(size=(5, model.template_size)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    longer = door.stretch.factors(rows).reshape(-1, 1)
    assert np.allclose(door.settled(rows), rows * longer, atol=1e-6)


@pytest.mark.parametrize("name", ["mobileface-3", "mobileface-large"])
def test_a_door_that_is_not_calibrated_is_stricter_with_faces_that_look_like_bad_doors(
    name: str,
) -> None:
    model = load_model(model_dir(name))
    door = any_door(model)
    assert door is not None
    assert door.stretch is not None
    marks = np.concatenate([door.stretch.directions, door.stretch.along[np.newaxis]])
    bare = np.linalg.svd(marks)[2][-1:].astype(np.float32)
    rows = [(1 - share) * bare + share * door.stretch.along for share in (0.0, 0.5, 0.7)]
    templates = np.concatenate([row / np.linalg.norm(row) for row in rows])
    lengths = np.linalg.norm(door.settled(templates), axis=1)
    assert lengths[0] == pytest.approx(1, abs=1e-3)
    assert 1 < lengths[1] < lengths[2]


def test_a_stretch_without_a_square_for_each_direction_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: FaceModel
) -> None:
    whole = model.manifest.document
    assert whole.common_stretch is not None
    short = whole.common_stretch.model_copy(update={"squares": (1.0,)})
    document = whole.model_copy(update={"common_stretch": short})
    monkeypatch.setattr(model, "manifest", replace(model.manifest, document=document))
    with pytest.raises(ModelError, match="as many squares"):
        any_door(model)
