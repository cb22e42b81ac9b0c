"""Measure what tilt, distance, poor light, motion and JPEG cost, on pictures changed on purpose.

python benchmarks/robustness.py --images DATA/lfw_folds1-8.zip --pairs DATA/lfw_pairs_folds1-8.csv \
    --folds 7,8 [--limit N] [--model DIR] [--workers N] [--seed N] [--searches still ...]

Each picture goes through the door's parts three times: searched as a still, harder and harder;
searched once, as one frame of a video; and as a film that stands still for 2 s, by the daemon's own
search. One JSON object on stdout, with the cost of that search where nobody is; progress and a
table on stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.search import door_detector, find_faces
from oneglance.daemon.sight.watcher import Watcher
from oneglance.daemon.visit.evidence import Visit
from oneglance.errors import ConfigError
from oneglance.faces.evaluation import metrics
from oneglance.faces.evaluation.listed_pairs import Pair, read_pairs, score_pairs
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import (
    central,
    load_image,
    read_central_face,
    read_central_face_once,
)
from oneglance.models import default_model_dir

Image = NDArray[np.uint8]
Templates = dict[str, NDArray[np.float32]]
# The box is the face's in the unchanged picture, in px.
Change = Callable[[Image, Box, np.random.Generator], Image]
Read = Callable[[Image, FaceDetector, FaceModel], NDArray[np.float32] | None]

DOOR_RATES = ("1e-3", "1e-4")
# The default of the configuration: `min_face_px`.
DOOR_FACE_PX = 80
# 2 s give each angle its turn.
FILM_FRAMES, FILM_FPS = 20, 10.0
_PICTURES_PER_TASK = 50
_ROUNDS = 10


def as_still(image: Image, detector: FaceDetector, model: FaceModel) -> NDArray[np.float32] | None:
    """The template by the search for stills; None if no face was found."""
    sample = read_central_face(image, detector, model)
    return None if sample is None else sample.template


def by_one_search(
    image: Image, detector: FaceDetector, model: FaceModel
) -> NDArray[np.float32] | None:
    """The template by one search alone; None if no face was found."""
    sample = read_central_face_once(image, detector, model)
    return None if sample is None else sample.template


def _visit() -> Visit:
    """The record that the watcher begins for each face; nobody is judged here."""
    return Visit(frames_needed=3, lifetime_s=5.0, patience_s=1.0)


def as_film(image: Image, _: FaceDetector, model: FaceModel) -> NDArray[np.float32] | None:
    """The template of the first of `FILM_FRAMES` equal frames in which the daemon finds a face."""
    watcher = Watcher(door_detector(), model, DOOR_FACE_PX, _visit)
    for i in range(FILM_FRAMES):
        seen = watcher.see(image, i / FILM_FPS)
        points = {one.track.box: one.points for one in seen}
        box = central(image, list(points))
        if box is not None:
            chip = chip_from_points(image, points[box])
            return np.asarray(model.encode(chip[np.newaxis])[0], np.float32)
    return None


SEARCHES: dict[str, Read] = {"still": as_still, "one search": by_one_search, "film": as_film}


def unchanged(image: Image, _: Box, __: np.random.Generator) -> Image:
    """The picture as it is."""
    return image


def turned(image: Image, _: Box, rng: np.random.Generator, *, up_to_deg: float) -> Image:
    """Turned about its middle by a random angle within +-`up_to_deg`, the border mirrored."""
    height, width = image.shape[:2]
    angle = float(rng.uniform(-up_to_deg, up_to_deg))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    return np.asarray(
        cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def shrunk(image: Image, box: Box, _: np.random.Generator, *, edge_px: float) -> Image:
    """The whole picture shrunk until the face's box is `edge_px` wide; never enlarged."""
    factor = min(1.0, edge_px / box.width)
    return np.asarray(
        cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
    )


def darker(image: Image, _: Box, __: np.random.Generator, *, gamma: float) -> Image:
    """Each grey level x (0..1) becomes x ** `gamma`."""
    levels = 255 * (np.arange(256) / 255) ** gamma
    return np.asarray(cv2.LUT(image, np.round(levels).astype(np.uint8)), np.uint8)


def moved(image: Image, _: Box, rng: np.random.Generator, *, length_px: int) -> Image:
    """Blurred along a straight line of `length_px` (odd) in a random direction."""
    line = np.zeros((length_px, length_px), np.float32)
    line[length_px // 2] = 1
    middle = (length_px // 2, length_px // 2)
    turn = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(line, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def recompressed(image: Image, _: Box, __: np.random.Generator, *, quality: int) -> Image:
    """The picture after JPEG at `quality`."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


CHANGES: dict[str, Change] = {
    "unchanged": unchanged,
    "turned by up to +-15 degrees": partial(turned, up_to_deg=15),
    "turned by up to +-30 degrees": partial(turned, up_to_deg=30),
    "box edge 40 px": partial(shrunk, edge_px=40),
    "gamma 2.2": partial(darker, gamma=2.2),
    "motion blur 5 px": partial(moved, length_px=5),
    "JPEG, quality 30": partial(recompressed, quality=30),
}


@dataclass(frozen=True, slots=True)
class Task:
    """Some pictures for one process."""

    images: Path
    model: Path
    names: tuple[str, ...]
    seed: int
    searches: tuple[str, ...]


def read_changed(task: Task) -> dict[tuple[str, str], Templates]:
    """The templates of a task's pictures by (change, search); a face not found is left out.

    A picture whose face is not found unchanged is left out everywhere.
    """
    cv2.setNumThreads(1)
    pictures, detector, model = Pictures(task.images), FaceDetector(), load_model(task.model)
    found: dict[tuple[str, str], Templates] = {(c, s): {} for c in CHANGES for s in task.searches}
    for name in task.names:
        image = load_image(pictures.read(name))
        plain = read_central_face(image, detector, model)
        if plain is None:
            continue
        for title, change in CHANGES.items():
            # By name, so that neither the order nor the number of processes changes a picture.
            rng = np.random.default_rng([task.seed, zlib.crc32(f"{title}/{name}".encode())])
            picture = change(image, plain.box, rng)
            for search in task.searches:
                template = SEARCHES[search](picture, detector, model)
                if template is not None:
                    found[title, search][name] = template
    pictures.close()
    return found


def figures(pairs: Sequence[Pair], templates: Templates, model: FaceModel) -> dict[str, Any]:
    """Accuracy, failures to acquire, and the match rates at the door's thresholds.

    Every threshold is the manifest's, since no door fits a new one to each evening's light. A pair
    with a face not acquired is wrong for the accuracy, and no match for the rates.
    """
    threshold = model.manifest.accuracy_threshold
    if threshold is None:
        raise ConfigError(
            "the model has no threshold of its own",
            where=model.model_id,
            fix="fit the model's thresholds: oneglance convert",
        )
    names = {name for pair in pairs for name in (pair.image_a, pair.image_b)}
    missed = len(names - templates.keys())
    scores, acquired = score_pairs(pairs, templates, model)
    same = np.array([pair.same for pair in pairs])
    accuracy = metrics.accuracy(scores, same, acquired, threshold)
    door = {rate: scores >= model.threshold(rate) for rate in DOOR_RATES}
    return {
        "accuracy": accuracy,
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / len(pairs))),
        "failure_to_acquire": missed / len(names),
        "not_acquired": missed,
        "tar_at_door": {rate: float(match[same].mean()) for rate, match in door.items()},
        "fmr_at_door": {rate: float(match[~same].mean()) for rate, match in door.items()},
    }


def table(measured: dict[str, dict[str, Any]]) -> str:
    """The same in Markdown, in percent."""
    rates = [f"TAR {rate}" for rate in DOOR_RATES]
    head = ["pictures", "search", "accuracy", "not acquired", *rates]
    lines = [head, ["---"] * len(head)]
    for title, searches in measured.items():
        for search, row in searches.items():
            tars = [row["tar_at_door"][rate] for rate in DOOR_RATES]
            shares = (row["accuracy"], row["failure_to_acquire"], *tars)
            lines.append([title, search, *(f"{100 * share:.2f} %" for share in shares)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def empty_frame_ms(model: FaceModel) -> dict[str, float]:
    """The cost of a 640x480 frame without a face (noise) on one thread, best of several rounds."""
    cv2.setNumThreads(1)
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    detector = door_detector()
    watcher, times_s = (
        Watcher(detector, model, DOOR_FACE_PX, _visit),
        itertools.count(0, 1 / FILM_FPS),
    )
    ways: dict[str, Callable[[], object]] = {
        "upright": lambda: model.faces_among(frame, find_faces(detector, frame, DOOR_FACE_PX)),
        "as the daemon does": lambda: watcher.see(frame, next(times_s)),
    }
    best = {}
    for title, way in ways.items():
        rounds = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            for _ in range(FILM_FRAMES):
                way()
            rounds.append((time.perf_counter() - start) * 1e3 / FILM_FRAMES)
        best[title] = round(min(rounds), 2)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder or zip of pictures")
    parser.add_argument("--pairs", type=Path, required=True, help="fold,image_a,image_b,same")
    parser.add_argument("--folds", default="", help="e.g. 7,8; all unless given")
    parser.add_argument("--limit", type=int, help="this many pairs, spread evenly over the list")
    parser.add_argument("--model", type=Path, default=default_model_dir(), help="model folder")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    chosen = parser.parse_args()
    model, pictures = load_model(chosen.model), Pictures(chosen.images)
    folds = {int(fold) for fold in chosen.folds.split(",") if fold}
    pairs = [p for p in read_pairs(chosen.pairs, pictures) if not folds or p.fold in folds]
    if chosen.limit is not None and chosen.limit < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, chosen.limit).astype(int)]
    names = sorted({name for pair in pairs for name in (pair.image_a, pair.image_b)})
    tasks = [
        Task(
            chosen.images,
            chosen.model,
            tuple(names[i : i + _PICTURES_PER_TASK]),
            chosen.seed,
            tuple(chosen.searches),
        )
        for i in range(0, len(names), _PICTURES_PER_TASK)
    ]
    found: dict[tuple[str, str], Templates] = {(c, s): {} for c in CHANGES for s in chosen.searches}
    with ProcessPoolExecutor(chosen.workers) as pool:
        for done, part in enumerate(pool.map(read_changed, tasks), start=1):
            for key, templates in part.items():
                found[key].update(templates)
            print(f"\r{done} of {len(tasks)} parts", end="", file=sys.stderr, flush=True)
    measured = {
        title: {s: figures(pairs, found[title, s], model) for s in chosen.searches}
        for title in CHANGES
    }
    print(f"\n{table(measured)}", file=sys.stderr)
    on = {"images": chosen.images.name, "pairs": len(pairs), "folds": sorted(folds)}
    head = {"model": model.model_id, "on": {**on, "pictures": len(names)}, "seed": chosen.seed}
    whole = {**head, "changes": measured, "empty_frame_ms": empty_frame_ms(model)}
    json.dump(whole, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
