"""Fit and judge what tells sunglasses and masks (daemon/sight/covered.py).

python benchmarks/covered.py --faces lfw.npz --images DATA/lfw_folds1-8.zip [--people N] \
    [--judge celeba.npz] [--show DIR]

For each of N people of LFW folds 1-6, what looks.py draws is put on one picture (a quarter of them
grey), which the aligner cuts out from a box that is a little off. Two logistic read-outs of what
`measured` gives are fitted: sunglasses against all else, masks against all else but scarves. Then:
how many of the pictures of folds 7-8, and of those of `--judge`, as they are, would be asked to
uncover something; `--show` leaves pictures of those, to be looked at: some do wear sunglasses. How
many of the made ones are recognised behind the door's own search is measured by everyday.py. One
JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from known_faces import KnownFaces, load_known
from looks import LOOKS
from numpy.typing import NDArray

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.covered import covered_hint, measured
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.find.align import box_around, chip_from_points
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image

MASKS, SUNGLASSES, SCARF = ("mask", "mask below the nose"), "sunglasses", "scarf up to the lips"
WORN = ("unchanged", *MASKS, SCARF, SUNGLASSES, "beard", "thick glasses", "hat")
CAMERAS = ("grey", "low light, 200 electrons", "like near infra-red")
# These are drawn on every picture, the others on every second one.
_ALWAYS = ("unchanged", *MASKS, SUNGLASSES)
_GREY_SHARE = 0.25
_PENALTY = 0.1
_ROUNDS = 30
_IN_A_ROW = 16


def worn_chips(
    faces: KnownFaces, images: Path, people: int, model: FaceModel
) -> tuple[list[NDArray[np.uint8]], NDArray[np.str_]]:
    """Chips of made looks, and what is worn in each."""
    rng = np.random.default_rng(0)
    first = np.unique(faces.people, return_index=True)[1]
    chips, looks = [], []
    pictures = Pictures(images)
    for number, row in enumerate(rng.permutation(first)[:people]):
        image, points = load_image(pictures.read(str(faces.names[row]))), faces.points[row]
        for look in (*WORN, *CAMERAS):
            if number % 2 and look not in _ALWAYS:
                continue
            changed = LOOKS[look](image, points, rng)
            if look not in CAMERAS and rng.random() < _GREY_SHARE:
                changed = LOOKS["grey"](changed, points, rng)
            box = box_around(points)
            off = box.scaled(float(rng.uniform(0.93, 1.07)))
            off = off.moved(*(rng.normal(0, 0.03, 2) * box.width))
            chips.append(chip_from_points(changed, model.points(changed, [off])[0]))
            looks.append(look)
    pictures.close()
    return chips, np.array(looks)


def fitted(rows: NDArray[np.float64], told: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of a logistic read-out of rows (n, k), by Newton's method."""
    weights = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        likely = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (likely - told) + _PENALTY * weights
        curve = (rows * (likely * (1 - likely))[:, np.newaxis]).T @ rows
        weights -= np.linalg.solve(curve + _PENALTY * np.eye(len(weights)), slope)
    return weights


def judged(faces: KnownFaces, show: Path | None, title: str) -> dict[str, object]:
    """How many unchanged pictures raise each hint."""
    hints = [covered_hint(chip) for chip in faces.chips]
    found: dict[str, object] = {"pictures": len(hints)}
    for hint in (Hint.UNCOVER_EYES, Hint.UNCOVER_MOUTH):
        rows = [i for i, one in enumerate(hints) if one is hint]
        found[hint] = {"told": len(rows), "share_95": wilson(len(rows), len(hints))}
        if show is not None and rows:
            chips = [faces.chips[i] for i in rows]
            chips += [np.zeros_like(chips[0])] * (-len(chips) % _IN_A_ROW)
            lines = [np.hstack(chips[i : i + _IN_A_ROW]) for i in range(0, len(chips), _IN_A_ROW)]
            cv2.imwrite(str(show / f"{title}-{hint}.png"), np.vstack(lines)[..., ::-1])
    return found


def main() -> None:
    """Fit, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="what known_faces.py left of LFW")
    parser.add_argument("--images", type=Path, required=True, help="the same pictures")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--judge", type=Path, help="what known_faces.py left of others")
    parser.add_argument("--show", type=Path, help="folder for pictures of what was told")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    faces = load_known(args.faces)
    training = faces.in_folds((1, 2, 3, 4, 5, 6))
    chips, looks = worn_chips(training, args.images, args.people, load_model())
    print(f"fitting on {len(chips)} chips: {Counter(looks.tolist())}", file=sys.stderr)
    eyes, mouth = (np.stack(rows) for rows in zip(*map(measured, chips), strict=True))
    unscarfed = looks != SCARF
    found = {
        "of_eyes": fitted(eyes, looks == SUNGLASSES).tolist(),
        "of_mouth": fitted(mouth[unscarfed], np.isin(looks, MASKS)[unscarfed]).tolist(),
        "folds 7,8": judged(faces.in_folds((7, 8)), args.show, "folds-7-8"),
    }
    if args.judge is not None:
        found[args.judge.name] = judged(load_known(args.judge), args.show, args.judge.stem)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
