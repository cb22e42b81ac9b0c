"""What liveness costs beside one pass of the encoder, in one run: medians, and their ratios.

Each frame of a made visit is worked on in turn: encode, see, look (of which the texture network is
a part, though not in every look: hence the means), judge. Absolute times are of this machine and
moment; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

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


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    fetch_photos()
    model, detector, liveness = load_model(), FaceDetector(), load_liveness()
    spent: dict[str, list[float]] = {"encode": [], "see": [], "look": [], "judge": []}

    def timed(name: str, work: Callable[..., object], *given: object) -> None:
        began_s = time.perf_counter()
        work(*given)
        spent[name].append(1000 * (time.perf_counter() - began_s))

    rng = np.random.default_rng(3)
    picture = load_image(photo_folder() / "obama2.jpg")
    portrait = read_portrait(picture, person="obama", detector=detector, model=model)
    if portrait is None:
        raise SystemExit("no face in the photograph")
    for _ in range(options.films):
        film = render("visit", [portrait], [], JUDGE, rng, seconds=3.0, fps=FPS)
        trace = Trace()
        for frame, points, at_s in zip(film.frames, film.points, film.at_s.tolist(), strict=True):
            timed("encode", model.encode, chip_from_points(frame, points)[np.newaxis])
            timed("see", trace.see, frame, points, at_s)
            timed("look", liveness.look, trace, frame, points, at_s)
            timed("judge", liveness.judge, trace, at_s)
    encode_ms = statistics.median(spent["encode"])
    told = {
        name: {
            "median_ms": round(statistics.median(times), 3),
            "mean_ms": round(statistics.fmean(times), 3),
            "mean_of_encode": round(statistics.fmean(times) / statistics.fmean(spent["encode"]), 3),
            "median_of_encode": round(statistics.median(times) / encode_ms, 3),
        }
        for name, times in spent.items()
    }
    if options.json:
        print(json.dumps({"liveness_cost": told}, indent=1))
        return
    for name, figures in told.items():
        print(
            f"{name:7} median {figures['median_ms']:7.3f} ms, mean {figures['mean_ms']:7.3f} ms,"
            f" {figures['mean_of_encode']:6.1%} of an encoder pass (means)"
        )


if __name__ == "__main__":
    main()
