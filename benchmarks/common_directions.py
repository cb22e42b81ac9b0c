"""What pictures of one light, camera or crop have in common, for a model's manifest.

python benchmarks/common_directions.py --images DATA/lfw_folds1-8.zip \
    --people DATA/lfw_people_folds1-8.csv --out models/mobileface-2 \
    [--folds 1,2,3,4,5,6] [--persons 300] [--directions 2] [--model DIR] [--seed N]
python benchmarks/common_directions.py --faces lfw.npz --out models/mobileface-2 [...]

One face of each person is changed as doors would, made like those of domains.py but with other
lamps, crops, walls and qualities. The mean template of each door is a row; the strongest directions
of these rows, which are averages of hundreds of people each and no person's, are written into the
manifest of --out as `common`. Progress on stderr.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from domains import Change, as_it_is, by_camera, encoded, folds_of, in_grey, read, shade_of
from made_light import Image, Lamp, relit
from numpy.typing import NDArray

from oneglance.faces.find.align import CHIP_SIZE
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import MANIFEST_NAME

Points = NDArray[np.float64]


def lit(
    chip: Image,
    points: Points,
    generator: np.random.Generator,
    *,
    lamp: Lamp,
    grey: bool = True,
    crop: tuple[int, int, int, int] | None = None,
) -> Image:
    """Lit by one lamp, perhaps in grey; `crop` (left, top, right, bottom) repeats its border."""
    picture = relit(chip, points, shade_of(lamp), 0.2)
    if grey:
        picture = in_grey(picture, points, generator)
    if crop is None:
        return picture
    left, top, right, bottom = crop
    inner = np.ascontiguousarray(picture[top:bottom, left:right])
    rest = CHIP_SIZE - bottom, left, CHIP_SIZE - right
    return np.asarray(cv2.copyMakeBorder(inner, top, *rest, cv2.BORDER_REPLICATE), np.uint8)


def compressed(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """As JPEG, quality 30."""
    data = cv2.imencode(".jpg", chip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])


def small(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """From a face 40 px wide."""
    shrunk = cv2.resize(chip, (44, 44), interpolation=cv2.INTER_AREA)
    blown_up = cv2.resize(shrunk, (CHIP_SIZE, CHIP_SIZE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(blown_up, np.uint8)


def dark(chip: Image, points: Points, generator: np.random.Generator) -> Image:
    """In grey, with three tenths of the light, and noise."""
    dim = 0.3 * in_grey(chip, points, generator).astype(np.float32)
    dim = cv2.GaussianBlur(dim, (0, 0), 1.5)
    noise = generator.normal(0, 9, dim.shape[:2])[..., np.newaxis]
    return np.clip(dim + noise, 0, 255).astype(np.uint8)


DOORS: dict[str, Change] = {
    "photographs": as_it_is,
    "grey": in_grey,
    "lamp, -30": partial(lit, lamp=Lamp(-30, 10, 0.1)),
    "lamp, 50": partial(lit, lamp=Lamp(50, 20, 0.06)),
    "lamp, 70, colour": partial(lit, lamp=Lamp(70, 5, 0.04), grey=False),
    "lamp above, colour": partial(lit, lamp=Lamp(0, 30, 0.06), grey=False),
    "studio, 5": partial(lit, lamp=Lamp(5, 10, 0.1), crop=(16, 20, 96, 102)),
    "studio, -45": partial(lit, lamp=Lamp(-45, 20, 0.05), crop=(22, 26, 90, 108)),
    "studio, 65": partial(lit, lamp=Lamp(65, 0, 0.05), crop=(18, 22, 94, 108)),
    "camera, a wall": partial(by_camera, blur_px=2.0, noise=10.0, seed=1),
    "camera, another wall": partial(by_camera, blur_px=1.2, noise=4.0, seed=2),
    "JPEG 30": compressed,
    "40 px": small,
    "dark": dark,
}


def main() -> None:
    """Find the directions and write them down."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    model = load_model(arguments.model)
    faces = read(arguments, arguments.folds, 1, arguments.persons)
    means = []
    for name, change in DOORS.items():
        mean = encoded(faces.seen(name, change, arguments.seed), model).mean(0)
        means.append(mean)
        sys.stderr.write(f"{name}: {np.linalg.norm(mean):.2f} in common\n")
    file = arguments.out / MANIFEST_NAME
    manifest = json.loads(file.read_text())
    directions = _strongest(np.stack(means), arguments.directions)
    written = directions.astype("<f4").tobytes()
    manifest["common"] = base64.b64encode(written).decode()
    file.write_text(json.dumps(manifest, indent=2) + "\n")


def _strongest(rows: Points, count: int) -> Points:
    return np.asarray(np.linalg.svd(rows, full_matrices=False)[2][:count], np.float64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path)
    source.add_argument("--faces", type=Path)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=folds_of, default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--persons", type=int, default=300)
    parser.add_argument("--directions", type=int, default=2)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.images is not None and arguments.people is None:
        parser.error("--images needs --people")
    return arguments


if __name__ == "__main__":
    main()
