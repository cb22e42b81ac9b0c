"""Strangers on their way to a calibration: kept when asked for, and only then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from oneglance.cli.calibrate.sources import from_camera
from oneglance.clocks import Clocks
from oneglance.config import CalibrationConfig, Config
from oneglance.daemon.build import stranger_keeper
from oneglance.daemon.gallery.strangers import StrangerKeeper
from oneglance.faces.calibration.setup import stranger_file
from oneglance.faces.calibration.store import StrangerFile
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.model.face_model import FaceModel


def test_strangers_are_kept_only_where_asked_for_and_else_deleted(
    house: Callable[..., Config], model: FaceModel
) -> None:
    asked = house(calibration=CalibrationConfig(keep_strangers=True))
    now_s = [0.0]
    began = datetime.now(UTC)
    clocks = Clocks(lambda: began + timedelta(seconds=now_s[0]), lambda: now_s[0])
    keeper = stranger_keeper(asked, model, clocks)
    assert keeper is not None
    template = np.eye(1, model.template_size, dtype=np.float32)[0]
    keeper.met(template)
    assert not asked.strangers_file.exists()
    keeper.work()
    assert np.array_equal(stranger_file(asked, model).read(), template[np.newaxis])
    # Once they are too old they go, though nobody comes and nothing is started anew.
    now_s[0] = timedelta(days=29).total_seconds()
    keeper.work()
    assert asked.strangers_file.exists()
    now_s[0] = timedelta(days=31).total_seconds()
    keeper.work()
    assert not asked.strangers_file.exists()
    keeper.met(template)
    keeper.work()
    # Of another key, as after 'people rekey': they make room.
    asked.strangers_file.write_bytes(bytes(asked.strangers_file.stat().st_size))
    assert stranger_keeper(asked, model, clocks) is not None
    assert not asked.strangers_file.exists()
    keeper.met(template)
    keeper.work()
    assert stranger_keeper(house(), model, clocks) is None
    assert not asked.strangers_file.exists()


def test_a_daemon_starts_beside_a_file_that_cannot_be_read_and_says_so(
    house: Callable[..., Config], model: FaceModel, caplog: pytest.LogCaptureFixture
) -> None:
    asked = house(calibration=CalibrationConfig(keep_strangers=True))
    asked.strangers_file.mkdir()
    clocks = Clocks(lambda: datetime.now(UTC), lambda: 0.0)
    with caplog.at_level(logging.WARNING):
        keeper = stranger_keeper(asked, model, clocks)
    assert "no strangers are kept for a calibration: " in caplog.text
    assert str(asked.strangers_file) in caplog.text
    assert keeper is not None
    asked.strangers_file.rmdir()
    keeper.met(np.eye(1, model.template_size, dtype=np.float32)[0])
    keeper.work()
    assert len(stranger_file(asked, model).read()) == 1


def test_a_file_that_cannot_be_written_is_told_once_and_fills_no_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = StrangerFile(
        *(tmp_path / "gone" / "s", TemplateKey(bytes(32)), "m", 4, Random(0)),  # noqa: S311
        keep_days=30,
        today=lambda: date(2026, 1, 1),
    )
    keeper = StrangerKeeper(file, lambda: 0.0)
    for _ in range(100):
        keeper.met(np.ones(4, np.float32))
    with caplog.at_level(logging.WARNING):
        keeper.work()
        keeper.met(np.ones(4, np.float32))
        keeper.work()
    assert len(caplog.records) == 1
    assert "cannot be kept" in caplog.text


def test_one_who_passes_before_a_camera_is_one_stranger(
    walk_up: Callable[..., Path], model: FaceModel
) -> None:
    film = walk_up("biden.jpg", frames=6)
    assert from_camera(str(film), model, min_face_px=80, minutes=1).shape == (1, 256)
