"""The daemon and its model: which variant it runs, and when it does not start."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import INTERCHANGE, write_folder
from typer.testing import CliRunner

from oneglance.cli.model import app
from oneglance.clocks import Clocks
from oneglance.config import CameraConfig, Config, GalleryConfig, LivenessConfig, ModelConfig
from oneglance.converter.folder import update_manifest
from oneglance.daemon import build
from oneglance.daemon.app import Daemon
from oneglance.daemon.build import build_pipeline, rule_of
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.visit.decide import FUSED_WORTH, Rule
from oneglance.errors import ModelError
from oneglance.faces.calibration.door import Door, Spread
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.fusing import fuse, newest
from oneglance.faces.liveness.manifest import default_folder
from oneglance.faces.model.choice import Choice, Timing, folder_digest, machine_mark, write_choice
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.folder import sign_folder
from oneglance.faces.model.manifest import read_document
from oneglance.key_files import create_key_pair, load_private_key

CLOCKS = Clocks(lambda: datetime.now(UTC), time.monotonic)


def test_a_door_with_a_model_key_does_not_start_on_an_unsigned_or_changed_model(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "model")
    private, public = tmp_path / "model.key", tmp_path / "model.pub"
    create_key_pair(private, public)
    config = Config(
        model=ModelConfig(folder=folder, public_key_file=public),
        gallery=GalleryConfig(path=tmp_path / "gallery.db"),
        camera=(CameraConfig(name="front", source=str(tmp_path / "none.mp4")),),
    )
    with pytest.raises(ModelError, match="not signed"):
        Daemon(config, mqtt=False, gallery=False).run()
    sign_folder(folder, load_private_key(private, "model key", ""))
    build_pipeline(config, CLOCKS)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("for a test", "for no test"))
    with pytest.raises(ModelError, match="signature does not match"):
        Daemon(config, mqtt=False, gallery=False).run()


def test_three_tries_count_as_three_where_looks_are_not_fused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, config = load_model(write_folder(tmp_path / "model")), Config()
    far = float(config.decision.far)
    assert rule_of(config, model).comparison_fmr(4) == pytest.approx(far / FUSED_WORTH / 4)
    monkeypatch.setattr(L1Head, "behind", lambda *_: None)
    assert rule_of(config, model).comparison_fmr(4) == pytest.approx(far / 3 / 4)


def test_the_pipeline_decides_by_its_calibrated_door_and_fuses_where_tries_are_counted_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "model")
    model, config = load_model(folder), Config(model=ModelConfig(folder=folder))
    directions = np.eye(1, model.template_size, dtype=np.float32)
    door = Door(directions, Spread(5.0, 3.0), Spread(0.0, 1.0))
    built: list[tuple[Rule, object]] = []

    class Told(Pipeline):
        def __init__(self, model: Any, detector: Any, rule: Rule, **named: Any) -> None:
            built.append((rule, named["combine"]))
            super().__init__(model, detector, rule, **named)

    monkeypatch.setattr(build, "Pipeline", Told)
    monkeypatch.setattr(build, "door_of", lambda *_: door)
    build_pipeline(config, CLOCKS)
    monkeypatch.setattr(L1Head, "behind", lambda *_: None)
    build_pipeline(config, CLOCKS)
    (rule, combine), (rule_apart, combine_apart) = built
    assert rule.bar(4).threshold > rule_of(config, model).bar(4).threshold
    assert (rule.moments_worth, combine) == (FUSED_WORTH, fuse)
    assert (rule_apart.moments_worth, combine_apart) == (3, newest)


def test_a_door_with_a_model_key_accepts_nobody_by_a_liveness_model_it_did_not_sign(
    tmp_path: Path,
) -> None:
    faces = write_folder(tmp_path / "model")
    liveness = tmp_path / "liveness"
    shutil.copytree(default_folder(), liveness)
    private, public = tmp_path / "model.key", tmp_path / "model.pub"
    create_key_pair(private, public)
    key = load_private_key(private, "model key", "")
    sign_folder(faces, key)
    config = Config(
        model=ModelConfig(folder=faces, public_key_file=public),
        liveness=LivenessConfig(folder=liveness),
    )
    assert build_pipeline(config, CLOCKS)[1].problem == "liveness_model"
    sign = CliRunner().invoke(app, ["sign", str(liveness), "--key", str(private)])
    assert sign.exit_code == 0, sign.output
    assert build_pipeline(config, CLOCKS)[1].problem == ""
    verify = ["verify", str(liveness), "--key", str(public)]
    assert CliRunner().invoke(app, verify).exit_code == 0
    manifest = liveness / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"bias": ', '"bias": 9'))
    assert CliRunner().invoke(app, verify).exit_code != 0
    assert build_pipeline(config, CLOCKS)[1].problem == "liveness_model"


def test_the_pipeline_runs_the_variant_that_was_measured_fastest(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", "float32", "int8")
    update_manifest(folder, {"interchange": INTERCHANGE}, "int8")
    config = Config(
        model=ModelConfig(folder=folder), gallery=GalleryConfig(path=tmp_path / "gallery.db")
    )
    by_default, _ = build_pipeline(config, CLOCKS)
    write_choice(
        tmp_path / "model-choice.json",
        Choice(
            variant="int8",
            model_id=by_default.model_id,
            model=folder_digest(read_document(folder)),
            machine=machine_mark(),
            threads=1,
            measured_at="2026-11-24T06:00:00+00:00",
            timings={"int8": Timing(min_ms=1.0, median_ms=1.0, rounds=1)},
        ),
    )
    tuned, _ = build_pipeline(config, CLOCKS)
    assert (by_default.variant, tuned.variant) == ("float32", "int8")
    # The gallery goes on: its templates belong to both.
    assert by_default.model_id == tuned.model_id
