"""Is this face good enough to be compared, and if not, what can the person do? Pure.

One hint at a time, in this order, since each check is only meaningful once the former have passed:
a face of the wrong size says little about its light, a dark one little about its sharpness, a
blurred one little about where it looks. The limits were measured (docs/benchmarks/finding.md,
"Hints").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Hint
from oneglance.errors import ImageError
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.pose import turn_and_nod
from oneglance.faces.reader import brightness

# Grey levels of the face. Just inside the first, a person is missed almost twice as often as in
# good light, just inside the second three times; no picture as it is came near either.
MIN_BRIGHTNESS = 25.0
MAX_BRIGHTNESS = 200.0
# A dark face in a picture so bright, and so much brighter, has the light behind it.
BACKLIT_FROM = 80.0
BACKLIT_TIMES = 2.5
# See `detail`. Of faces below, more than half would not be recognised.
MIN_DETAIL = 0.7
# See oneglance.faces.find.pose. Beyond, the aligner's points and the scores were never measured.
MAX_TURN = 0.4
MIN_NOD, MAX_NOD = 0.2, 0.85
# The score, of 100, that a picture for enrolment must reach. The door misses more of the faces in
# between than of good ones, and most of those below (docs/benchmarks/finding.md, "Hints").
MIN_ENROLMENT_SCORE = 50
# Closer than this the face no longer fits the picture when it moves.
MAX_FACE_OF_FRAME = 0.85

_SAMPLE_STEP = 16
_SECOND_DIFFERENCES = tuple(
    np.array(kernel, np.float32)
    for kernel in (
        [[1, 0, -2, 0, 1]],
        [[1], [0], [-2], [0], [1]],
        [[0.7, 0, 0, 0, 0], [0] * 5, [0, 0, -1.4, 0, 0], [0] * 5, [0, 0, 0, 0, 0.7]],
        [[0, 0, 0, 0, 0.7], [0] * 5, [0, 0, -1.4, 0, 0], [0] * 5, [0.7, 0, 0, 0, 0]],
    )
)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a face is for enrolment: 100 where the door has no hint for it, else less.

    `score` 0..100 is how near its worst side comes to the door's limit, `fault` what that is;
    empty if nothing is.
    """

    score: int
    fault: str = ""


def distance_hint(box: Box, frame_height_px: int, min_face_px: float) -> Hint:
    """COME_CLOSER or STEP_BACK by the size of the face; NONE if it is right."""
    if box.width < min_face_px:
        return Hint.COME_CLOSER
    if box.height > MAX_FACE_OF_FRAME * frame_height_px:
        return Hint.STEP_BACK
    return Hint.NONE


def picture_hint(
    chip: NDArray[np.uint8],
    frame: NDArray[np.uint8] | None = None,
    points: NDArray[np.floating] | None = None,
) -> Hint:
    """What is wrong with the picture of a face, from its RGB chip uint8 (112, 112, 3).

    BACKLIT or MORE_LIGHT (also where there is too much of it), HOLD_STILL where it is blurred,
    LOOK_AT_CAMERA where it is turned away, NONE if it is good. `frame` is the whole picture
    (H, W, 3), without which no face is backlit; `points` (5, 2) are the face's, without which
    none is turned away. Points that are not numbers are refused like bad ones.
    """
    level = brightness(chip)
    if level < MIN_BRIGHTNESS:
        return (
            Hint.BACKLIT if frame is not None and _bright_around(frame, level) else Hint.MORE_LIGHT
        )
    if level > MAX_BRIGHTNESS:
        return Hint.MORE_LIGHT
    if detail(chip) < MIN_DETAIL:
        return Hint.HOLD_STILL
    if points is not None:
        turn, nod = turn_and_nod(points)
        if not (abs(turn) <= MAX_TURN and MIN_NOD <= nod <= MAX_NOD):
            return Hint.LOOK_AT_CAMERA
    return Hint.NONE


def still_quality(
    chip: NDArray[np.uint8], points: NDArray[np.floating], width_px: float, min_face_px: float
) -> Quality:
    """How good one face of a photograph is, by the limits of the hints.

    Its RGB chip uint8 (112, 112, 3), points (5, 2), the width of its box, and the least width
    that the door looks at. A face may fill a photograph: it does not move there.
    """
    level, sharp = brightness(chip), detail(chip)
    turn, nod = turn_and_nod(points)
    dim, bright = level / MIN_BRIGHTNESS, (255 - level) / (255 - MAX_BRIGHTNESS)
    shares = (
        (width_px / min_face_px, f"too small, {width_px:.0f} px of {min_face_px:.0f}"),
        (dim, "too dark"),
        (bright, "too bright"),
        (sharp / MIN_DETAIL, "blurred"),
        (MAX_TURN / max(abs(turn), MAX_TURN), "turned aside"),
        (max(nod, 0.0) / MIN_NOD, "turned up"),
        (MAX_NOD / max(nod, MAX_NOD), "turned down"),
    )
    # Points that are not numbers are as bad as can be: NaN counts as 0.
    share, fault = min((0.0 if math.isnan(s) else s, fault) for s, fault in shares)
    return Quality(100) if share >= 1 else Quality(int(100 * share), fault)


def remarks(label: str, turned_deg: int, quality: Quality) -> list[str]:
    """What is less than good about a picture for enrolment that is taken all the same."""
    said = []
    if turned_deg:
        said.append(f"{label}: turned by {turned_deg} degrees, as no face was upright")
    if quality.fault:
        said.append(
            f"{label}: the face is {quality.fault} (quality {quality.score} of 100); the door will"
            " know this person less often"
        )
    return said


def check_quality(pictures: Sequence[tuple[str, Quality]]) -> None:
    """Check that each picture, given with its name, is good enough to recognise somebody by.

    Raises ImageError that names the worst if it is below MIN_ENROLMENT_SCORE.
    """
    label, worst = min(pictures, key=lambda picture: picture[1].score)
    if worst.score < MIN_ENROLMENT_SCORE:
        raise ImageError(
            f"the face is {worst.fault} (quality {worst.score} of 100, at least"
            f" {MIN_ENROLMENT_SCORE} is needed)",
            where=label,
            fix="use a larger, sharp and well lit picture from the front, or --force",
        )


def detail(chip: NDArray[np.uint8]) -> float:
    """How much fine structure an RGB chip (112, 112, 3) has in the direction that has least.

    Motion wipes out one direction only, which a Laplacian hardly sees. The variance of second
    differences over 5 px, in four directions, by the standard deviation of the grey levels, so
    that dim light does not look like blur.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)[16:104, 16:96]
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    least = min(
        float(cv2.filter2D(smooth, cv2.CV_32F, kernel).var()) for kernel in _SECOND_DIFFERENCES
    )
    return least / max(float(grey.std()), 1.0)


def _bright_around(frame: NDArray[np.uint8], face_level: float) -> bool:
    level = float(frame[::_SAMPLE_STEP, ::_SAMPLE_STEP].mean())
    return level >= BACKLIT_FROM and level >= BACKLIT_TIMES * face_level
