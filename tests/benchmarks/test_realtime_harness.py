"""The harness: a child with the real pipeline, the encoder's work, targets, and the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child import Server, central
from clips import ClipWriter, Visit
from films import Head, heads_in, people, visits_film
from floor import macs
from measure import Child, enrol, missed_in, quantiles_ms, watch
from page import BEGIN, END, write_page
from targets import TARGETS, goals_of

from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import read_manifest
from oneglance.models import model_dir


@pytest.fixture(scope="module")
def heads(photos: Path) -> list[Head]:
    return heads_in(photos, load_model())


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Child]:
    child = Child("ours", Path(sys.executable), tmp_path, None, tmp_path / "log")
    yield child
    child.stop()


def test_the_real_pipeline_in_a_child_sees_decides_and_is_timed(
    tmp_path: Path, ours: Child, heads: list[Head]
) -> None:
    clip = visits_film(tmp_path / "visit", heads[:1], 1, (640, 480), 15.0, seed=2)
    enrol(ours, people(heads))
    found = watch({"ours": ours}, clip, {"ours": 1}, rounds=1)["ours"]
    assert found["frames_looked_at"] == len(clip)
    assert found["ms_per_frame"] > 0
    seen = found["seen"]
    first = round(clip.visits[0].first_sight_s * clip.fps)
    assert not any(seen[i] for i in range(first - 6))
    assert sum(bool(seen[i]) for i in range(first, len(clip))) >= 8
    assert sum(face["accepted"] for faces in seen.values() for face in faces) == 1
    answer = ours.ask("live", clip=str(clip.path), only_visits=False)
    assert answer["waits_s"][0] is not None
    frontal = {i: [face | {"frontal": True} for face in faces] for i, faces in seen.items()}
    assert missed_in(clip, frontal, seen).missed_face_frames == 0


def test_photographs_of_one_person_have_one_name(heads: list[Head]) -> None:
    names = [head.name for head in heads]
    assert "obama2" not in names
    assert {"obama", "biden", "astronaut"} == set(names)
    assert [head.name for head in people(heads)] == list(dict.fromkeys(names))


def test_a_child_that_dies_says_why(ours: Child) -> None:
    with pytest.raises(RuntimeError, match="do_nonsense"):
        ours.ask("nonsense")


class Slow:
    """A contender that always sees a face, and needs no time of its own."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def reset(self, names: list[str]) -> None:
        pass

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        self.at.append(at_s)
        return [{"box": [0, 0, 64, 64]}]


def test_a_slow_contender_drops_frames_and_decides_at_its_third_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ClipWriter(tmp_path / "clip", 10.0)
    for _ in range(20):
        writer.add(np.zeros((48, 64, 3), np.uint8))
    writer.visits.append(Visit("ada", 0.0, 2.0))
    writer.close()
    clock = iter(np.arange(0, 100, 0.25))
    monkeypatch.setattr("child.time.process_time", lambda: float(next(clock)))
    slow = Slow()
    answer = Server(slow).answer(  # type: ignore[arg-type]
        {"do": "live", "clip": str(tmp_path / "clip"), "only_visits": False}
    )
    assert slow.at[:3] == [0.0, 0.2, 0.5]
    assert answer["waits_s"] == [pytest.approx(0.75)]
    assert answer["dropped"] == 20 - len(slow.at)


def test_a_visit_without_a_decision_waits_for_ever() -> None:
    assert quantiles_ms([0.1] * 19 + [None]) == {
        "p50_ms": 100.0,
        "p95_ms": 100.0,
        "visits": 20,
        "undecided": 1,
    }
    assert quantiles_ms([0.1] * 18 + [None] * 2)["p95_ms"] is None


@pytest.mark.parametrize(
    ("boxes", "best"), [([], None), ([[0, 0, 60, 60], [90, 90, 60, 60]], 1), ([[0, 0, 9, 9]], 0)]
)
def test_the_central_face_is_large_and_near_the_middle(
    boxes: list[list[float]], best: int | None
) -> None:
    assert central((250, 250), boxes) == best


def test_the_work_of_the_encoder_is_counted_from_its_own_shapes() -> None:
    # MobileFaceNet (Chen et al., 2018) has 221 million at 128 values, 112 px.
    for name, trunks in (("mobileface-small", 1), ("mobileface-3", 2)):
        folder = model_dir(name)
        work = macs(folder / read_manifest(folder).encoder.name, "encode")
        assert trunks * 200e6 < work < trunks * 260e6


def results(**changes: float | None) -> dict[str, Any]:
    def cost(seconds: float) -> dict[str, float]:
        return {
            "cpu_s_per_video_s": seconds,
            "ms_per_frame": 1.0,
            "fps_one_core": 1.0,
            "faces_per_frame": 1.0,
        }

    parts = {"compare_s": 0.001, "encode_s": 0.002, "probes_per_s": 300.0}
    contenders = {"face_recognition": cost(2.0), "blazeface": cost(0.4), "ours": cost(0.1)}
    frontal = {"p50_ms": 110.0, "p95_ms": changes.get("p95_ms", 150.0), "visits": 4, "undecided": 0}
    decided = {"frontal": frontal, "tilted": quantiles_ms([])}
    return {
        "made_at": "2026-01-01T00:00:00+00:00",
        "minutes": 9.0,
        "machine": dict.fromkeys(("cpu", "cores", "system", "python", "opencv"), "x")
        | {"load_average_before": [0.1]},
        "clips": {
            "door": {"fps": 15.0, "contenders": contenders},
            "empty hallway": {"fps": 15.0, "contenders": {"ours": cost(0.02)}},
        },
        "missed": {
            "all": {
                "visits": 4,
                "missed_visits": 0,
                "face_frames": 200,
                "missed_face_frames": changes.get("missed", 20),
            }
        },
        "live": {"ours": decided},
        "probes": {
            "ours": {"50": parts, "100000": parts},
            "tutorial": {"50": parts | {"probes_per_s": 0.3}},
        },
        "service": {
            "ready_s": [0.9, 0.7],
            "peak_mb": 130.0,
            "one_face_core_percent": 9.0,
            "empty_hall_core_percent": 4.0,
            "decisions": decided,
        },
        "encoder": {
            "macs": 2e8,
            "encode_ms": 2.0,
            "peak_gmacs_per_s": 100.0,
            "floor_ms": 1.8,
            "encoder_over_floor": 1.1,
        },
        "accuracy": {},
        "peak_mb": {"ours": 150.0},
        "start_s": {"ours": 0.5},
    }


def test_goals_are_ratios_of_ours_over_theirs() -> None:
    goals = goals_of(results())
    assert goals.keys() == TARGETS.keys()
    assert goals["cpu_ratio_vs_blazeface_mobilefacenet"] == 0.25
    assert goals["cpu_ratio_vs_face_recognition"] == 0.05
    assert goals["empty_hall_core_percent"] == 2.0
    assert goals["decision_p95_over_3_frames_ms"] == 50.0
    assert goals["gallery_100k_over_encode"] == 0.5
    assert goals["tutorial_speedup"] == 1000.0
    assert goals["ready_s"] == 0.7
    assert goals["missed_face_frames_percent"] == 10.0


def test_the_page_says_which_goals_are_missed_and_keeps_what_stands_around(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    measured = results(p95_ms=None)
    write_page({**measured, "goals": goals_of(measured)}, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    lines = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if "| at " in line}
    assert "**missed**" in lines["cpu_ratio_vs_blazeface_mobilefacenet"]
    assert "reached" in lines["tutorial_speedup"]
    assert "| none |" in lines["decision_p95_over_3_frames_ms"]
    assert "**missed**" in lines["decision_p95_over_3_frames_ms"]


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="marks"):
        write_page(results(), page)
    assert page.read_text() == "nothing"
