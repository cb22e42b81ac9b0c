"""Each client of ours says at once what the broker does not let it hear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_broker import scripted

from oneglance.cli.command import ask
from oneglance.cli.watch import watch
from oneglance.config import Config, DoorConfig, MqttConfig, ReaderConfig
from oneglance.door.app import DoorApp
from oneglance.door.reader.app import ReaderApp
from oneglance.errors import BrokerError
from oneglance.key_files import create_key_pair


class NoBadge:
    """A reader to which nobody shows anything."""

    def read(self, timeout_s: float) -> str | None:
        return None

    def close(self) -> None:
        pass


def lock(mqtt: MqttConfig, folder: Path) -> None:
    door = DoorConfig(
        public_key_file=folder / "signing.pub", state_file=folder / "seq", pin_factory="mock"
    )
    DoorApp(Config(mqtt=mqtt, door=door)).run()


def badge_reader(mqtt: MqttConfig, folder: Path) -> None:
    create_key_pair(folder / "reader.key", folder / "reader.pub")
    config = Config(mqtt=mqtt, reader=ReaderConfig(key_file=folder / "reader.key"))
    ReaderApp(config, NoBadge()).run()


def watching(mqtt: MqttConfig, folder: Path) -> None:
    (folder / "oneglance.toml").write_text(f"[mqtt]\nport = {mqtt.port}\n")
    watch(folder)


def commanding(mqtt: MqttConfig, folder: Path) -> None:
    ask(Config(mqtt=mqtt), "topic", lambda: b"", 5)


@pytest.mark.parametrize("client", [lock, badge_reader, watching, commanding])
def test_a_client_that_may_not_hear_ends_with_the_reason(
    client: Callable[[MqttConfig, Path], None], tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    with (
        scripted(granted=(0x87,)) as mqtt,
        pytest.raises(BrokerError, match="does not let us hear it: this user may not"),
    ):
        client(mqtt, tmp_path)


def test_watch_wonders_when_nothing_comes(
    broker: MqttConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("oneglance.cli.watch.QUIET_S", 0.0)
    (tmp_path / "oneglance.toml").write_text(f"[mqtt]\nport = {broker.port}\n")
    watch(tmp_path, seconds=0.1)
    assert "nothing is heard so far" in capsys.readouterr().err
