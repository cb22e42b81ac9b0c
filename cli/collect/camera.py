"""The collecting itself: takes frames, keeps good pictures, and gives the screen a view of each."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.cli.camera_source import camera_config
from oneglance.cli.collect.guide import GOOD, LIVE, STILLS, Guide, Pace
from oneglance.cli.collect.plan import Step, pictures_by_step
from oneglance.cli.collect.pose import Pose, pose_of
from oneglance.config import CameraConfig
from oneglance.contract.messages import Hint
from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.camera.sources import is_recording, shown_name
from oneglance.daemon.sight.quality import distance_hint, picture_hint
from oneglance.errors import ImageError
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import brightness, sharpness
from oneglance.training.data.collect_store import Collection

# Below this a face is too small to learn from, also where somebody steps back on purpose.
MIN_FACE_PX = 80
JPEG_QUALITY = 95
# With nobody before the camera, or in the dark, it does not run for ever.
PATIENCE_S = 180.0
_KNOWN = "This picture is there already"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a screen can show of one frame.

    `pixels` uint8 (H, W, 3) BGR; `box` is the face if there is just one; `text` is what to do and
    `advice` what is still wrong; `good` means nothing is; `taken` of `total` pictures have been
    kept, and `kept` means that this is one of them.
    """

    pixels: NDArray[np.uint8]
    box: Box | None
    text: str
    advice: str
    good: bool
    taken: int
    total: int
    kept: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    hint: Hint
    box: Box | None = None
    pose: Pose | None = None
    sharpness: float = 0.0
    brightness: float = 0.0


class Session:
    """One run in front of a camera, possibly one in `configured`. `stop` is thread-safe."""

    def __init__(
        self,
        source: str,
        collection: Collection,
        count: int,
        detector: FaceDetector,
        model: FaceModel,
        *,
        configured: Sequence[CameraConfig] = (),
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = camera_config(source, configured)
        self._collection = collection
        self._detector = detector
        self._model = model
        self._clock_s = clock_s
        self._stopping = threading.Event()
        anchors = [p["pose"] for p in collection.pictures if p.get("step") == "straight"]
        poses = [Pose(pose["turn"], pose["nod"], pose["face_px"]) for pose in anchors]
        done = collection.count_by("step")
        self.guide = Guide(pictures_by_step(count), done, poses, pace=_pace(self._config))

    def stop(self) -> None:
        """End `run` soon; what was kept stays."""
        self._stopping.set()

    def run(self, show: Callable[[View], None]) -> None:
        """Take pictures until all are taken, or until `stop`; `show` gets a view of every frame.

        Raises CameraError if the camera fails, ImageError if it ends or nobody comes before that.
        """
        exchange = FrameExchange((self._config.name,))
        camera = Camera(self._config, exchange[self._config.name])
        until_s = self._clock_s() + PATIENCE_S
        camera.start()
        try:
            while self.guide.step is not None and not self._stopping.is_set():
                frames = exchange.take(0.2)
                for frame in frames:
                    view = self._step(frame)
                    show(view)
                    if view.kept:
                        until_s = self._clock_s() + PATIENCE_S
                camera.watch()
                if camera.state is CameraState.LOST and camera.failure is not None:
                    raise camera.failure
                if not frames and camera.state is CameraState.ENDED:
                    raise self._too_few("it ended")
                if self._clock_s() > until_s:
                    raise self._too_few(f"no good one came for {PATIENCE_S:g} s")
        finally:
            camera.stop()

    def _step(self, frame: Frame) -> View:
        seen = self._look(frame.pixels)
        step = self.guide.step
        text = "" if step is None else step.text
        advice = self.guide.look(seen.hint, seen.pose, frame.at_s)
        kept = False
        if advice is None and step is not None and seen.pose is not None:
            kept = self._keep(step, frame, seen, seen.pose)
            if kept:
                self.guide.note_taken(seen.pose, frame.at_s)
            else:
                advice = _KNOWN
        return View(
            *(frame.pixels, seen.box, text, advice or GOOD, advice in {None, GOOD}),
            *(self.guide.taken, self.guide.total, kept),
        )

    def _look(self, pixels: NDArray[np.uint8]) -> _Seen:
        boxes = self._detector.find(pixels, min_face_px=MIN_FACE_PX // 2)
        if not boxes:
            return _Seen(Hint.LOOK_AT_CAMERA)
        if len(boxes) > 1:
            return _Seen(Hint.ONE_AT_A_TIME)
        box = boxes[0]
        hint = distance_hint(box, pixels.shape[0], MIN_FACE_PX)
        points = self._model.points(pixels, [box])[0]
        pose = pose_of(points, box.width)
        chip = chip_from_points(pixels, points)
        sharp, bright = sharpness(chip), brightness(chip)
        return _Seen(
            hint if hint is not Hint.NONE else picture_hint(chip, pixels), box, pose, sharp, bright
        )

    def _keep(self, step: Step, frame: Frame, seen: _Seen, pose: Pose) -> bool:
        """Keep the picture, unless it was kept before: a recording can be run twice."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        data = cv2.imencode(".jpg", frame.pixels, quality)[1].tobytes()
        if hashlib.sha256(data).hexdigest() in self._collection.sha256s or seen.box is None:
            return False
        box = seen.box
        facts = {
            "step": step.key,
            "as_asked": self.guide.as_asked(pose),
            "camera": shown_name(self._config.source),
            "frame": frame.index,
            "box_px": [round(v, 1) for v in (box.x, box.y, box.width, box.height)],
            "pose": {
                "turn": round(pose.turn, 4),
                "nod": round(pose.nod, 4),
                "face_px": round(pose.face_px, 1),
            },
            "sharpness": round(seen.sharpness, 1),
            "brightness": round(seen.brightness, 1),
        }
        self._collection.add(step.role, data, "jpg", datetime.now(UTC), facts)
        return True

    def _too_few(self, why: str) -> ImageError:
        return ImageError(
            f"only {self.guide.taken} of {self.guide.total} good pictures of one face ({why}); "
            "they are kept",
            where=shown_name(self._config.source),
            fix="run it again to go on where it stopped, or ask for fewer with --count",
        )


def _pace(config: CameraConfig) -> Pace:
    return STILLS if Path(str(config.source)).is_dir() and is_recording(config) else LIVE
