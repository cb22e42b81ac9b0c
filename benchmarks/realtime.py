"""Oneglance beside its peers, on the same frames, in one run.

python benchmarks/realtime.py --data DATA [--quick] [--photos DIR_OR_ZIP] [--clip FILM ...]

DATA holds family_photos.zip, hamilton_clip.mp4, lfw_folds1-8.zip, lfw_pairs_folds1-8.csv and
MobileFaceNet.tflite. The peers live in an environment that benchmarks/peers-environment.sh makes.
Writes benchmarks/results.json and the section "Real time" of docs/benchmarks/speed.md (not with
--quick); films are made in a scratch folder and thrown away. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import films
import service
from clips import Clip, as_avi
from films import Head
from measure import (
    Child,
    accuracies,
    decisions,
    encoder_over_floor,
    enrol,
    missed_in,
    probe,
    watch,
)
from missed import Missed
from page import write_page
from targets import goals_of

from oneglance.faces.evaluation.listed_pairs import Pair, read_pairs
from oneglance.faces.model.face_model import load_model
from oneglance.faces.pictures import Pictures

ROOT = Path(__file__).resolve().parent.parent
SMALL, LARGE = (640, 480), (1280, 720)
FPS, VISIT_FPS = 15.0, 30.0
PEERS = ("face_recognition", "blazeface")
# dlib takes a tenth of a second a frame, more on large ones: it looks at every n-th frame.
DLIB_STRIDE, DLIB_LARGE_STRIDE = 5, 15
# Portraits from which the distribution of templates in a large gallery is learnt.
STRANGERS = 200
GALLERIES = (10, 50, 1_000, 100_000)


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    people: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    hall_s: float
    visits: int
    pairs: int | None
    starts: int
    probe_rounds: int


FULL = Plan(2, 10.0, (1, 2, 4), (SMALL, LARGE), 20.0, 24, None, 5, 4)
QUICK = Plan(1, 6.0, (1, 2), (SMALL,), 8.0, 8, 120, 2, 2)


def make_clips(
    plan: Plan, heads: Sequence[Head], films_given: Sequence[Path], folder: Path
) -> dict[str, Clip]:
    """Make all films of a run."""
    people = films.people(heads)
    clips: dict[str, Clip] = {}
    for size in plan.sizes:
        for count in plan.people:
            name = f"door, {count} face{'s' * (count > 1)}, {size[0]}x{size[1]}"
            here = [people[i % len(people)] for i in range(count)]
            path = folder / f"door-{count}-{size[1]}"
            clips[name] = films.door_film(path, here, size, FPS, plan.seconds, seed=count)
    hall = films.hall_film(folder / "hall", SMALL, FPS, plan.hall_s, seed=9)
    clips[f"empty hallway, {SMALL[0]}x{SMALL[1]}"] = hall
    for number, film in enumerate(films_given):
        clips[film.name] = films.recorded(folder / f"given-{number}", film)
    return clips


def in_view(
    plan: Plan, children: dict[str, Child], clips: dict[str, Clip]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every contender on every clip, and whom we miss."""
    by_clip: dict[str, Any] = {}
    missed: dict[str, Any] = {}
    whole = Missed(0, 0, 0, 0)
    for number, (name, clip) in enumerate(clips.items()):
        say(f"watching: {name}")
        stride = DLIB_STRIDE if clip.size[0] <= SMALL[0] else DLIB_LARGE_STRIDE
        strides = {"face_recognition": stride, "blazeface": 1, "ours": 1}
        found = watch(children, clip, strides, plan.rounds)
        if number == 0:
            # Where a frame takes a second, four frames say as much as all.
            few = {"tutorial": max(1, len(clip) // 4)}
            found |= watch(children, clip, few, 1)
        here = missed_in(clip, found["blazeface"]["seen"], found["ours"]["seen"])
        missed[name] = asdict(here)
        whole += here
        by_clip[name] = {
            "fps": clip.fps,
            "seconds": round(clip.seconds, 2),
            "contenders": {
                who: {key: value for key, value in figures.items() if key != "seen"}
                for who, figures in found.items()
            },
        }
    missed["all"] = asdict(whole)
    return by_clip, missed


def serve(
    plan: Plan, folder: Path, heads: Sequence[Head], clips: dict[str, Clip], visits: Clip, core: int
) -> dict[str, Any]:
    """The service as a process: start, memory, processor, and decisions heard on the wire."""
    model = load_model()
    one, *_ = clips
    empty = next(name for name in clips if name.startswith("empty"))
    with service.house(folder / "house", model, films.people(heads)) as house:
        say("the service: start, memory")
        face = as_avi(clips[one], folder / "face.avi")
        watch_s = clips[one].seconds - 1.0
        runs = [
            service.run_service(house.config(face), watch_s if i == 0 else 0.5, core)
            for i in range(plan.starts)
        ]
        hall = as_avi(clips[empty], folder / "hall.avi")
        quiet = service.run_service(house.config(hall), clips[empty].seconds - 1.0, core)
        say("the service: decisions heard")
        film = as_avi(visits, folder / "visits.avi")
        heard, dropped = service.decisions_heard(house.config(film), house.mqtt, core)
    waits: list[float | None] = []
    for visit in visits.visits:
        here = [h.at_s for h in heard if visit.first_sight_s <= h.at_s <= visit.gone_s + 1.5]
        waits.append(min(here) - visit.first_sight_s if here else None)
    return {
        "ready_s": [round(run.ready_s, 3) for run in runs],
        "peak_mb": round(max(run.peak_mb for run in (*runs, quiet)), 1),
        "one_face_core_percent": round(runs[0].cpu_percent, 2),
        "empty_hall_core_percent": round(quiet.cpu_percent, 2),
        "decisions": decisions(visits.visits, waits) | {"dropped_frames": dropped},
        "accepted": sum(h.accepted for h in heard),
        "rejected": sum(not h.accepted for h in heard),
    }


def measure(chosen: argparse.Namespace, folder: Path, children: dict[str, Child]) -> dict[str, Any]:
    """Everything, in order."""
    plan, core = QUICK if chosen.quick else FULL, chosen.core
    photos = chosen.photos or chosen.data / "family_photos.zip"
    films_given = chosen.clip or [chosen.data / "hamilton_clip.mp4"]
    say("making films")
    heads = films.heads_in(photos, load_model())
    clips = make_clips(plan, heads, films_given, folder)
    visits = films.visits_film(folder / "visits", heads, plan.visits, SMALL, VISIT_FPS, seed=5)
    enrol(children["ours"], films.people(heads))
    by_clip, missed = in_view(plan, children, clips)
    peaks = {name: round(child.ask("peak"), 1) for name, child in children.items()}
    live = {}
    for name in (*PEERS, "ours"):
        say(f"from first sight to decision: {name}")
        forgets = name != "ours"
        answer = children[name].ask("live", clip=str(visits.path), only_visits=forgets)
        live[name] = decisions(visits.visits, answer["waits_s"]) | {
            "dropped_frames": answer["dropped"]
        }
    say("one visitor against galleries")
    images = chosen.data / "lfw_folds1-8.zip"
    pairs = labelled_pairs(images, chosen.data / "lfw_pairs_folds1-8.csv")
    some = sorted({pair.image_a for pair in pairs})[:STRANGERS]
    children["ours"].ask("strangers", images=str(images), names=some)
    three = {name: children[name] for name in (*PEERS, "ours")}
    probes = probe(three, GALLERIES, plan.probe_rounds)
    probes |= probe({"tutorial": children["tutorial"]}, (50,), 1)
    children["tutorial"].stop()
    served = serve(plan, folder, heads, clips, visits, core)
    say("the encoder's floor")
    floor = encoder_over_floor(core)
    say("accuracy on labelled pairs")
    if plan.pairs is not None:
        pairs = pairs[:: len(pairs) // plan.pairs]
    cores = sorted(os.sched_getaffinity(0))
    accuracy = accuracies(three, images, pairs, (cores[0], cores[-1]))
    return {
        "clips": by_clip,
        "missed": missed,
        "live": live,
        "probes": probes,
        "service": served,
        "encoder": floor,
        "accuracy": accuracy,
        "peak_mb": peaks,
        "start_s": {name: round(child.start_s, 2) for name, child in children.items()},
    }


def labelled_pairs(images: Path, listed: Path) -> list[Pair]:
    """The official pairs of folds 7 and 8."""
    pictures = Pictures(images)
    pairs = [pair for pair in read_pairs(listed, pictures) if pair.fold in (7, 8)]
    pictures.close()
    return pairs


def machine(core: int, load_before: Sequence[float]) -> dict[str, Any]:
    """What machine it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads_each": 1,
        "core_used": core,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "load_average_before": [round(load, 2) for load in load_before],
        "load_average_after": [round(load, 2) for load in os.getloadavg()],
    }


def say(what: str) -> None:
    """Report progress."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="portraits, in a folder or zip")
    parser.add_argument(
        "--clip", type=Path, action="append", help="a film; may be given repeatedly"
    )
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a look")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=None, help="the JSON file")
    chosen = parser.parse_args()
    load = os.getloadavg()
    start_s = time.monotonic()
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="oneglance-bench-")))
        children = {}
        for name in (*PEERS, "tutorial", "ours"):
            say(f"starting {name}")
            python = chosen.peers / "bin/python" if name in PEERS else Path(sys.executable)
            log = folder / f"{name}.log"
            children[name] = Child(name, python, chosen.data, chosen.core, log)
            parts.callback(children[name].stop)
        results = measure(chosen, folder, children)
    results = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": chosen.quick,
        "minutes": round((time.monotonic() - start_s) / 60, 1),
        "machine": machine(chosen.core, load),
        "versions": {name: child.versions for name, child in children.items()},
        "goals": goals_of(results),
        **results,
    }
    quiet = statistics.median(load) < os.cpu_count() if os.cpu_count() else True
    if not quiet:
        say("other programs kept this machine busy: take wall-clock figures with care")
    default = ROOT / ("bench-quick.json" if chosen.quick else "benchmarks/results.json")
    out = chosen.out or default
    # What other benchmarks have written there (attacks.py) stays.
    before = json.loads(out.read_text("utf-8")) if out.exists() else {}
    out.write_text(json.dumps({**before, **results}, indent=2) + "\n")
    say(f"written: {out}")
    if not chosen.quick:
        write_page(results, ROOT / "docs/benchmarks/speed.md")
    for name, goal in results["goals"].items():
        print(f"{name:<42} {goal}")


if __name__ == "__main__":
    main()
