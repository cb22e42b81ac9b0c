"""From a face box to an upright chip: landmark network and similarity warp.

The only copy of this code: the door, training and the converter all cut faces out with it.
A crop is described by a 2x3 matrix that takes unit crop coordinates (0..1 right, 0..1 down) to
px of the frame; images are sampled at pixel centres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.faces.find.boxes import Box

CHIP_SIZE = 112
CROP_SIZE = 64
# The common five-point template of ArcFace (Deng et al., 2019) for a 112 px chip:
# eyes (left in the picture first), nose, mouth corners.
CHIP_POINTS = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)
# The same five points of the mean face in unit coordinates of the landmark network's crop,
# which is the detector's box enlarged by CROP_SCALE (fitted on training faces).
CROP_SCALE = 1.25
CHIP_SIDE_IN_BOX = 1.106
CHIP_DOWN_IN_BOX = -0.064
MEAN_POINTS: NDArray[np.float32] = np.asarray(
    0.5
    + ((CHIP_POINTS / CHIP_SIZE - 0.5) * CHIP_SIDE_IN_BOX + [0.0, CHIP_DOWN_IN_BOX]) / CROP_SCALE,
    np.float32,
)

# Above this doubt (see Located) a box is taken for no face: of 696 frontal training faces 0.6 % lie
# above it, and 94 % of 243 boxes in which a cascade mistook something for a face.
MAX_DOUBT = 0.1

# Crops under this part of their size in px are small faces blown up, which a cubic curve keeps
# sharper: 0.3 points more accuracy at boxes of 40 px. At their own size it gained nothing.
_BLOWN_UP = 0.75

FindPoints = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def crop_matrix(box: Box) -> NDArray[np.float64]:
    """The square crop that the landmark network sees first for a detector's box."""
    side = max(box.width, box.height) * CROP_SCALE
    centre_x, centre_y = box.centre
    return np.array([[side, 0.0, centre_x - side / 2], [0.0, side, centre_y - side / 2]])


def fit_similarity(
    source: NDArray[np.floating], target: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Least-squares rotation, scale and shift from `source` (k, 2) to `target` (k, 2), as 2x3.

    Source: Umeyama, IEEE TPAMI 13(4), 1991; in two dimensions it has a closed form, and no
    reflection can come out.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    s, t = source - source_mean, target - target_mean
    spread = max(float((s * s).sum()), 1e-12)
    a = float((s * t).sum()) / spread
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def apply(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Take points (..., 2) through a 2x3 matrix."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def cut(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Sample the unit square that `matrix` places in `image` as a (size, size, ...) picture.

    Where the crop is much larger than `size` the region is first averaged down, as sampling
    alone would alias; where it is much smaller it is interpolated by a cubic curve. Beyond the
    frame's edge the picture is black.
    """
    to_frame = np.array(matrix, np.float64)
    side_px = float(np.sqrt(abs(np.linalg.det(to_frame[:, :2]))))
    shrink = int(side_px / size + 1e-6)
    if shrink >= 2:
        image, to_frame = _averaged_region(image, to_frame, shrink)
    # cv2 samples at integer coordinates = pixel centres; the unit square spans pixel edges.
    to_frame[:, 2] += to_frame[:, :2] @ [0.5 / size, 0.5 / size] - 0.5
    to_frame[:, :2] /= size
    flags = cv2.WARP_INVERSE_MAP
    flags |= cv2.INTER_CUBIC if side_px < _BLOWN_UP * size else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(image, to_frame, (size, size), flags=flags), np.uint8)


def _averaged_region(
    image: NDArray[np.uint8], to_frame: NDArray[np.float64], shrink: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of `image` under the crop, averaged down `shrink` times, and the crop in it."""
    corners = apply(to_frame, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(0)).astype(int) - shrink, 0, [width, height])
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + shrink, 0, [width, height])
    columns, rows = (right - left) // shrink, (bottom - top) // shrink
    if columns < 1 or rows < 1:
        return image, to_frame
    region = image[top : top + rows * shrink, left : left + columns * shrink]
    small = cv2.resize(region, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
    moved = to_frame.copy()
    moved[:, 2] -= [left, top]
    return np.asarray(small, np.uint8), moved / shrink


def grey_crop(image_bgr: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What the landmark network sees: (CROP_SIZE, CROP_SIZE, 1) grey."""
    crop = cut(image_bgr, matrix, CROP_SIZE)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)[:, :, None]


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Where n faces are: `points` float64 (n, 5, 2) in px of the frame, and `doubts` (n,).

    A doubt is how far the network's answers for one face disagree, in distances between the
    eyes: about 0.03 for faces, 0.1 and more for what a cascade takes for a face.
    """

    points: NDArray[np.float64]
    doubts: NDArray[np.float64]


def locate(
    image_bgr: NDArray[np.uint8], boxes: Sequence[Box], find_points: FindPoints, passes: int
) -> Located:
    """The five points of each of n boxes; see `locate_in`."""
    return locate_in(image_bgr, [crop_matrix(box) for box in boxes], find_points, passes)


def crop_around(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The upright crop of a face whose five points (5, 2) in px are known, as a 2x3 matrix."""
    return fit_similarity(MEAN_POINTS, points)


def box_around(points: NDArray[np.floating]) -> Box:
    """The box that a detector would draw round the face with these five points (5, 2) in px."""
    crop = crop_around(points)
    side = float(np.hypot(crop[0, 0], crop[1, 0])) / CROP_SCALE
    x, y = apply(crop, np.array([0.5, 0.5]))
    return Box(float(x) - side / 2, float(y) - side / 2, side, side)


def locate_in(
    image_bgr: NDArray[np.uint8],
    matrices: Sequence[NDArray[np.float64]],
    find_points: FindPoints,
    passes: int,
) -> Located:
    """The five points of the face in each of n crops, given as 2x3 matrices.

    `find_points` takes grey crops uint8 (n, 64, 64, 1) to points float32 (n, 5, 2) in unit crop
    coordinates. Each pass after the first crops anew, upright and centred by the points before;
    the last one also looks at the mirrored crops, and the mean of both is the answer.
    """
    count = len(matrices)
    if not count:
        return Located(np.empty((0, 5, 2)), np.empty(0))
    before: NDArray[np.float64] | None = None
    for _ in range(passes - 1):
        found = find_points(_crops(image_bgr, matrices))
        before = np.stack([apply(m, f) for m, f in zip(matrices, found, strict=True)])
        matrices = [crop_around(face) for face in before]
    crops = _crops(image_bgr, matrices)
    found = find_points(np.concatenate([crops, crops[:, :, ::-1]]))
    straight, mirrored = found[:count], mirror_points(found[count:])
    points = np.stack(
        [apply(m, f) for m, f in zip(matrices, (straight + mirrored) / 2, strict=True)]
    )
    eyes = np.linalg.norm(MEAN_POINTS[1] - MEAN_POINTS[0])
    doubts = np.linalg.norm(straight - mirrored, axis=2).mean(1) / eyes
    if before is not None:
        eyes_px = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
        moved = np.linalg.norm(points - before, axis=2).mean(1)
        doubts = doubts + moved / np.maximum(eyes_px, 1e-6)
    return Located(points, np.asarray(doubts, np.float64))


def mirror_points(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Unit crop points (..., 5, 2) of the mirrored crop: left and right change places."""
    return (np.asarray(points, np.float64) * [-1, 1] + [1, 0])[..., [1, 0, 2, 4, 3], :]


def _crops(
    image_bgr: NDArray[np.uint8], matrices: Sequence[NDArray[np.float64]]
) -> NDArray[np.uint8]:
    return np.stack([grey_crop(image_bgr, matrix) for matrix in matrices])


def chip_from_points(
    image_bgr: NDArray[np.uint8], points: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """The upright RGB chip (112, 112, 3) of the face with these five points (5, 2) in px."""
    matrix = fit_similarity(CHIP_POINTS / CHIP_SIZE, points)
    return np.ascontiguousarray(cut(image_bgr, matrix, CHIP_SIZE)[:, :, ::-1])


def cutout(passes: int) -> dict[str, object]:
    """The geometry in which chips are cut, for the manifest: another geometry, another model."""
    return {
        "chip_size": CHIP_SIZE,
        "crop_size": CROP_SIZE,
        "crop_scale": CROP_SCALE,
        "chip_side_in_box": CHIP_SIDE_IN_BOX,
        "chip_down_in_box": CHIP_DOWN_IN_BOX,
        "passes": passes,
        "mirrored": True,
    }
