"""What liveness costs beside one pass of the encoder, in one run: medians, and their ratios.

Each frame of a made visit goes through all steps in turn: encode, see, look (which includes the
texture network, though not in every look: hence the means), judge. The encoder passes are of both
variants, float32 and int8, whichever the daemon runs. Times are the processor's, on this machine;
the ratios are what counts.

With `--service` the whole daemon instead, once with the policy `off` and once with `passive`, in
turn: processor time until READY, and while it watches an empty hallway.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from clips import as_avi
from films import hall_film
from service import house, run_service

from oneglance.cli.photos import fetch_photos, photo_folder
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness.judge import load_liveness
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image
from oneglance.training.liveness.portrait import read_portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import JUDGE

FPS = 15.0
WATCH_S = 12.0


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--service", type=int, metavar="ROUNDS", help="the whole daemon, so often")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.service:
        whole_service(options.service)
        return
    cv2.setNumThreads(1)
    fetch_photos()
    model, detector, liveness = load_model(), FaceDetector(), load_liveness()
    small = load_model(variant="int8")
    spent: dict[str, list[float]] = {
        name: [] for name in ("encode", "encode int8", "see", "look", "judge")
    }

    def timed(name: str, work: Callable[..., object], *given: object) -> None:
        began_s = time.process_time()
        work(*given)
        spent[name].append(1000 * (time.process_time() - began_s))

    rng = np.random.default_rng(3)
    picture = load_image(photo_folder() / "obama2.jpg")
    portrait = read_portrait(picture, person="obama", detector=detector, model=model)
    if portrait is None:
        raise SystemExit("no face in the photograph")
    for _ in range(options.films):
        film = render("visit", [portrait], [], JUDGE, rng, seconds=3.0, fps=FPS)
        trace = Trace()
        for frame, points, at_s in zip(film.frames, film.points, film.at_s.tolist(), strict=True):
            chip = chip_from_points(frame, points)[np.newaxis]
            timed("encode", model.encode, chip)
            timed("encode int8", small.encode, chip)
            timed("see", trace.see, frame, points, at_s)
            timed("look", liveness.look, trace, frame, points, at_s)
            timed("judge", liveness.judge, trace, at_s)
    encode_ms = statistics.median(spent["encode"])
    int8_ms = statistics.fmean(spent["encode int8"])
    told = {
        name: {
            "median_ms": round(statistics.median(times), 3),
            "mean_ms": round(statistics.fmean(times), 3),
            "mean_of_encode": round(statistics.fmean(times) / statistics.fmean(spent["encode"]), 3),
            "median_of_encode": round(statistics.median(times) / encode_ms, 3),
            "mean_of_int8": round(statistics.fmean(times) / int8_ms, 3),
            "interval_of_encode": interval(times, spent["encode"]),
            "interval_of_int8": interval(times, spent["encode int8"]),
            "frames": len(times),
        }
        for name, times in spent.items()
    }
    if options.json:
        print(json.dumps({"liveness_cost": told}, indent=1))
        return
    for name, figures in told.items():
        print(
            f"{name:11} median {figures['median_ms']:7.3f} ms, mean {figures['mean_ms']:7.3f} ms,"
            f" {figures['mean_of_encode']:6.1%} {figures['interval_of_encode']} of a float32 pass,"
            f" {figures['mean_of_int8']:6.1%} {figures['interval_of_int8']} of an int8 one"
            f" (means, n = {len(spent[name])})"
        )


def interval(times: list[float], of: list[float]) -> list[float]:
    """The 95 % interval of the ratio of two means: 2,000 bootstrap samples of the frames."""
    chosen = np.random.default_rng(0).integers(0, len(times), (2000, len(times)))
    ratios = np.array(times)[chosen].mean(1) / np.array(of)[chosen].mean(1)
    return [round(float(edge), 3) for edge in np.quantile(ratios, [0.025, 0.975])]


def whole_service(rounds: int) -> None:
    """READY and an empty hallway, without liveness and with it: medians, all runs, ratios."""
    ready: dict[str, list[float]] = {"off": [], "passive": []}
    hall: dict[str, list[float]] = {"off": [], "passive": []}
    core = min(os.sched_getaffinity(0))
    with TemporaryDirectory(prefix="oneglance-liveness-") as folder:
        clip = hall_film(Path(folder) / "hall", (640, 480), FPS, WATCH_S + 2, seed=9)
        film = as_avi(clip, Path(folder) / "hall.avi")
        with house(Path(folder) / "house", load_model(), []) as home:
            for number in range(rounds):
                # The first one has colder caches, so each is first as often as the other.
                for policy in sorted(ready, reverse=bool(number % 2)):
                    run = run_service(home.config(film, policy), WATCH_S, core)
                    ready[policy].append(run.ready_cpu_s)
                    hall[policy].append(run.cpu_percent)
    for what, found, unit in (("READY, processor", ready, "s"), ("empty hallway", hall, "%")):
        off, passive = (statistics.median(found[policy]) for policy in ("off", "passive"))
        print(f"{what}: off {off:.3g} {unit}, passive {passive:.3g} {unit}, {passive / off:.2f}x")
        print("  " + json.dumps({k: [round(v, 3) for v in runs] for k, runs in found.items()}))


if __name__ == "__main__":
    main()
