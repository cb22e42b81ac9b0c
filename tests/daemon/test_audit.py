"""A whole daemon and its audit log: what is not written down does not leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneglance.audit.entry import key_id
from oneglance.audit.proof import prove
from oneglance.audit.segments import entries, segments
from oneglance.config import Config, MqttConfig
from oneglance.contract.signing import load_public_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport

TOPICS = Topics("test", "front")


def test_a_decision_leaves_only_once_it_is_written_down(
    house: Callable[..., Config],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    small_photos: Path,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Callable[..., None],
    key_files: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Barack Obama", photo=small_photos / "obama.jpg")
    config = house(walk_up("obama2.jpg", frames=20), mqtt=broker)
    listener = listen(broker)
    problems: list[str] = []
    verdicts = 0

    def on_step(report: StepReport) -> None:
        nonlocal verdicts
        (segment,) = segments(config.audit_folder)
        if not report.frame.index:
            # No entry can be written any more.
            segment.chmod(0o644)
        for view in report.tracks:
            if view.verdict is not None:
                verdicts += 1
                assert daemon.outlet is not None
                problems.append(daemon.outlet.problem)
                wait_until(said, "the door's state does not say why")
                segment.chmod(0o600)

    def said() -> bool:
        return any("audit_error" in reasons for _, reasons in listener.states())

    daemon = Daemon(config, on_step=on_step)
    totals = daemon.run()
    assert (verdicts, totals.accepted) == (2, 1)
    assert problems == ["audit_error", ""]
    assert "not a regular file that only its owner can read" in caplog.text
    wait_until(lambda: len(listener.on(TOPICS.decision)) == 1, "the decision did not arrive")
    wait_until(lambda: listener.states()[-1] == ("offline", ()), "no farewell")

    (published,) = listener.on(TOPICS.decision)
    logged = list(entries(config.audit_folder))
    kinds = ["gallery_generation", "start", "policy_change", "decision", "stop"]
    assert [entry.kind for entry in logged] == kinds
    assert logged[3].body["event_id"] == json.loads(published.payload)["event_id"]
    assert b"barack" not in b"".join(
        file.read_bytes().lower() for file in config.audit_folder.iterdir()
    )
    public = load_public_key(key_files[1])
    proof = prove(config.audit_folder, {key_id(public): public})
    assert (proof.problem, proof.unsigned, proof.unproven) == (None, 0, "")
