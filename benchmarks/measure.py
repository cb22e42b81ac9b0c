"""The steps of the real-time benchmark: children asked in turn, and their answers evaluated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from child import EVIDENCE_FRAMES
from clips import Clip, Visit
from films import Head
from missed import Missed, count_missed
from numpy.typing import NDArray

from oneglance.faces.evaluation.listed_pairs import Pair
from oneglance.faces.evaluation.metrics import fold_accuracies
from oneglance.faces.find.boxes import Box

HERE = Path(__file__).parent
CHUNK_S = 2.0
# One thread for every contender; OpenBLAS may use this core's own vectors, as it does elsewhere.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"},
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Child:
    """One contender in its own process; `ask` waits for its answer."""

    def __init__(self, name: str, python: Path, data: Path, core: int | None, log: Path) -> None:
        self.name = name
        start_s = time.monotonic()
        pinned = () if core is None else ("--core", str(core))
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [python, HERE / "child.py", name, "--data", data, *pinned],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=ENVIRONMENT,
                text=True,
            )
        self._log = log
        self.versions: dict[str, str] = self.ask("hello")
        self.start_s = time.monotonic() - start_s

    def ask(self, what: str, **values: Any) -> Any:
        """Send one request; RuntimeError with the child's last words if it has died."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError(f"{self.name} has no pipes")
        try:
            pipe_in.write(json.dumps({"do": what, **values}) + "\n")
            pipe_in.flush()
        except BrokenPipeError:
            pass
        line = pipe_out.readline()
        if not line:
            last = "\n".join(self._log.read_text().splitlines()[-8:])
            raise RuntimeError(f"{self.name} has died:\n{last}")
        return json.loads(line)

    def move(self, core: int) -> None:
        """Move all its threads to another core."""
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})

    def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def watch(
    children: Mapping[str, Child], clip: Clip, strides: Mapping[str, int], rounds: int
) -> dict[str, dict[str, Any]]:
    """Every contender watches the clip, two seconds of it at a time, in turn.

    A contender without memory may look at every n-th frame only (`strides`): its cost per frame is
    the same. Of several rounds the least for each piece counts. Returns for each contender
    {"cpu_s_per_video_s", "ms_per_frame", "fps_one_core", "seen": faces by frame}.
    """
    step = max(1, round(CHUNK_S * clip.fps))
    pieces: dict[str, dict[int, list[float]]] = {name: {} for name in strides}
    frames: dict[str, dict[int, int]] = {name: {} for name in strides}
    seen: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in strides}
    for number in range(rounds):
        for start in range(0, len(clip), step):
            order = list(strides)
            for name in order if number % 2 == 0 else reversed(order):
                stride = strides[name]
                first = -(-start // stride) * stride
                stop = min(start + step, len(clip))
                if first >= stop:
                    continue
                answer = children[name].ask(
                    "watch",
                    clip=str(clip.path),
                    start=first,
                    stop=stop,
                    stride=stride,
                    reset=start == 0,
                )
                pieces[name].setdefault(start, []).append(answer["cpu_s"])
                frames[name][start] = answer["frames"]
                seen[name].update(zip(range(first, stop, stride), answer["seen"], strict=True))
    found = {}
    for name in strides:
        cpu_s = sum(min(times) for times in pieces[name].values())
        a_frame_s = cpu_s / sum(frames[name].values())
        found[name] = {
            "cpu_s_per_video_s": round(a_frame_s * clip.fps, 5),
            "ms_per_frame": round(1e3 * a_frame_s, 3),
            "fps_one_core": round(1 / a_frame_s, 1),
            "frames_looked_at": sum(frames[name].values()),
            "faces_per_frame": round(float(np.mean([len(f) for f in seen[name].values()])), 3),
            "seen": seen[name],
        }
    return found


def missed_in(clip: Clip, theirs: Mapping[int, Any], ours: Mapping[int, Any]) -> Missed:
    """What the reference sees in this clip and we do not."""
    return count_missed(
        [[_box(f) for f in theirs[i] if f["frontal"]] for i in range(len(clip))],
        [[_box(f) for f in ours[i]] for i in range(len(clip))],
        clip.fps,
        needed=EVIDENCE_FRAMES,
    )


def _box(face: Mapping[str, Any]) -> Box:
    return Box(*face["box"])


def quantiles_ms(waits_s: Sequence[float | None]) -> dict[str, float | int | None]:
    """Median and 95th percentile; a visitor without a decision counts as waiting for ever."""
    if not waits_s:
        return {"p50_ms": None, "p95_ms": None, "visits": 0, "undecided": 0}
    waits = np.array([np.inf if wait is None else wait for wait in waits_s])
    ordered = np.sort(waits)

    def at(part: float) -> float | None:
        value = float(ordered[int(np.ceil(part * len(ordered))) - 1])
        return round(1e3 * value, 1) if np.isfinite(value) else None

    undecided = int(np.sum(~np.isfinite(waits)))
    return {"p50_ms": at(0.5), "p95_ms": at(0.95), "visits": len(waits), "undecided": undecided}


def decisions(visits: Sequence[Visit], waits_s: Sequence[float | None]) -> dict[str, Any]:
    """How long frontal visitors waited, and, separately, those who tilt their heads."""
    pairs = list(zip(visits, waits_s, strict=True))
    return {
        "frontal": quantiles_ms([wait for visit, wait in pairs if visit.frontal]),
        "tilted": quantiles_ms([wait for visit, wait in pairs if not visit.frontal]),
    }


def probe(
    children: Mapping[str, Child], sizes: Sequence[int], rounds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """The cost of checking a visitor against N templates: the least of each part, in turn."""
    best: dict[str, dict[str, dict[str, float]]] = {name: {} for name in children}
    for _ in range(rounds):
        for size in sizes:
            for name, child in children.items():
                took = child.ask("probe", size=size, seconds=0.4)
                before = best[name].setdefault(str(size), dict(took))
                for part, seconds in took.items():
                    before[part] = min(before[part], seconds)
    for by_size in best.values():
        for parts in by_size.values():
            whole_s = sum(parts.values())
            parts["probes_per_s"] = round(1 / whole_s, 3)
    return best


def accuracies(
    children: Mapping[str, Child], images: Path, pairs: Sequence[Pair], cores: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Each contender on the same pairs, with its own detector; the first on a core of its own.

    Accuracy by the fold protocol; a pair with a face that was not found counts as wrong.
    """
    names = list(children)
    lanes = [names[:1], names[1:]]
    for lane, core in zip(lanes, cores, strict=False):
        for name in lane:
            children[name].move(core)
    wanted = [(pair.image_a, pair.image_b) for pair in pairs]

    def work(lane: Sequence[str]) -> dict[str, Any]:
        return {
            name: children[name].ask("pairs", images=str(images), pairs=wanted) for name in lane
        }

    with ThreadPoolExecutor(len(lanes)) as pool:
        answers = {name: a for part in pool.map(work, lanes) for name, a in part.items()}
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    figures = {}
    for name, answer in answers.items():
        scores: NDArray[np.float64] = np.array(answer["scores"], np.float64)
        by_fold, _ = fold_accuracies(scores, same, folds, ~np.isnan(scores))
        accuracy = float(by_fold.mean())
        figures[name] = {
            "accuracy": round(accuracy, 4),
            "standard_error": round(float(np.sqrt(accuracy * (1 - accuracy) / len(pairs))), 4),
            "pairs": len(pairs),
            "pictures": answer["pictures"],
            "not_acquired": answer["missed"],
            "cpu_ms_per_picture": round(1e3 * answer["cpu_s"] / answer["pictures"], 1),
        }
    return figures


def enrol(child: Child, heads: Sequence[Head]) -> None:
    """Take these people into the contender's gallery."""
    child.ask("enrol", people={head.name: head.template.tolist() for head in heads})


def encoder_over_floor(core: int) -> dict[str, float]:
    """The shipped encoder's time as a multiple of its floor, in a process of its own."""
    result = subprocess.run(
        [sys.executable, HERE / "floor.py", "--core", str(core)],
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(result.stdout)
    return figures
