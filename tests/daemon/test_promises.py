"""Promises of docs/security.md that only a whole daemon can keep."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from command_samples import VERB_ROLES

from oneglance.clocks import Clocks
from oneglance.config import Config, LivenessConfig, MqttConfig
from oneglance.contract.topics import Topics
from oneglance.daemon import build
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.voice.commands import CommandDesk
from oneglance.daemon.voice.verbs import Verb
from oneglance.faces.model.face_model import FaceModel

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
    house: Callable[..., Config], model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Mapping[str, Verb]] = []

    def desk(topics: Topics, verbs: Mapping[str, Verb], *rest: Any) -> CommandDesk:
        served.append(verbs)
        return CommandDesk(topics, verbs, *rest)

    monkeypatch.setattr(build, "CommandDesk", desk)
    config = house("film.avi")
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    with build.open_sequence(config, clocks) as sequence:
        watch = build.open_gallery(config, model, clocks)
        entrance = build.open_entrance(config, clocks)
        challenges = Challenges(SystemRandom(), clocks.monotonic_s)
        build.build_outlet(config, model, watch, entrance, sequence, clocks, challenges)
    (verbs,) = served
    assert {name: verb.roles for name, verb in verbs.items()} == VERB_ROLES
