"""What `oneglance top` makes of two readings."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from oneglance.cli.main import app
from oneglance.cli.top_view import Reading, quantile_ms, render, view_of
from oneglance.errors import OneglanceError

INF = float("inf")


def reading(at_s: float, frames: float, find: dict[float, float], up: float = 1.0) -> Reading:
    return Reading(
        at_s,
        {
            ("oneglance_camera_up", "door"): up,
            ("oneglance_frames_captured_total", "door"): frames + 4,
            ("oneglance_frames_total", "door"): frames,
            ("oneglance_frames_dropped_total", "door"): 4.0,
            ("oneglance_in_view", "door"): 2.0,
            ("oneglance_stage_seconds_count", "find"): find.get(INF, 0.0),
            ("oneglance_stage_seconds_sum", "find"): frames * 0.01,
            ("oneglance_decisions_total", "accepted"): 3.0,
            ("process_cpu_seconds_total", ""): at_s / 4,
        },
        {"find": find},
    )


def test_rates_are_those_between_the_readings() -> None:
    before = reading(10.0, 100.0, {0.01: 90.0, INF: 100.0})
    now = reading(12.0, 130.0, {0.01: 120.0, INF: 130.0})
    view = view_of(before, now)
    (camera,), (stage,) = view.cameras, view.stages
    assert (camera.camera, camera.up, camera.in_view) == ("door", True, 2)
    assert (camera.captured_fps, camera.fps, camera.dropped_fps) == (15.0, 15.0, 0.0)
    assert (stage.stage, stage.calls_per_s) == ("find", 15.0)
    assert stage.core == pytest.approx(0.15)
    assert (view.cpu, view.accepted) == (0.25, 3)


def test_a_daemon_started_anew_counts_from_zero() -> None:
    before = reading(10.0, 1000.0, {0.01: 900.0, INF: 1000.0})
    now = reading(11.0, 20.0, {0.01: 20.0, INF: 20.0})
    view = view_of(before, now)
    assert view.cameras[0].fps == 20.0
    assert view.stages[0].calls_per_s == 20.0
    assert view.stages[0].p95_ms == pytest.approx(9.5)


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
def test_quantiles_rise_with_the_part_and_stay_within_the_bounds(
    counts: list[int], one: float, other: float
) -> None:
    cumulative, under = {}, 0.0
    for place, count in enumerate(counts):
        under += count
        cumulative[INF if place == len(counts) - 1 else 0.001 * 2**place] = under
    low, high = (quantile_ms(cumulative, part) for part in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert 0.0 <= low <= high <= 2 ** (len(counts) - 2)


def test_without_calls_there_is_no_quantile() -> None:
    assert quantile_ms({0.1: 0.0, INF: 0.0}, 0.5) is None


def test_the_screen_shows_a_camera_without_frames_and_what_keeps_the_door_shut() -> None:
    now = reading(12.0, 130.0, {0.01: 120.0, INF: 130.0}, up=0.0)
    now = Reading(
        now.at_s, {**now.samples, ("oneglance_problem", "gallery_empty"): 1.0}, now.buckets
    )
    out = io.StringIO()
    Console(file=out, width=100).print(render(view_of(reading(10.0, 100.0, {}), now), "here"))
    text = out.getvalue()
    assert "no frames" in text
    assert "gallery_empty" in text


class _Answer(BaseHTTPRequestHandler):
    body = b""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"# HELP x y\nx 1\n", "another program answers there"),
        (b"<html>hello</html>", "not the metrics of a daemon"),
        (b"\xff\xfe", "not the metrics of a daemon"),
    ],
)
def test_whoever_else_answers_is_one_clear_error(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, body: bytes, says: str
) -> None:
    monkeypatch.setattr(_Answer, "body", body)
    result = CliRunner().invoke(app, ["top", "--port", str(server.server_port)])
    assert isinstance(result.exception, OneglanceError)
    assert says in str(result.exception)


def test_nobody_there_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = CliRunner().invoke(app, ["top", "--port", str(taken.getsockname()[1])])
    assert isinstance(result.exception, OneglanceError)
    assert "does not answer" in str(result.exception)


def test_a_line_of_json_for_each_look(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Answer, "body", b'oneglance_camera_up{camera="door"} 1\n')
    port = str(server.server_port)
    result = CliRunner().invoke(
        app, ["top", "--port", port, "--json", "--count", "2", "--interval", "0.1"]
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["cameras"][0]["camera"] for line in lines] == ["door", "door"]
