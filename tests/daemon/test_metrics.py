"""The daemon's metrics, asked over HTTP as Prometheus asks."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from typer.testing import CliRunner

from oneglance.broker import free_port
from oneglance.cli.main import app
from oneglance.config import Config, MetricsConfig
from oneglance.contract.reasons import REASONS
from oneglance.daemon import metrics as metrics_module
from oneglance.daemon.app import Daemon
from oneglance.daemon.metrics import LoopCollector
from oneglance.daemon.pipeline import STAGES, Counts
from oneglance.daemon.standing import Notice, Standing
from oneglance.daemon.totals import Tally, Totals
from oneglance.errors import ConfigError, OneglanceError
from oneglance.timing import StageTimes

Wait = Callable[..., None]
EMPTY = "gallery_empty"
SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
Samples = dict[tuple[str, str], float]


def ask(port: int) -> tuple[str, Samples]:
    """The text, and each sample by its name and its only label."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = next((v for k, v in sample.labels.items() if k != "le"), "")
            if sample.labels.get("le", "+Inf") == "+Inf":
                samples[sample.name, label] = sample.value
    return text, samples


class Pause:
    """Holds the vision thread at the last frame, so that there is somebody to ask."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, report: object) -> None:
        """An on_step."""
        if report.frame.index == self._last:  # type: ignore[attr-defined]
            self.reached.set()
            self.go_on.wait(60)


@contextmanager
def paused(config: Config, last: int) -> Iterator[list[Totals | OneglanceError]]:
    """A daemon that waits at that frame; afterwards the list holds what its run came to."""
    pause, ended = Pause(last), []  # type: ignore[var-annotated]

    def run() -> None:
        try:
            ended.append(Daemon(config, mqtt=False, on_step=pause).run())
        except OneglanceError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert pause.reached.wait(60), ended
        yield ended
    finally:
        pause.go_on.set()
        thread.join()


def test_the_endpoint_tells_what_the_run_came_to_and_no_name(
    house: Callable[..., Config],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    port = free_port()
    config = house(walk_up("biden.jpg", "obama2.jpg"), metrics=MetricsConfig(port=port))
    with paused(config, last=88) as ended:
        text, samples = ask(port)
    (totals,) = ended
    assert isinstance(totals, Totals)
    assert totals.accepted == 1
    assert samples["oneglance_frames_total", "cam0"] == totals.frames - 1 == 89
    assert samples["oneglance_frames_captured_total", "cam0"] == 89
    assert samples["oneglance_frames_dropped_total", "cam0"] == totals.dropped == 0
    assert samples["oneglance_decisions_total", "accepted"] == 1
    assert samples["oneglance_decisions_total", "rejected"] == 1
    assert samples["oneglance_rejections_total", "not_recognised"] == 1
    assert samples["oneglance_faces_encoded_total", ""] == totals.faces_encoded
    assert samples["oneglance_stage_seconds_count", STAGES[0]] == 89
    assert samples["oneglance_camera_up", "cam0"] == 1
    assert samples["oneglance_ready", ""] == 1
    families = {family.name for family in text_string_to_metric_families(text)}
    for file in ("prometheus/alerts.yml", "grafana/oneglance.json"):
        asked = re.findall(r"\b(?:oneglance|process)_[a-z_]+\b", (SYSTEMD / file).read_text())
        names = {re.sub("_(total|bucket)$", "", name) for name in asked}
        assert names
        assert names <= families, f"{file} asks for what there is not"
    assert "obama" not in text.lower()


def collected(
    name: str, notice: Notice, rejected_for: Counter[str], broken_off_for: Counter[str]
) -> list[Sample]:
    """The samples of this name of a daemon that has seen nobody else."""
    parts = SimpleNamespace(
        cameras=[],
        exchange={},
        counts=Counts(),
        vision=SimpleNamespace(
            accepted=0,
            rejected=rejected_for.total(),
            rejected_for=rejected_for,
            broken_off_for=broken_off_for,
            problems=(),
        ),
        times=StageTimes(STAGES),
        tally=Tally(None),
        notice=notice,
    )
    families = LoopCollector(parts).collect()  # type: ignore[arg-type]
    return [sample for family in families for sample in family.samples if sample.name == name]


def test_a_reason_that_lets_everybody_in_is_told_as_well() -> None:
    notice = Notice()
    notice.standing = Standing(reasons=("sharing_replayed", "camera_slow:yard"), connected=True)
    samples = collected("oneglance_reason", notice, Counter(), Counter())
    told = {(sample.labels["reason"], sample.labels["camera"]) for sample in samples}
    assert told == {("sharing_replayed", ""), ("camera_slow", "yard")}


def test_what_was_taken_away_before_it_was_refused_raises_the_alarm_as_well() -> None:
    refused = Counter(presentation_attack=2)
    in_time = Counter(presentation_attack=1, challenge_ignored=1)
    samples = collected("oneglance_rejections_total", Notice(), refused, in_time)
    told = {sample.labels["reason"]: sample.value for sample in samples}
    assert told == {"presentation_attack": 3, "challenge_ignored": 1}


def test_each_reason_of_something_put_back_or_stale_has_its_alert() -> None:
    rules = (SYSTEMD / "prometheus/alerts.yml").read_text()
    watched = re.findall(r'oneglance_reason{reason=~"([^"]+)"}', rules)
    words = [reason.name for reason in REASONS]
    named = {word: [bool(re.fullmatch(rule, word)) for rule in watched] for word in words}
    for word in ("credentials_restored", "gallery_restored", "sharing_replayed", "audit_tampered"):
        assert named[word] == [True, False], word
    for word in ("gallery_stale", "sharing_error", "sharing_incomplete", "sharing_model"):
        assert named[word] == [False, True], word
    # No rule waits for a word that is never said.
    for rule in watched:
        for part in rule.replace("sharing_(error|incomplete|model)", "sharing_error").split("|"):
            assert any(re.fullmatch(part, word) for word in words), part


@pytest.mark.parametrize(
    ("changes", "ready"),
    [
        ({"reasons": ("decisions_refused",)}, False),
        ({}, True),
        ({"reasons": ("camera_fast:a", "camera_lost:b", "credentials_error")}, True),
        ({"reasons": ("camera_dark:a", "camera_lost:b")}, False),
        ({"reasons": ("gallery_empty",), "problems": ("gallery_empty",)}, False),
        ({"reasons": ("starting",)}, False),
        ({"connected": False}, False),
        ({"cameras": ()}, False),
    ],
)
def test_it_is_ready_when_somebody_can_be_let_in(changes: dict[str, Any], ready: bool) -> None:
    standing = Standing(reasons=(), cameras=("a", "b"), connected=True)
    assert replace(standing, **changes).ready == ready
    assert not Standing().ready


def test_it_says_whether_it_works_and_whether_somebody_can_be_let_in(
    house: Callable[..., Config],
    film: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Wait,
) -> None:
    def of(place: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{place}", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()) if error.code == 503 else {}

    port = free_port()
    with paused(house(film(), metrics=MetricsConfig(port=port)), last=5):
        assert of("healthz")[0] == 200
        wait_until(
            lambda: of("readyz") == (503, {"ok": False, "state": "degraded", "reasons": [EMPTY]}),
            "it says that nobody is enrolled",
        )
        assert of("")[0] == 404
        # The loop is held, as by a driver that never returns.
        monkeypatch.setattr(metrics_module, "HANGS_AFTER_S", 0.0)
        assert of("healthz")[0] == 503


def test_top_shows_a_running_daemon(
    house: Callable[..., Config], film: Callable[..., Path]
) -> None:
    port = free_port()
    with paused(house(film(), metrics=MetricsConfig(port=port)), last=5):
        arguments = ["top", "--port", str(port), "--json", "--count", "1", "--interval", "0.1"]
        view = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert [(c["camera"], c["up"]) for c in view["cameras"]] == [("cam0", True)]
    assert view["stages"][0]["stage"] == STAGES[0]
    assert view["memory_mb"] > 10


def test_the_endpoint_answers_on_this_machine_only(
    house: Callable[..., Config], film: Callable[..., Path]
) -> None:
    port = free_port()
    with paused(house(film(), metrics=MetricsConfig(port=port)), last=11):
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        local = [row.split()[1] for row in rows if row.split()[3] == "0A"]
        assert [a for a in local if a.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_without_a_port_nothing_listens(
    house: Callable[..., Config], film: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something listens")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    totals = Daemon(house(film()), mqtt=False).run()
    assert totals.frames == 12


def test_a_port_in_use_ends_the_start_with_one_clear_error(
    house: Callable[..., Config], film: Callable[..., Path]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = house(film(), metrics=MetricsConfig(port=port))
        with pytest.raises(ConfigError, match=f"metrics.port = {port}"):
            Daemon(config, mqtt=False).run()
