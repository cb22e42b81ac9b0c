"""`oneglance model` and `doctor --tune`, as an administrator types them."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from model_folders import write_folder
from typer.testing import CliRunner

from oneglance.cli.doctor import examine
from oneglance.cli.init import init
from oneglance.cli.main import app
from oneglance.config import MqttConfig, load_config
from oneglance.converter.folder import update_manifest
from oneglance.errors import ConfigError, ImageError, ModelError, OneglanceError
from oneglance.faces.model.choice import read_choice
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import read_document, read_manifest
from oneglance.faces.model.setup import load_configured
from oneglance.faces.model.tune import largest_bearable
from oneglance.models import DEFAULT_MODEL, FACE_MODELS, default_model_dir

PEOPLE = "image,identity\nobama.jpg,obama\nobama2.jpg,obama\nbiden.jpg,biden\n"


def run(*arguments: str | Path) -> str:
    """What the command said on standard output; its error, if it ended with one, is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, OneglanceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model")


@pytest.fixture
def pictures(tmp_path: Path, photos: Path) -> tuple[str | Path, ...]:
    listed, small = tmp_path / "people.csv", tmp_path / "small"
    listed.write_text(PEOPLE)
    small.mkdir()
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        image = cv2.imread(str(photos / name))
        scale = 300 / image.shape[1]
        cv2.imwrite(str(small / name), cv2.resize(image, None, fx=scale, fy=scale))
    return "--images", small, "--people", listed


def test_a_model_is_signed_and_verified(folder: Path, tmp_path: Path) -> None:
    key, public = tmp_path / "model.key", tmp_path / "model.pub"
    made = run("model", "new-key", "--private", key, "--public", public)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    fingerprint = made.split(": ")[1].strip()
    assert fingerprint.startswith("SHA256:")
    with pytest.raises(ModelError, match="not signed"):
        run("model", "verify", folder, "--key", public)
    assert fingerprint in run("model", "sign", folder, "--key", key)
    assert fingerprint in run("model", "verify", folder, "--key", public)
    assert run("model", "show", folder).rstrip().endswith("signed")
    (folder / "aligner.tflite").write_bytes(b"x")
    with pytest.raises(ModelError, match="changed or damaged"):
        run("model", "verify", folder, "--key", public)
    with pytest.raises(ConfigError, match="is a key already"):
        run("model", "new-key", "--private", key, "--public", public)


def test_a_key_that_others_can_read_signs_nothing(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "model.key"
    run("model", "new-key", "--private", key, "--public", tmp_path / "model.pub")
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        run("model", "sign", folder, "--key", key)
    assert read_manifest(folder).document.signature is None


def test_what_a_folder_holds_is_shown() -> None:
    said = run("model", "show")
    document = read_document(default_model_dir())
    for name in document.variants:
        assert f"{name}" in said
    assert load_model().model_id in said
    assert f"threshold {load_model().threshold('1e-4'):.3f}" in said
    told = json.loads(run("model", "show", "--json"))
    assert told["model_ids"][document.default] == load_model().model_id
    assert told["files"].keys() == dict(document.files).keys()


def test_two_conversions_of_one_network_become_variants_of_one_model(
    tmp_path: Path, pictures: tuple[str | Path, ...]
) -> None:
    first = write_folder(tmp_path / "a", "float32")
    shipped = read_document(default_model_dir()).model_dump(mode="json")
    assert shipped["common_stretch"]
    update_manifest(first, {name: shipped[name] for name in ("common", "common_stretch")})
    told = read_manifest(first).fitted
    assert told.impostors is not None
    second = write_folder(tmp_path / "b", "int8", mark=b"z")
    out = tmp_path / "joined"
    said = run("model", "join", first, second, "--out", out, *pictures)
    assert "int8: templates interchangeable" in said
    document = read_document(out)
    assert document.tune_among == ("float32", "int8")
    assert document.default == document.reference == "float32"
    assert document.common == shipped["common"]
    assert (
        document.model_dump(mode="json")["common_stretch"] == shipped["common_stretch"] is not None
    )
    assert document.variants["float32"].thresholds == told
    assert (document.licence, document.notes) == ("MIT", {"made": "for a test"})
    measured = document.variants["int8"].interchange
    assert measured is not None
    assert measured.faces == 3
    assert load_model(out, variant="int8").model_id == load_model(first).model_id
    assert not document.variants["float32"].interchange


def test_variants_whose_thresholds_do_not_fit_are_joined_but_do_not_mix(
    tmp_path: Path, pictures: tuple[str | Path, ...]
) -> None:
    first = write_folder(tmp_path / "a", "float32")
    update_manifest(first, {"common": read_document(default_model_dir()).common})
    second = write_folder(tmp_path / "b", "int8", mark=b"z")
    strict = read_manifest(second).fitted.model_dump(mode="json")
    for row in strict["by_fmr"].values():
        row["threshold"] = 500.0
    update_manifest(second, {"thresholds": strict})
    out = tmp_path / "joined"
    told = json.loads(run("model", "join", first, second, "--out", out, "--json", *pictures))
    assert any("TAR 0.00%" in objection for objection in told["variants"][0]["objections"])
    document = read_document(out)
    assert document.tune_among == ("float32",)
    assert not document.variants["int8"].templates_interchangeable
    assert document.common is None
    assert load_model(out, variant="int8").model_id != load_model(out).model_id


def test_what_cannot_be_joined_leaves_nothing_behind(
    tmp_path: Path, pictures: tuple[str | Path, ...]
) -> None:
    first = write_folder(tmp_path / "a", "float32")
    same = write_folder(tmp_path / "b", "float32", mark=b"z")
    other = write_folder(tmp_path / "c", "int8", template_size=128)
    int8 = write_folder(tmp_path / "d", "int8", mark=b"z")
    listed = Path(pictures[3])
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "joined"
    with pytest.raises(ConfigError, match="two of the folders"):
        run("model", "join", first, same, "--out", out, *pictures)
    with pytest.raises(ConfigError, match="of another kind"):
        run("model", "join", first, other, "--out", out, *pictures)
    with pytest.raises(ConfigError, match="no"):
        run("model", "join", first, int8, "--out", out, "--default", "int4", *pictures)
    listed.write_text("image,identity\nobama.jpg,obama\nbiden.jpg,biden\n")
    with pytest.raises(ImageError, match="cannot compare"):
        run("model", "join", first, int8, "--out", out, *pictures)
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def house(tmp_path: Path, broker: MqttConfig) -> Path:
    """The configuration of a door whose model has two variants that do not mix."""
    init(tmp_path / "house", None, "home", "front", str(tmp_path / "gone"))
    model = write_folder(tmp_path / "model", "float32", "int8")
    file = tmp_path / "house" / "oneglance.toml"
    text = file.read_text().replace("port = 1883", f"port = {broker.port}")
    file.write_text(f'{text}\n[model]\nfolder = "{model}"\n')
    return file


def test_tuning_measures_all_variants_and_chooses_among_those_allowed(house: Path) -> None:
    found: dict[str, Any] = json.loads(run("doctor", "--tune", "--json", "-c", house))
    assert set(found["timings"]) == {"float32", "int8"}
    assert found["among"] == ["float32"]
    assert found["chosen"] == "float32"
    for row in found["timings"].values():
        assert 0 < row["min_ms"] <= row["median_ms"]
    kept = house.parent / "state" / "model-choice.json"
    assert found["kept_in"] == str(kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    choice = read_choice(kept)
    assert choice is not None
    assert choice.variant == "float32"
    said = run("doctor", "--tune", "-c", house)
    assert "int8" in said
    assert "not to choose from" in said
    assert f"kept in {kept}" in said


def test_the_doctor_says_which_variant_the_door_runs_and_why(house: Path) -> None:
    def doors_model() -> str:
        (row,) = (found for found in examine(house) if found.what == "door's model")
        return row.detail

    assert "variant float32 (default)" in doors_model()
    run("doctor", "--tune", "-c", house)
    assert "variant float32 (tuned)" in doors_model()
    house.write_text(f'{house.read_text()}variant = "int8"\n')
    assert "variant int8 (configured)" in doors_model()
    house.write_text(f"{house.read_text()}threads = 2\n".replace('variant = "int8"\n', ""))
    assert "measured with threads = 1" in doors_model()


def test_tuning_refuses_a_model_that_the_door_would_refuse(house: Path, tmp_path: Path) -> None:
    key, public = tmp_path / "model.key", tmp_path / "model.pub"
    run("model", "new-key", "--private", key, "--public", public)
    house.write_text(f'{house.read_text()}public_key_file = "{public}"\n')
    with pytest.raises(ModelError, match="not signed"):
        run("doctor", "--tune", "-c", house)
    assert not (house.parent / "state" / "model-choice.json").exists()
    run("model", "sign", tmp_path / "model", "--key", key)
    run("doctor", "--tune", "-c", house)


def test_without_a_door_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEGLANCE_CONFIG", str(tmp_path / "none.toml"))
    found = json.loads(run("doctor", "--tune", "--json"))
    assert found["kept_in"] is None
    assert found["model_id"] == load_model().model_id
    assert np.isfinite([row["min_ms"] for row in found["timings"].values()]).all()
    # The other models of ours are timed beside it, and one of them is advised.
    assert tuple(found["models"]) == FACE_MODELS
    own = found["models"][DEFAULT_MODEL]
    assert own["min_ms"] == found["timings"][found["chosen"]]["min_ms"]
    assert all(0.9 < row["tar"] <= 1 for row in found["models"].values())
    timed = [(name, row["min_ms"]) for name, row in found["models"].items()]
    assert found["advised"] == largest_bearable(timed)


def test_another_model_is_advised_by_name_and_then_loaded_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path / "house", None, "home", "front", str(tmp_path / "gone"))
    file = tmp_path / "house" / "oneglance.toml"
    monkeypatch.setattr("oneglance.faces.model.tune.MOST_MS", 0.0)
    said = run("doctor", "--tune", "-c", file)
    assert "[model] name = 'mobileface-small'" in said
    assert "everybody enrols anew" in said
    file.write_text(f'{file.read_text()}\n[model]\nname = "mobileface-small"\n')
    assert load_configured(load_config(file)).manifest.name == "mobileface-small"
    file.write_text(f'{file.read_text()}folder = "elsewhere"\n')
    with pytest.raises(ConfigError, match="give name or folder, not both"):
        load_config(file)
