"""How often a photograph that is turned by hand looks to the challenge like a head that turns.

    python benchmarks/challenge_planes.py --data ../shared/data --people 350

One photograph of each person (LFW folds 7 and 8) is shown straight and then turned, flat and bent
to a tube, upright or level, at several distances; the daemon's aligner finds the five points,
`movement` judges.
"""

from __future__ import annotations

import argparse
import csv
import zipfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from oneglance.daemon.sight.follow import follow
from oneglance.daemon.visit.movement import TURNS, movement, sizes
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.pose import turn_and_nod
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image, read_central_face

Floats = NDArray[np.float64]
SIDE_PX, EYES_PX, CELL_PX, ROUNDS = 320, 55.0, 8, 25
DISTANCES, TILT_DEG, RADIUS = (3.0, 6.0, 12.0), (15.0, 50.0), (1.2, 3.0)
FORMS = ("flat", "bent upright", "bent level")
BANDS = ((0, 25), (25, 35), (35, 90))


@dataclass(frozen=True, slots=True)
class Held:
    """How the paper is held: turned aside and up, in degrees, `far` away and bent to a tube.

    `far` and the tube's `radius` are in distances of the eyes; the tube is upright or lies level.
    """

    yaw: float
    pitch: float
    far: float
    radius: float
    level: bool


def seen(x: Floats, y: Floats, held: Held) -> list[Floats]:
    """Where points of the paper, in distances of the eyes, are in the picture, in px."""
    out, radius, far = np.zeros_like(x), held.radius, held.far
    if np.isfinite(radius) and held.level:
        y, out = radius * np.sin(y / radius), radius * (np.cos(y / radius) - 1)
    elif np.isfinite(radius):
        x, out = radius * np.sin(x / radius), radius * (np.cos(x / radius) - 1)
    a, b = np.radians([held.yaw, held.pitch])
    x, out = x * np.cos(a) + out * np.sin(a), out * np.cos(a) - x * np.sin(a)
    y, out = y * np.cos(b) - out * np.sin(b), out * np.cos(b) + y * np.sin(b)
    near = EYES_PX * far / np.maximum(far - out, 0.1)
    return [SIDE_PX / 2 + near * x, SIDE_PX / 2 + near * y]


def shot(photo: NDArray[np.uint8], points: Floats, held: Held) -> tuple[NDArray[np.uint8], Floats]:
    """The picture of a photograph held like that, and where its five points are in it."""
    middle = (points[:2].mean(0) + points[3:].mean(0)) / 2
    eyes = float(np.linalg.norm(points[1] - points[0]))
    u, v = np.meshgrid(*[np.arange(0, SIDE_PX + CELL_PX, CELL_PX, dtype=float)] * 2)
    x, y = (u - SIDE_PX / 2) / EYES_PX, (v - SIDE_PX / 2) / EYES_PX
    small, most = 1e-3, min(1.5, 0.5 * held.radius)
    for _ in range(ROUNDS):
        there = seen(x, y, held)
        aside = [(p - q) / small for p, q in zip(seen(x + small, y, held), there, strict=True)]
        below = [(p - q) / small for p, q in zip(seen(x, y + small, held), there, strict=True)]
        area = aside[0] * below[1] - below[0] * aside[1]
        area = np.where(np.abs(area) < 25, np.where(area < 0, -25, 25), area)
        right, down = u - there[0], v - there[1]
        x = x + np.clip((below[1] * right - below[0] * down) / area, -most, most)
        y = y + np.clip((aside[0] * down - aside[1] * right) / area, -most, most)
        reach = 1.5 * held.radius
        x, y = (x, np.clip(y, -reach, reach)) if held.level else (np.clip(x, -reach, reach), y)
    cells = np.arange(SIDE_PX, dtype=np.float32) / CELL_PX
    fine = [
        cv2.remap(m.astype(np.float32), *np.meshgrid(cells, cells), cv2.INTER_LINEAR)
        for m in (middle[0] + eyes * x, middle[1] + eyes * y)
    ]
    picture = cv2.remap(photo, *fine, cv2.INTER_LINEAR, borderValue=(110, 110, 110))
    where = seen(*((points - middle) / eyes).T, held)
    return np.asarray(picture, np.uint8), np.stack(where, 1)


def interval(count: int, trials: int) -> str:
    """A rate and Clopper and Pearson's 95 % interval of it."""
    low = beta.ppf(0.025, count, trials - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, trials - count) if count < trials else 1.0
    return f"{count}/{trials} ({100 * low:.1f} to {100 * high:.1f} %)"


def main() -> None:
    """Show each photograph in fifteen ways, and count how many would pass for a turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=350)
    parser.add_argument("--folds", default="7,8", help="whose photographs of LFW")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument(
        "--turned",
        type=float,
        nargs=2,
        default=(0.0, 0.25),
        help="how far the head in the photograph is turned aside itself, from and to",
    )
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    archive = zipfile.ZipFile(arguments.data / "lfw_folds1-8.zip")
    with (arguments.data / "lfw_people_folds1-8.csv").open(newline="") as file:
        folds = set(arguments.folds.split(","))
        people = [row["person"] for row in csv.DictReader(file) if row["fold"] in folds]
    rng.shuffle(people)
    least, most = arguments.turned
    model, detector = load_model(), FaceDetector()
    passed: dict[tuple[str, tuple[int, int]], list[bool]] = defaultdict(list)
    for person in people[: arguments.people]:
        photo = load_image(archive.read(f"{person}/{person}_0001.jpg"))
        sample = read_central_face(photo, detector, model)
        if sample is None or not least <= abs(turn_and_nod(sample.points)[0]) <= most:
            continue
        for form in FORMS:
            radius = np.inf if form == "flat" else float(rng.uniform(*RADIUS))
            far = float(rng.choice(DISTANCES))
            straight = Held(0, 0, far, radius, form == "bent level")
            picture, where = shot(photo, sample.points, straight)
            rest = follow(model, picture, [where])[0]
            tilts = [sign * float(rng.uniform(*TILT_DEG)) for sign in (-1, 1, -1, 1)]
            ways = [(tilts[0], 0.0), (tilts[1], 0.0), (0.0, tilts[2]), (0.0, tilts[3])]
            for yaw, pitch in [*ways, rng.uniform(-45, 45, 2)]:
                picture, where = shot(photo, sample.points, replace(straight, yaw=yaw, pitch=pitch))
                found = follow(model, picture, [where])[0]
                if rest is None or found is None:
                    continue
                step, part = movement(found.points, rest.points, sizes(rest.points))
                band = next(b for b in BANDS if b[0] <= np.hypot(yaw, pitch) < b[1])
                passed[form, band].append(step in TURNS and part >= 1)
    for form in FORMS:
        alike = [ok for (name, _), oks in passed.items() if name == form for ok in oks]
        print(f"{form}: {interval(sum(alike), len(alike))}")
        for band in BANDS:
            oks = passed[form, band]
            print(f"  turned by {band[0]} to {band[1]} degrees: {interval(sum(oks), len(oks))}")


if __name__ == "__main__":
    main()
