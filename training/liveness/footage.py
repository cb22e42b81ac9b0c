"""Films of one face each from a recording, split at its cuts and wherever the face is lost."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from oneglance.errors import CameraError
from oneglance.faces.find.align import MAX_DOUBT, box_around
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.training.liveness.film import RECORDED_KIND, Film, Image, Points
from oneglance.training.liveness.stand import SECONDS

# By how many grey levels, on average, a picture differs from the previous one at a cut.
_CUT_GREYS = 18.0
_SMALL = (64, 36)


def shots(
    path: Path, detector: FaceDetector, model: FaceModel, *, min_face_px: float = 60.0
) -> list[Film]:
    """The films of faces in a recording, of 1.5 to 4 s; `points` are as the aligner found them.

    Follows the largest face of each shot. Raises CameraError if the file is not a film.
    """
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise CameraError("not a film that OpenCV can read", where=str(path))
    fps = float(capture.get(cv2.CAP_PROP_FPS)) or 25.0
    films: list[Film] = []
    frames: list[Image] = []
    points: list[Points] = []
    small: Image | None = None

    def close() -> None:
        if len(frames) >= SECONDS[0] * fps:
            at_s = np.arange(len(frames)) / fps
            person = f"{path.stem}/{len(films)}"
            films.append(
                Film(
                    *(RECORDED_KIND, person, True, False, "recorded"),
                    *(tuple(frames), at_s, np.stack(points)),
                )
            )
        frames.clear()
        points.clear()

    good, pixels = capture.read()
    while good:
        frame = np.asarray(pixels, np.uint8)
        before, small = small, np.asarray(cv2.resize(frame, _SMALL), np.uint8)
        if before is not None and float(cv2.absdiff(small, before).mean()) > _CUT_GREYS:
            close()
        face = _face(frame, points[-1] if points else None, detector, model, min_face_px)
        if face is None or len(frames) >= SECONDS[1] * fps:
            close()
        if face is not None:
            frames.append(frame)
            points.append(face)
        good, pixels = capture.read()
    close()
    capture.release()
    return films


def _face(
    frame: Image,
    before: Points | None,
    detector: FaceDetector,
    model: FaceModel,
    min_face_px: float,
) -> Points | None:
    if before is not None:
        located = model.relocate(frame, [before])
    else:
        boxes = detector.find(frame, min_face_px=round(min_face_px))[:1]
        located = model.locate(frame, boxes)
    if not len(located.points) or located.doubts[0] > MAX_DOUBT:
        return None
    points = located.points[0]
    return points if box_around(points).width >= min_face_px else None
