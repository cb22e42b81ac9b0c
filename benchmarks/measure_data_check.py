"""How well `oneglance data check` finds mistakes made on purpose in given data.

`python benchmarks/measure_data_check.py FACES.zip [PEOPLE.csv]` prints, for 200 pictures moved to a
wrong person, how many are found and how many alarms there are without them; and for every twentieth
picture, how often a changed copy is recognised. Minutes for 10,000 pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.model.face_model import load_model
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image
from oneglance.training.data.check import OWN_FMR
from oneglance.training.data.check_copies import MAX_BITS, MIN_CORRELATION
from oneglance.training.data.check_look import look_at_all
from oneglance.training.data.check_people import outliers
from oneglance.training.data.identities import by_identity, identities
from oneglance.training.data.perceptual import dct_hash, look

MOVED = 200
Image = NDArray[np.uint8]


def cropped(image: Image, share: float) -> Image:
    """The picture without its outer `share` in height and width."""
    height, width = image.shape[:2]
    down, right = int(height * share / 2), int(width * share / 2)
    return np.ascontiguousarray(image[down : height - down, right : width - right])


def recompressed(image: Image) -> Image:
    """The picture after JPEG at quality 30."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


CHANGES: dict[str, Callable[[Image], Any]] = {
    "JPEG, quality 30": recompressed,
    "half size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=3),
    "double size": lambda image: cv2.resize(image, None, fx=2, fy=2),
    "gamma 1.5": lambda image: np.asarray(255 * (image / 255.0) ** 1.5, np.uint8),
    "grey": lambda image: cv2.cvtColor(cv2.cvtColor(image, 6), 8),
    "blur, sigma 2": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "2 % cut off": lambda image: cropped(image, 0.02),
    "5 % cut off": lambda image: cropped(image, 0.05),
    "10 % cut off": lambda image: cropped(image, 0.1),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
}


def moved_pictures(pictures: Pictures, of: dict[str, str]) -> None:
    """Move pictures to wrong people, and count which are found."""
    model, rng = load_model(), np.random.default_rng(0)
    looked = look_at_all(pictures, pictures.names, model, lambda: None)
    known = [p for p in looked if p.template is not None and p.name in of]
    templates = np.stack([p.template for p in known if p.template is not None])
    row_of = {picture.name: row for row, picture in enumerate(known)}
    people = by_identity(of, row_of)
    movable = [name for name in row_of if len(people[of[name]]) > 1]
    targets = [who for who, names in people.items() if len(names) > 2]
    moved = rng.choice(movable, MOVED, replace=False).tolist()
    wrong = dict(of)
    for name in moved:
        wrong[name] = str(rng.choice([who for who in targets if who != of[name]]))
    strict = min(model.manifest.thresholds, key=float)
    for title, labels in (("as it is", of), (f"{MOVED} moved", wrong)):
        members = {
            w: [row_of[n] for n in names] for w, names in by_identity(labels, row_of).items()
        }
        found = outliers(
            templates, members, model.compare, model.threshold(OWN_FMR), model.threshold(strict)
        )
        named = {known[outlier.place].name: outlier.looks_like for outlier in found}
        hits = [name for name in moved if name in named]
        right = sum(named[name] == of[name] for name in hits)
        print(
            f"{title}: {len(found)} alarms, {len(hits)} of the moved, {right} with the right name"
        )


def changed_copies(pictures: Pictures) -> None:
    """Change every twentieth picture, and count which copies are recognised."""
    images = [load_image(pictures.read(name)) for name in pictures.names[::20]]
    for title, change in CHANGES.items():
        known = 0
        for image in images:
            copy = np.asarray(change(image), np.uint8)
            bits = int(np.sum(dct_hash(image) != dct_hash(copy)))
            known += bits <= MAX_BITS and float(look(image) @ look(copy)) >= MIN_CORRELATION
        print(f"{title}: {100 * known / len(images):.1f} % of {len(images)} copies")


def main(source: str, people: str | None = None) -> None:
    """Print all figures for one data set."""
    pictures = Pictures(Path(source))
    of = identities(pictures, None if people is None else Path(people))
    changed_copies(pictures)
    moved_pictures(pictures, of)


if __name__ == "__main__":
    main(*sys.argv[1:])
