"""Whether real heads that are turned have the depth that a step of the challenge asks for.

    python benchmarks/challenge_pairs.py --data ../shared/data --people 200

Pairs of photographs of one person (LFW), the first from the front, the other turned about as far
as a step takes: how many of them have depth enough (`movement`), and how many score as one person
by the threshold that a look at a turned head must reach. Light, age and expression differ between
the two, as they do not within a visit.
"""

from __future__ import annotations

import argparse
import csv
import zipfile
from pathlib import Path

import numpy as np
from scipy.stats import beta

from oneglance.daemon.build import SAME_FACE_FMR
from oneglance.daemon.visit.movement import TURNED, TURNED_UP, movement, sizes
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.pose import parallax, turn_and_nod
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import FaceSample, load_image, read_central_face

# At most this much more than a step asks for, and hardly turned about the other axis.
BEYOND, OTHER = 0.2, 0.12
FRONTAL, MOST_PHOTOS, MOST_RESTS = 0.12, 20, 3


def interval(count: int, trials: int) -> str:
    """A rate and Clopper and Pearson's 95 % interval of it."""
    low = beta.ppf(0.025, count, trials - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, trials - count) if count < trials else 1.0
    return f"{count}/{trials} ({100 * low:.1f} to {100 * high:.1f} %)"


def main() -> None:
    """Read the photographs, measure each pair, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=200, help="with two photographs or more")
    parser.add_argument("--folds", default="1,2,3,4,5,6,7,8")
    parser.add_argument("--seed", type=int, default=4)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    archive = zipfile.ZipFile(chosen.data / "lfw_folds1-8.zip")
    with (chosen.data / "lfw_people_folds1-8.csv").open(newline="") as file:
        folds = set(chosen.folds.split(","))
        rows = [row for row in csv.DictReader(file) if row["fold"] in folds]
    people = [(row["person"], int(row["images"])) for row in rows if int(row["images"]) > 1]
    rng.shuffle(people)
    model, detector = load_model(), FaceDetector()
    same_face = model.threshold(SAME_FACE_FMR)
    deep: dict[str, list[bool]] = {"aside": [], "up": []}
    same: dict[str, list[bool]] = {"aside": [], "up": []}
    for person, images in people[: chosen.people]:
        samples: list[FaceSample] = []
        for number in range(1, min(int(images), MOST_PHOTOS) + 1):
            photo = load_image(archive.read(f"{person}/{person}_{number:04}.jpg"))
            sample = read_central_face(photo, detector, model)
            if sample is not None:
                samples.append(sample)
        frontal = [s for s in samples if abs(turn_and_nod(s.points)[0]) < FRONTAL]
        for rest in frontal[:MOST_RESTS]:
            for other in samples:
                aside, up = parallax(other.points, rest.points)
                if TURNED <= abs(aside) <= TURNED + BEYOND and abs(up) < OTHER:
                    way = "aside"
                elif TURNED_UP <= up <= TURNED_UP + BEYOND and abs(aside) < OTHER:
                    way = "up"
                else:
                    continue
                _, part = movement(other.points, rest.points, sizes(rest.points))
                deep[way].append(part >= 1)
                score = model.compare(rest.template[None], other.template[None])[0, 0]
                same[way].append(bool(score >= same_face))
    for way in deep:
        print(f"{way}: deep enough {interval(sum(deep[way]), len(deep[way]))}")
        print(f"{way}: scores as one person {interval(sum(same[way]), len(same[way]))}")


if __name__ == "__main__":
    main()
