"""Where the limits of the hints lie: how often faces of each kind are not recognised.

python benchmarks/hints.py --images DATA/lfw_folds1-8.zip --people DATA/lfw_people_folds1-8.csv \
    --folds 1,2,3,4,5,6 [--every N] [--natural FOLDER_OR_ZIP_OR_VIDEO ...] [--seed N]

Each picture of a person is made worse on purpose and compared with another, good one; the share
that stays below the threshold (that of far 1e-3 in a gallery of ten templates) is listed by what
the hint measures. `--natural` counts how often the hints are raised on unchanged pictures. One JSON
object on stdout; progress and tables on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.quality import (
    MAX_BRIGHTNESS,
    MIN_BRIGHTNESS,
    MIN_DETAIL,
    detail,
    distance_hint,
    picture_hint,
    still_quality,
)
from oneglance.daemon.visit.decide import Rule
from oneglance.errors import ImageError
from oneglance.faces.find.align import CHIP_POINTS
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.pose import turn_and_nod
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.tail import tail_of
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import brightness, central, find_faces, load_image, read_central_face
from oneglance.training.data.datasets import labelled_pictures

Chip = NDArray[np.uint8]
Change = Callable[[Chip, np.random.Generator], Chip]
MIN_FACE_PX = 80
PAIRS_A_PERSON = 12
VIDEOS = {".mp4", ".avi", ".mkv", ".mov"}


def blurred(sigma: float) -> Change:
    """Out of focus."""
    return lambda chip, _: np.asarray(cv2.GaussianBlur(chip, (0, 0), sigma), np.uint8)


def moved(length_px: int) -> Change:
    """Moved along a straight line in a random direction, in px of the chip."""

    def change(chip: Chip, rng: np.random.Generator) -> Chip:
        line = np.zeros((length_px, length_px), np.float32)
        line[length_px // 2] = 1
        middle = (length_px // 2, length_px // 2)
        turn = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 180)), 1.0)
        kernel = cv2.warpAffine(line, turn, (length_px, length_px))
        return np.asarray(cv2.filter2D(chip, -1, kernel / kernel.sum()), np.uint8)

    return change


def lit(factor: float, noise: float = 2.0) -> Change:
    """With that much light, and the noise of a sensor on top."""
    return lambda chip, rng: np.clip(
        chip * factor + rng.normal(0, noise, chip.shape), 0, 255
    ).astype(np.uint8)


def small(width_px: int) -> Change:
    """A face whose box is that wide, enlarged to the chip again."""

    def change(chip: Chip, _: np.random.Generator) -> Chip:
        side = max(8, round(width_px * 1.106))
        shrunk = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(shrunk, chip.shape[:2], interpolation=cv2.INTER_LINEAR))

    return change


BLURS: dict[str, Change] = {
    **{f"blur, sigma {sigma}": blurred(sigma) for sigma in (1.0, 1.5, 2.0, 2.5, 3.0)},
    **{f"moved by {length} px": moved(length) for length in (5, 7, 9, 11, 13, 17)},
}
LIGHTS: dict[str, Change] = {
    f"light x {factor}": lit(factor)
    for factor in (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.5, 2.0, 3.0, 4.0)
}
SIZES: dict[str, Change] = {
    f"box of {width} px": small(width) for width in (100, 80, 60, 40, 30, 20)
}
DETAIL_EDGES = (0, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2, 3, 5, 100)
LIGHT_EDGES = (0, 6, 8, 10, 15, 20, 25, 30, 40, 60, 180, 200, 210, 220, 230, 240, 256)
TURN_EDGES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 10)
SCORE_EDGES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 101)
NOD_EDGES = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 10)


def main() -> None:
    """Measure and print."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model)
    rng = np.random.default_rng(args.seed)
    threshold = Rule(1e-3, 3, 3.0, tail_of(model.manifest.raw["thresholds"])).bar(10).threshold
    chips, points, people = _read(args, model)
    pairs = _pairs(people, rng)
    _say(f"{len(chips)} pictures, {len(pairs)} pairs of {len(set(people[pairs[:, 0]]))} people")
    templates = _encoded(model, chips)
    others = templates[pairs[:, 1]]

    def missed(changed: NDArray[np.float32]) -> NDArray[np.bool_]:
        scores = [
            model.compare(one[np.newaxis], other[np.newaxis])[0, 0]
            for one, other in zip(changed, others, strict=True)
        ]
        return np.asarray(scores) < threshold

    plain = missed(templates[pairs[:, 0]])
    figures: dict[str, Any] = {
        "model": model.model_id,
        "folds": args.folds,
        "threshold": threshold,
        "pairs": len(pairs),
        "missed_unchanged": float(plain.mean()),
    }
    turns = np.array([turn_and_nod(face) for face in points])[pairs[:, 0]]
    figures["turn"] = _binned(np.abs(turns[:, 0]), plain, TURN_EDGES)
    figures["nod"] = _binned(turns[:, 1], plain, NOD_EDGES)
    scores, score_misses = [], []
    for name, changes, measure, edges in (
        ("detail", BLURS, detail, DETAIL_EDGES),
        ("brightness", LIGHTS, brightness, LIGHT_EDGES),
        ("size", SIZES, detail, DETAIL_EDGES),
    ):
        values, misses = [], []
        for change, worse in changes.items():
            changed = np.stack([worse(chips[i], rng) for i in pairs[:, 0]])
            values.append(np.array([measure(chip) for chip in changed]))
            misses.append(missed(_encoded(model, changed)))
            width_px = float(change.split()[2]) if changes is SIZES else MIN_FACE_PX
            for chip, i in zip(changed, pairs[:, 0], strict=True):
                scores.append(still_quality(chip, points[i], width_px, MIN_FACE_PX).score)
            score_misses.append(misses[-1])
            hinted = np.mean(
                [picture_hint(chip, None, CHIP_POINTS).value != "none" for chip in changed]
            )
            row = {"missed": float(misses[-1].mean()), "hinted": float(hinted)}
            figures.setdefault("changes", {})[change] = row
            _say(f"{change}: {row['missed']:.1%} missed, {row['hinted']:.1%} hinted")
        figures[name] = _binned(np.concatenate(values), np.concatenate(misses), edges)
    figures["enrolment_score"] = _binned(
        np.array(scores), np.concatenate(score_misses), SCORE_EDGES
    )
    figures["limits"] = {"brightness": [MIN_BRIGHTNESS, MAX_BRIGHTNESS], "detail": MIN_DETAIL}
    for source in args.natural:
        figures.setdefault("natural", {})[source.name] = _natural(source, model)
        _say(f"{source.name}: {figures['natural'][source.name]}")
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _natural(source: Path, model: FaceModel) -> dict[str, int]:
    """How often each hint is raised on the faces of unchanged pictures or of a video."""
    detector, told = FaceDetector(), Counter[str]()
    for frame in _frames(source):
        boxes = find_faces(frame, detector, model)
        located = model.locate(frame, boxes)
        for box, face, chip in zip(boxes, located.points, model.chips(frame, boxes), strict=True):
            hint = distance_hint(box, frame.shape[0], MIN_FACE_PX)
            hint = picture_hint(chip, frame, face) if hint.value == "none" else hint
            told[hint.value] += 1
    return dict(told.most_common())


def _frames(source: Path) -> Iterator[NDArray[np.uint8]]:
    if source.suffix.lower() in VIDEOS:
        capture = cv2.VideoCapture(str(source))
        while (read := capture.read())[0]:
            yield np.asarray(read[1], np.uint8)
        return
    pictures = Pictures(source)
    for name in pictures.names:
        yield load_image(pictures.read(name))


def _read(
    args: argparse.Namespace, model: FaceModel
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.str_]]:
    folds = [int(fold) for fold in args.folds.split(",")]
    detector, chips, points, people = FaceDetector(), [], [], []
    listed = labelled_pictures(args.images, args.people, folds)[:: args.every]
    for number, picture in enumerate(listed):
        if number % 500 == 0:
            _say(f"{number} of {len(listed)} pictures")
        try:
            image = load_image(picture.pictures.read(picture.name))
        except ImageError as error:
            _say(str(error))
            continue
        sample = read_central_face(image, detector, model)
        if sample is not None and central(image, [sample.box]) is not None:
            chips.append(sample.chip)
            points.append(model.points(image, [sample.box])[0])
            people.append(picture.person)
    return np.stack(chips), np.stack(points), np.asarray(people)


def _pairs(people: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.intp]:
    pairs = []
    for person in sorted(set(people)):
        rows = np.flatnonzero(people == person)
        mine = [(a, b) for a in rows for b in rows if a != b]
        chosen = rng.permutation(len(mine))[:PAIRS_A_PERSON]
        pairs += [mine[i] for i in chosen]
    return np.array(pairs, np.intp)


def _encoded(model: FaceModel, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    parts = [model.encode(chips[i : i + 32]) for i in range(0, len(chips), 32)]
    return np.concatenate(parts)


def _binned(
    values: NDArray[np.floating], missed: NDArray[np.bool_], edges: tuple[float, ...]
) -> list[dict[str, float]]:
    rows = []
    for low, high in pairwise(edges):
        here = (values >= low) & (values < high)
        if here.any():
            share = float(missed[here].mean())
            rows.append({"from": low, "to": high, "faces": int(here.sum()), "missed": share})
            _say(f"  {low:g} to {high:g}: {here.sum()} faces, {share:.1%} missed")
    return rows


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--folds", default="1,2,3,4,5,6")
    parser.add_argument("--every", type=int, default=4, help="take each Nth picture")
    parser.add_argument("--natural", type=Path, nargs="*", default=[])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
