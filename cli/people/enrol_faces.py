"""Faces of one person to enrol, from photo files or from a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from oneglance.config import CameraConfig
from oneglance.contract.messages import Hint
from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.camera.sources import shown_name
from oneglance.daemon.sight.covered import covered_hint
from oneglance.daemon.sight.quality import (
    Quality,
    distance_hint,
    picture_hint,
    still_quality,
)
from oneglance.errors import ImageError
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import load_image, read_one_face, read_one_face_turned
from oneglance.kiosk_ui.words import HINTS

# Pictures that follow at once show the same: this far apart, a head has moved a little.
APART_S = 0.5
PATIENCE_S = 60.0

_READY = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture's only face: the picture's name, the face's template float32 (d,), its quality.

    `turned_deg` is by how much, clockwise, the picture had to be turned before a face was found.
    """

    label: str
    template: NDArray[np.float32]
    quality: Quality
    turned_deg: int = 0


def from_photos(
    photos: Sequence[Path], detector: FaceDetector, model: FaceModel, *, min_face_px: int
) -> list[Shot]:
    """One shot per photo; ImageError names the first that does not show exactly one face."""
    console = Console(stderr=True)
    shots = []
    for photo in track(photos, "Looking at the photos", console=console, transient=True):
        sample, turned_deg = read_one_face_turned(
            load_image(photo), detector, model, where=str(photo)
        )
        quality = still_quality(sample.chip, sample.points, sample.box.width, min_face_px)
        shots.append(Shot(str(photo), sample.template, quality, turned_deg))
    return shots


def from_camera(
    config: CameraConfig,
    count: int,
    detector: FaceDetector,
    model: FaceModel,
    *,
    min_face_px: int,
    say: Callable[[str], None],
    clock_s: Callable[[], float] = time.monotonic,
) -> list[Shot]:
    """`count` good shots from a camera, at least APART_S apart; `say` gets advice for the person.

    Raises CameraError if the camera fails, and ImageError if it ends, or PATIENCE_S pass, first.
    """
    exchange = FrameExchange((config.name,))
    camera = Camera(config, exchange[config.name])
    shots: list[Shot] = []
    said = _READY
    latest_s = -APART_S
    until_s = clock_s() + PATIENCE_S
    camera.start()
    try:
        while len(shots) < count:
            frames = exchange.take(0.2)
            for frame in frames:
                if frame.at_s - latest_s < APART_S:
                    continue
                shot, advice = _look(frame, detector, model, min_face_px)
                if shot is not None:
                    shots.append(shot)
                    latest_s = frame.at_s
                    say(f"{len(shots)} of {count}")
                elif advice != said:
                    say(advice)
                said = advice
            camera.watch()
            if camera.state is CameraState.LOST and camera.failure is not None:
                raise camera.failure
            if not frames and camera.state is CameraState.ENDED:
                raise _too_few(config, len(shots), count, "it ended")
            if clock_s() > until_s:
                raise _too_few(config, len(shots), count, f"waited for {PATIENCE_S:g} s")
    finally:
        camera.stop()
    return shots


def _look(
    frame: Frame, detector: FaceDetector, model: FaceModel, min_face_px: int
) -> tuple[Shot | None, str]:
    """The frame's shot if it is good, else advice on how to get one.

    A good frame is then checked as strictly as a photo, so that no bystander is enrolled.
    """
    boxes = model.faces_among(frame.pixels, detector.find(frame.pixels))
    if not boxes:
        return None, HINTS[Hint.LOOK_AT_CAMERA]
    if len(boxes) > 1:
        return None, HINTS[Hint.ONE_AT_A_TIME]
    hint = distance_hint(boxes[0], frame.pixels.shape[0], min_face_px)
    if hint is Hint.NONE:
        (points,) = model.points(frame.pixels, boxes)
        chip = chip_from_points(frame.pixels, points)
        hint = picture_hint(chip, frame.pixels, points)
        if hint is Hint.NONE:
            hint = covered_hint(chip)
    if hint is not Hint.NONE:
        return None, HINTS[hint]
    try:
        sample = read_one_face(frame.pixels, detector, model)
    except ImageError as error:
        return None, error.what
    quality = still_quality(sample.chip, sample.points, sample.box.width, min_face_px)
    return Shot(f"frame {frame.index}", sample.template, quality), _READY


def _too_few(config: CameraConfig, found: int, count: int, why: str) -> ImageError:
    return ImageError(
        f"only {found} good pictures of one face instead of {count} ({why})",
        where=shown_name(config.source),
        fix="stand alone before the camera, in even light, and look at it; or ask for --frames 1",
    )
