"""Where strangers come from: pictures, or people passing a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from oneglance.cli.camera_source import camera_config
from oneglance.config import CameraConfig
from oneglance.contract.messages import Hint
from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.sight.quality import distance_hint, picture_hint
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.watcher import Watcher
from oneglance.daemon.visit.evidence import Visit
from oneglance.errors import ImageError
from oneglance.faces.calibration.store import MOST_STRANGERS
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image, read_central_face, sharpness

_AT_ONCE = 16


def from_images(images: Path, model: FaceModel) -> tuple[NDArray[np.float32], int]:
    """One template per picture, (n, d), and how many pictures the door would not have used.

    Raises ImageError if there is no picture at all.
    """
    detector = FaceDetector()
    chips, unusable = [], 0
    pictures = Pictures(images)
    try:
        if not pictures.names:
            raise ImageError("there is no picture in it", where=str(images))
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("reading faces", total=len(pictures.names))
            for name in pictures.names:
                chip = _chip_of(pictures.read(name), detector, model)
                if chip is None:
                    unusable += 1
                else:
                    chips.append(chip)
                progress.advance(task)
    finally:
        pictures.close()
    return _encoded(chips, model), unusable


def from_camera(
    source: str,
    model: FaceModel,
    *,
    min_face_px: int,
    minutes: float,
    configured: Sequence[CameraConfig] = (),
    clock_s: Callable[[], float] = time.monotonic,
) -> NDArray[np.float32]:
    """One template per person who passes, (n, d), from the sharpest picture the door would use.

    A camera in `configured` is rotated and logged in to as configured there. Ends with the
    recording, after `minutes`, at MOST_STRANGERS, or at Ctrl-C. Raises CameraError.
    """
    config = camera_config(source, configured)
    exchange = FrameExchange((config.name,))
    camera = Camera(config, exchange[config.name])
    watcher = Watcher(
        *(door_detector(), model, min_face_px), begin_visit=lambda: Visit(3, 5.0, 3.0)
    )
    best: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    until_s = clock_s() + 60 * minutes
    console = Console(stderr=True)
    with console.status("watching; Ctrl-C ends it") as status:
        camera.start()
        try:
            while clock_s() < until_s and len(best) < MOST_STRANGERS:
                frames = exchange.take(0.2)
                for frame in frames:
                    _look(frame, watcher, min_face_px, best)
                status.update(f"watching, {len(best)} faces; Ctrl-C ends it")
                camera.watch()
                if camera.state is CameraState.LOST and camera.failure is not None:
                    raise camera.failure
                if not frames and camera.state is CameraState.ENDED:
                    break
        except KeyboardInterrupt:
            console.print("ended")
        finally:
            camera.stop()
    return _encoded([chip for _, chip in best.values()], model)


def _look(
    frame: Frame,
    watcher: Watcher,
    min_face_px: int,
    best: dict[int, tuple[float, NDArray[np.uint8]]],
) -> None:
    for seen in watcher.see(frame.pixels, frame.at_s):
        if distance_hint(seen.track.box, frame.pixels.shape[0], min_face_px) is not Hint.NONE:
            continue
        chip = chip_from_points(frame.pixels, seen.points)
        if picture_hint(chip, frame.pixels, seen.points) is not Hint.NONE:
            continue
        sharp = sharpness(chip)
        number = seen.track.track_id
        if number not in best or sharp > best[number][0]:
            best[number] = sharp, chip


def _chip_of(data: bytes, detector: FaceDetector, model: FaceModel) -> NDArray[np.uint8] | None:
    try:
        image = load_image(data)
    except ImageError:
        return None
    sample = read_central_face(image, detector, model)
    if sample is None or picture_hint(sample.chip, image, sample.points) is not Hint.NONE:
        return None
    return sample.chip


def _encoded(chips: list[NDArray[np.uint8]], model: FaceModel) -> NDArray[np.float32]:
    parts = [
        model.encode(np.stack(chips[start : start + _AT_ONCE]))
        for start in range(0, len(chips), _AT_ONCE)
    ]
    return np.concatenate([np.empty((0, model.template_size), np.float32), *parts])
