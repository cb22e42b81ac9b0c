"""Find, cut and encode every picture of known people once, for the benchmarks that compare them.

python benchmarks/known_faces.py --images DATA/lfw_folds1-8.zip \
    --people DATA/lfw_people_folds1-8.csv --out lfw.npz
python benchmarks/known_faces.py --images DATA/celeba10k.zip \
    --people DATA/celeba10k_identities.csv --enlarge 2.5 --out celeba.npz

Each picture is searched once, as a frame of a video is, for faces of 60 px or more; the one nearest
to the middle is taken. FILE.npz holds names, people, folds (0: none), points (n, 5, 2) in px and
templates (n, d); FILE_chips.npy the chips uint8 (n, 112, 112, 3) RGB.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image
from oneglance.training.data.datasets import LabelledPicture, labelled_pictures

_SMALLEST_PX = 60
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, eq=False)
class KnownFaces:
    """n faces: `names` of their pictures, `people` and `folds` (n,), `points` (n, 5, 2) in px.

    `templates` is float32 (n, d), `chips` uint8 (n, 112, 112, 3) RGB, read when it is asked for.
    """

    names: NDArray[np.str_]
    people: NDArray[np.str_]
    folds: NDArray[np.int64]
    points: NDArray[np.float64]
    templates: NDArray[np.float32]
    chips: NDArray[np.uint8]

    def rows(self, chosen: NDArray[np.bool_]) -> KnownFaces:
        """These faces alone."""
        return KnownFaces(
            self.names[chosen],
            self.people[chosen],
            self.folds[chosen],
            self.points[chosen],
            self.templates[chosen],
            self.chips[np.flatnonzero(chosen)],
        )

    def in_folds(self, folds: tuple[int, ...]) -> KnownFaces:
        """The faces of these folds alone."""
        return self.rows(np.isin(self.folds, folds))


def load_known(file: Path) -> KnownFaces:
    """Read the two files that this program wrote."""
    with np.load(file) as kept:
        fields = ("names", "people", "folds", "points", "templates")
        arrays = [kept[field] for field in fields]
    chips = np.load(_chips_file(file), mmap_mode="r")
    return KnownFaces(*arrays, chips)


def encoded_by(model: FaceModel, faces: KnownFaces, kept: Path | None = None) -> KnownFaces:
    """The faces with `model`'s templates of their chips.

    What the file `kept` has is not encoded again, and what is encoded is added to it.
    """
    rows = list(np.load(kept)) if kept is not None and kept.exists() else []
    while len(rows) < len(faces.people):
        some = faces.chips[len(rows) : len(rows) + _AT_ONCE]
        rows += list(model.encode(np.ascontiguousarray(some)))
        if kept is not None and (
            len(rows) % (20 * _AT_ONCE) == 0 or len(rows) == len(faces.people)
        ):
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, np.array(rows))
            print(f"{kept.stem}: {len(rows)} of {len(faces.people)}", file=sys.stderr, flush=True)
    return replace(faces, templates=np.array(rows, np.float32))


def picture_of(listed: LabelledPicture, enlarge: float) -> NDArray[np.uint8]:
    """One picture BGR uint8 (H, W, 3), enlarged by this factor with bicubic interpolation."""
    image = load_image(listed.pictures.read(listed.name))
    if enlarge == 1:
        return image
    cubic = cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(image, None, fx=enlarge, fy=enlarge, interpolation=cubic), np.uint8
    )


def points_in_the_middle(
    image: NDArray[np.uint8], detector: FaceDetector, model: FaceModel
) -> NDArray[np.float64] | None:
    """The points (5, 2) of the face nearest to the middle, by one search; None without a face."""
    boxes = detector.find(image, min_face_px=_SMALLEST_PX)
    middle = np.array(image.shape[1::-1]) / 2
    box = min(boxes, key=lambda box: float(np.hypot(*(box.centre - middle))), default=None)
    return None if box is None else model.points(image, [box])[0]


def _chips_file(file: Path) -> Path:
    return file.with_name(f"{file.stem}_chips.npy")


def main() -> None:
    """Read the pictures, and write the two files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--enlarge", type=float, default=1.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    model, detector = load_model(args.model), FaceDetector()
    with args.people.open(newline="", encoding="utf-8") as file:
        folds = {row.get("person"): int(row.get("fold", 0)) for row in csv.DictReader(file)}
    listed = labelled_pictures(args.images, args.people)
    names, people, points, chips = [], [], [], []
    for number, one in enumerate(listed):
        if number % 500 == 0:
            print(f"{number} of {len(listed)} pictures", file=sys.stderr, flush=True)
        image = picture_of(one, args.enlarge)
        found = points_in_the_middle(image, detector, model)
        if found is not None:
            names.append(one.name)
            people.append(one.person.removeprefix(f"{args.people.stem}/"))
            points.append(found)
            chips.append(chip_from_points(image, found))
    cut = np.stack(chips)
    parts = [model.encode(cut[i : i + _AT_ONCE]) for i in range(0, len(cut), _AT_ONCE)]
    np.savez(
        args.out,
        names=np.array(names),
        people=np.array(people),
        folds=np.array([folds.get(person, 0) for person in people]),
        points=np.stack(points),
        templates=np.concatenate(parts),
    )
    np.save(_chips_file(args.out), cut)
    print(f"{len(names)} faces, {len(listed) - len(names)} not found", file=sys.stderr)


if __name__ == "__main__":
    main()
