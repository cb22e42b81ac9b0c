"""Promises of docs/security.md that only a whole daemon can keep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_samples import VERB_ROLES

from oneglance.config import Config, LivenessConfig, MqttConfig
from oneglance.contract.topics import Topics
from oneglance.daemon import build
from oneglance.daemon.app import Daemon
from oneglance.daemon.voice.verbs import Verb
from oneglance.errors import ConfigError

TOPICS = Topics("test", "front")


def test_without_its_liveness_model_a_door_accepts_nobody_and_says_so(
    house: Callable[..., Config],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Callable[..., None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    listener = listen(broker)
    missing = LivenessConfig(policy="passive", folder=tmp_path / "none")
    totals = Daemon(house(walk_up("obama2.jpg", frames=10), mqtt=broker, liveness=missing)).run()
    assert totals.accepted == 0
    wait_until(lambda: listener.states()[-1] == ("offline", ()), "no farewell")
    assert listener.on(TOPICS.decision) == []
    assert ("degraded", ("liveness_model",)) in listener.states()
    assert "nobody is accepted" in caplog.text


def test_a_whole_visit_leaves_no_name_in_the_log(
    house: Callable[..., Config],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    enrol("Zaphod Beeblebrox", photo=photos / "obama.jpg")
    totals = Daemon(house(walk_up("obama2.jpg", frames=10), mqtt=broker)).run()
    assert totals.accepted == 1
    assert "ready" in caplog.text
    assert "zaphod" not in caplog.text.lower()
    assert "beeblebrox" not in caplog.text.lower()


def test_the_daemons_verbs_are_those_that_each_role_tries(
    house: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Mapping[str, Verb]] = []

    def desk(_topics: Topics, verbs: Mapping[str, Verb], *_rest: Any) -> None:
        served.append(verbs)
        raise ConfigError("seen enough")

    monkeypatch.setattr(build, "CommandDesk", desk)
    asking = LivenessConfig(policy="passive+challenge")
    with pytest.raises(ConfigError, match="seen enough"):
        Daemon(house("film.avi", liveness=asking)).run()
    (verbs,) = served
    assert {name: verb.roles for name, verb in verbs.items()} == VERB_ROLES
