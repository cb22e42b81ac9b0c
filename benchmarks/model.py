"""Measure a model folder: accuracy on labelled pairs, speed a face, size. One JSON object.

python benchmarks/model.py --images DATA/lfw_folds1-8.zip --pairs DATA/lfw_pairs_folds1-8.csv \
    --folds 7,8 [--model DIR] [--write]

`--write` puts the figures into the folder's manifest, under `evaluation`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oneglance.converter.folder import update_manifest
from oneglance.faces.evaluation.listed_pairs import read_pairs, report, score_pairs
from oneglance.faces.evaluation.readings import read_pictures
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures
from oneglance.models import default_model_dir

_ROUNDS = 30


def best_ms(run: Any) -> float:
    """The fastest of several rounds in ms: what the machine can do when nothing else runs."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return round(min(times), 3)


def speed(model: FaceModel) -> dict[str, float]:
    """Best times on one thread."""
    cv2.setNumThreads(1)
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 256, (480, 640, 3), np.uint8)
    boxes = [Box(200, 120, 160, 160)]
    chips = generator.integers(0, 256, (8, 112, 112, 3), np.uint8)
    gallery = generator.normal(0, 0.1, (1000, model.template_size)).astype(np.float32)
    detector = FaceDetector()
    return {
        "detect_640x480_ms": best_ms(lambda: detector.find(frame, min_face_px=80)),
        "chip_ms": best_ms(lambda: model.chips(frame, boxes)),
        "encode_one_ms": best_ms(lambda: model.encode(chips[:1])),
        "encode_each_of_8_ms": round(best_ms(lambda: model.encode(chips)) / 8, 3),
        "compare_with_1000_ms": best_ms(lambda: model.compare(gallery[:1], gallery)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--folds", default="")
    parser.add_argument("--model", type=Path, default=default_model_dir())
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    model = load_model(chosen.model)
    pictures = Pictures(chosen.images)
    pairs = read_pairs(chosen.pairs, pictures)
    folds = {int(fold) for fold in chosen.folds.split(",") if fold}
    pairs = [pair for pair in pairs if not folds or pair.fold in folds]
    names = sorted({name for pair in pairs for name in (pair.image_a, pair.image_b)})
    reading = read_pictures(names, pictures, FaceDetector(), model, lambda: None)
    scores, _ = score_pairs(pairs, reading.templates, model)
    figures = report(pairs, scores, reading, model)
    # Pictures of people have no place in a manifest, not even by name.
    figures["not_acquired"] = len(reading.missed)
    figures["on"] = {
        "images": chosen.images.name,
        "pairs": chosen.pairs.name,
        "folds": sorted(folds),
    }
    figures["command"] = "oneglance evaluate, on the pairs of these folds"
    if chosen.write:
        update_manifest(chosen.model, {"evaluation": figures})
    sizes = {path.name: path.stat().st_size for path in chosen.model.glob("*.tflite")}
    machine = f"{platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}"
    measured = {"evaluation": figures, "speed": speed(model), "bytes": sizes, "machine": machine}
    json.dump(measured, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
