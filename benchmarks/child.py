"""One contender in its own process and environment, asked line by line in JSON.

python benchmarks/child.py CONTENDER [--data DIR] [--core N]

It reads requests from standard input and answers each on standard output; what libraries print
goes to standard error. Needs nothing of oneglance, except where the contender is oneglance.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from clips import Clip, Visit

# A peer has decided once it has found the visitor in this many of the frames it looked at.
EVIDENCE_FRAMES = 3
CONTENDERS = ("face_recognition", "blazeface", "tutorial", "sface", "ours", "large")


class Contender(Protocol):
    """A way to watch a door. Frames are uint8 (H, W, 3) BGR."""

    def reset(self, names: list[str]) -> None:
        """Forget all frames; people of these names may come."""

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """Do all work on a frame: faces as {"box": [x, y, w, h], "frontal": bool, ...}.

        A face with "decided": true has just got its decision; without that key the caller counts.
        """

    def template(self, picture: Any) -> Any:
        """The central face of a portrait, encoded; None if none was found."""

    def score(self, one: Any, other: Any) -> float:
        """How alike two templates are, higher = more."""

    def probe(self, gallery_size: int) -> dict[str, float]:
        """Processor seconds of each part of checking one visitor against so many templates."""

    def versions(self) -> dict[str, str]:
        """What it is made of."""


class Server:
    """Answers requests about one contender."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._clips: dict[str, Clip] = {}

    def answer(self, request: dict[str, Any]) -> Any:
        """Handle one request."""
        work = dict(request)
        return getattr(self, f"do_{work.pop('do')}")(**work)

    def do_hello(self) -> dict[str, str]:
        """Versions."""
        return self._contender.versions()

    def do_watch(
        self, clip: str, start: int, stop: int, stride: int, reset: bool
    ) -> dict[str, Any]:
        """Frames start, start + stride, ... below `stop`, in turn, as fast as possible."""
        film = self._clip(clip)
        if reset:
            self._contender.reset([visit.person for visit in film.visits])
        cpu_s = wall_s = 0.0
        seen = []
        for index in range(start, min(stop, len(film)), stride):
            frame = film.frame(index)
            cpu, wall = time.process_time(), time.perf_counter()
            faces = self._contender.see(frame, index / film.fps, film.fps)
            cpu_s += time.process_time() - cpu
            wall_s += time.perf_counter() - wall
            seen.append(faces)
        return {"cpu_s": cpu_s, "wall_s": wall_s, "frames": len(seen), "seen": seen}

    def do_live(self, clip: str, only_visits: bool) -> dict[str, Any]:
        """The film in real time, where the newest frame wins: seconds from first sight to decision.

        `only_visits` leaves the empty hallway out, for contenders that remember nothing of it.

        Time is simulated: it stands still while a frame is decoded, and goes on by the processor
        time of the work on a frame; a frame that a newer one overtook is dropped.
        """
        film = self._clip(clip)
        self._contender.reset([visit.person for visit in film.visits])
        now_s, index, dropped = 0.0, 0, 0
        waits: list[float | None] = [None] * len(film.visits)
        found = [0] * len(film.visits)
        while index < len(film):
            here = [v for v in film.visits if _about(v, index / film.fps)]
            if only_visits and not here:
                index += 1
                continue
            newest = min(len(film) - 1, max(index, int(now_s * film.fps)))
            dropped += newest - index
            now_s = max(now_s, newest / film.fps)
            frame = film.frame(newest)
            start = time.process_time()
            faces = self._contender.see(frame, newest / film.fps, film.fps)
            now_s += time.process_time() - start
            for number, visit in enumerate(film.visits):
                if not _about(visit, newest / film.fps):
                    continue
                found[number] += bool(faces)
                decided = any(f.get("decided", found[number] >= EVIDENCE_FRAMES) for f in faces)
                if decided and waits[number] is None:
                    waits[number] = now_s - visit.first_sight_s
            index = newest + 1
        return {"waits_s": waits, "dropped": dropped}

    def do_pairs(self, images: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        """Scores of pairs of pictures in a zip; None where a face was not found."""
        names = sorted({name for pair in pairs for name in pair})
        templates = {}
        start = time.process_time()
        for name, picture in _pictures(images, names):
            templates[name] = self._contender.template(picture)
        scores: list[float | None] = []
        for one, other in pairs:
            a, b = templates[one], templates[other]
            both = a is not None and b is not None
            scores.append(float(self._contender.score(a, b)) if both else None)
        missed = sum(template is None for template in templates.values())
        cpu_s = time.process_time() - start
        return {"scores": scores, "pictures": len(names), "missed": missed, "cpu_s": cpu_s}

    def do_templates(self, images: str, names: list[str]) -> dict[str, Any]:
        """Templates of pictures in a zip; None where a face was not found."""
        start = time.process_time()
        found = [self._contender.template(picture) for _, picture in _pictures(images, names)]
        cpu_s = time.process_time() - start
        rows = [None if row is None else np.asarray(row).ravel().tolist() for row in found]
        return {"templates": rows, "cpu_s": cpu_s}

    def do_probe(self, size: int, seconds: float) -> dict[str, float]:
        """The least processor time of each part, repeated for `seconds`, at least twice."""
        best: dict[str, float] = {}
        end, rounds = time.perf_counter() + seconds, 0
        while rounds < 2 or time.perf_counter() < end:
            rounds += 1
            for part, took in self._contender.probe(size).items():
                best[part] = min(took, best.get(part, float("inf")))
        return best

    def do_enrol(self, people: dict[str, list[float]]) -> None:
        """Take people (name to template) into the gallery, where there is one."""
        enrol = getattr(self._contender, "enrol", None)
        if enrol is not None:
            enrol(people)

    def do_strangers(self, images: str, names: list[str]) -> None:
        """Portraits from which a contender that needs it makes up templates of strangers."""
        learn = getattr(self._contender, "strangers", None)
        if learn is not None:
            learn(picture for _, picture in _pictures(images, names))

    def do_peak(self) -> float:
        """The most memory this process held, in MB (10^6 bytes)."""
        return peak_mb(os.getpid())

    def _clip(self, path: str) -> Clip:
        if path not in self._clips:
            self._clips[path] = Clip(Path(path))
        return self._clips[path]


def _about(visit: Visit, at_s: float) -> bool:
    """Whether a decision at this time is about this visit; somebody steps in within 0.5 s."""
    return visit.first_sight_s - 0.5 <= at_s <= visit.gone_s + 1.0


def peak_mb(pid: int) -> float:
    """The peak of a process's resident memory since its start."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError("the kernel does not tell the peak of memory")


def _pictures(images: str, names: list[str]) -> Iterator[tuple[str, Any]]:
    """Pictures of a zip by name, uint8 (H, W, 3) BGR; they may lie in a folder of it."""
    with zipfile.ZipFile(images) as pack:
        there = {member.split("/", 1)[-1]: member for member in pack.namelist()}
        there |= {member: member for member in pack.namelist()}
        for name in names:
            data = np.frombuffer(pack.read(there[name]), np.uint8)
            yield name, cv2.imdecode(data, cv2.IMREAD_COLOR)


def central(size: tuple[int, int], boxes: list[list[float]]) -> int | None:
    """The box that a portrait is about, by the rule that oneglance uses; None without boxes."""

    def prominence(box: list[float]) -> float:
        x, y, width, height = box
        off = np.hypot(x + width / 2 - size[0] / 2, y + height / 2 - size[1] / 2)
        return float(width - 2 * off)

    return max(range(len(boxes)), key=lambda i: prominence(boxes[i]), default=None)


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--data", type=Path, help="folder with MobileFaceNet.tflite")
    parser.add_argument("--core", type=int, default=None)
    chosen = parser.parse_args()
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    # The pipe is for answers alone: whatever a library prints goes elsewhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cv2.setNumThreads(1)
    module = importlib.import_module(f"peers_{chosen.contender}")
    server = Server(module.build(chosen.data))
    for line in sys.stdin:
        json.dump(server.answer(json.loads(line)), answers)
        answers.write("\n")
        answers.flush()


if __name__ == "__main__":
    main()
