"""A gallery copied back together with its number file, and a log that is gone: told, and shut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneglance.audit.segments import entries
from oneglance.cli.init import init
from oneglance.cli.people.command import app
from oneglance.config import MqttConfig, load_config
from oneglance.daemon.app import Daemon


class House:
    """A new house with one camera, as `oneglance init` makes it; photographs may live in it."""

    def __init__(self, folder: Path, film: Path, broker: MqttConfig) -> None:
        init(folder, None, "test", "front", str(film))
        self.file = folder / "oneglance.toml"
        text = self.file.read_text().replace("port = 1883", f"port = {broker.port}")
        self.file.write_text(text.replace('policy = "passive"', 'policy = "off"'))
        self.config = load_config(self.file)
        self.state = self.config.gallery.path.parent

    def people(self, *arguments: object) -> str:
        result = CliRunner().invoke(app, [*map(str, arguments), "--config", str(self.file)])
        assert result.exit_code == 0, result.exception
        return result.stdout

    def visit(self) -> int:
        """How many were let in."""
        camera = self.config.camera[0].model_copy(update={"pace": "every"})
        return Daemon(self.config.model_copy(update={"camera": (camera,)})).run().accepted


@pytest.fixture
def house(
    tmp_path: Path, walk_up: Callable[..., Path], small_photos: Path, broker: MqttConfig
) -> House:
    house = House(tmp_path / "house", walk_up("obama2.jpg", frames=16), broker)
    house.people("enrol", "Barack Obama", small_photos / "obama.jpg", "--consent")
    return house


Visit = Callable[[], tuple[int, set[str]]]


@pytest.fixture
def visit(
    house: House,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Callable[..., None],
) -> Visit:
    """`visit()`: how many were let in, and what the daemon said was wrong."""
    listener = listen(broker)

    def visit() -> tuple[int, set[str]]:
        before = len(listener.states())
        accepted = house.visit()
        wait_until(lambda: listener.states()[before:][-1:] == [("offline", ())], "no farewell")
        told = {reason for _, reasons in listener.states()[before:] for reason in reasons}
        return accepted, told - {"starting"}

    return visit


def test_badges_that_were_put_back_are_told_and_faces_still_come_in(
    house: House, visit: Visit
) -> None:
    file = house.config.credentials_file
    house.people("badge", "barack-obama", "A1")
    older = file.read_bytes()
    house.people("badge", "barack-obama", "--none")
    file.write_bytes(older)
    assert visit() == (1, {"credentials_restored"})
    house.people("accept-restore", "--yes")
    assert visit() == (1, set())


def test_neither_comes_back_unseen(house: House, visit: Visit) -> None:
    assert visit() == (1, set())
    files = [house.state / name for name in ("gallery.db", "gallery-generation")]
    backup = [file.read_bytes() for file in files]
    house.people("delete", "barack-obama", "--yes")
    for file, data in zip(files, backup, strict=True):
        file.write_bytes(data)
    assert visit() == (0, {"gallery_restored"})
    assert "counts again" in house.people("accept-restore", "--yes")
    assert visit() == (1, set())
    generations = [
        entry.body
        for entry in entries(house.config.audit_folder)
        if entry.kind == "gallery_generation"
    ]
    assert generations == [
        *({"generation": number} for number in (1, 2, 3)),
        {"generation": 3, "accepts": 2},
        {"generation": 4},
    ]

    shutil.rmtree(house.config.audit_folder)
    assert visit() == (0, {"audit_behind"})
    house.people("accept-restore", "--yes")
    assert visit() == (1, set())
