"""A door on a real broker, with gpiozero's mock pin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from door_rig import Rig

from oneglance.config import Config, DoorConfig, MqttConfig, SiteConfig


@pytest.fixture
def door_config(broker: MqttConfig, key_files: tuple[Path, Path], tmp_path: Path) -> Config:
    return Config(
        site=SiteConfig(name="home", door="front"),
        mqtt=broker,
        door=DoorConfig(
            public_key_file=key_files[1],
            state_file=tmp_path / "door" / "sequence",
            pin_factory="mock",
            pulse_s=0.15,
        ),
    )


@pytest.fixture
def make_rig(
    door_config: Config, key_files: tuple[Path, Path], wait_until: Callable[..., None]
) -> Iterator[Callable[..., Rig]]:
    """Start a lock that listens; all are stopped at the end."""
    rigs: list[Rig] = []

    def make(config: Config = door_config, **clocks: Callable[[], Any]) -> Rig:
        rig = Rig(config, key_files[0], **clocks)
        rigs.append(rig)
        rig.start()
        wait_until(lambda: "locked" in rig.said() or not rig.running, "the lock says it is locked")
        return rig

    yield make
    for rig in rigs:
        rig.stop()
