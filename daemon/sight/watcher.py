"""What one camera sees: the faces in front of it, each followed from frame to frame.

follow known faces -> look round those just lost -> search where the plan says -> tracks
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.follow import SAME_PLACE, Sighting, follow, sightings
from oneglance.daemon.sight.motion import SceneMemory, region_of, tiny_grey
from oneglance.daemon.sight.search import find_faces, find_near
from oneglance.daemon.sight.search_plan import SearchPlan
from oneglance.daemon.sight.tracker import Track, Tracker
from oneglance.daemon.timing import OnStage, stage
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel

# A face that is not found for this long has left, and its visit is over.
LEAVE_S = 1.5
# The aligner can take something else for the face it follows; a cascade must agree now and then.
CONFIRM_AFTER_S = 1.0
CONFIRM_EVERY_S = 0.3
UNCONFIRMED_S = 3.0
# A lost face is looked for where it was this often before only searches can find it.
LOOKS_FOR_LOST = 3
# More of the picture than this changing at once is a cut, or a camera that was turned.
ALL_CHANGED = 0.5
# Cells around what has changed that are searched with it: the rest of the face may be there.
MARGIN_CELLS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One face of a frame. `sure` says that it was followed here, or found where nobody else is."""

    track: Track
    points: NDArray[np.float64]
    sure: bool


@dataclass(slots=True)
class _Known:
    """What is remembered of a track's face."""

    sighting: Sighting
    at_s: float
    velocity: NDArray[np.float64]
    confirmed_at_s: float
    asked_at_s: float
    missed: int = 0


class Watcher:
    """The faces of one camera. `min_face_px` is the smallest that is of use."""

    def __init__(
        self,
        detector: FaceDetector,
        model: FaceModel,
        min_face_px: int,
        on_stage: OnStage | None = None,
    ) -> None:
        self._detector = detector
        self._model = model
        self._min_face_px = min_face_px
        self._memory = SceneMemory()
        self._plan = SearchPlan()
        self._tracker = Tracker(LEAVE_S)
        self._known: dict[int, _Known] = {}
        self._on_stage = on_stage

    def see(self, pixels: NDArray[np.uint8], at_s: float) -> tuple[list[Seen], list[Track]]:
        """The faces in the next frame, uint8 (H, W, 3) BGR, and all tracks that are still alive."""
        alive = {track.track_id for track in self._tracker.alive(at_s)}
        self._known = {i: known for i, known in self._known.items() if i in alive}
        with stage("follow", self._on_stage):
            followed = self._follow(pixels, at_s)
            sure = set(followed)
            followed |= self._look_round(pixels, at_s, followed)
        with stage("search", self._on_stage):
            found = self._search(pixels, at_s, followed)
        tracks = self._tracker.update(
            [sighting.box for sighting in found],
            at_s,
            {track_id: sighting.box for track_id, sighting in followed.items()},
        )
        seen = []
        for track, sighting in zip(tracks, [*followed.values(), *found], strict=False):
            self._remember(track.track_id, sighting, at_s, searched=track.track_id not in followed)
            seen.append(Seen(track, sighting.points, track.track_id in sure))
        for known in self._known.values():
            known.missed = 0 if known.at_s == at_s else known.missed + 1
        return seen, tracks

    def _follow(self, pixels: NDArray[np.uint8], at_s: float) -> dict[int, Sighting]:
        """The faces that are where they were, or where they were moving to."""
        ids = [i for i, known in self._known.items() if known.missed <= LOOKS_FOR_LOST]
        expected = []
        for i in ids:
            known = self._known[i]
            expected.append(known.sighting.points + known.velocity * (at_s - known.at_s))
        found = follow(self._model, pixels, expected)
        followed = {i: sighting for i, sighting in zip(ids, found, strict=True) if sighting}
        for i, sighting in list(followed.items()):
            if not self._confirmed(i, pixels, sighting, at_s):
                del followed[i]
        return followed

    def _confirmed(
        self, track_id: int, pixels: NDArray[np.uint8], sighting: Sighting, at_s: float
    ) -> bool:
        known = self._known[track_id]
        if at_s - known.confirmed_at_s < CONFIRM_AFTER_S:
            return True
        if at_s - known.asked_at_s >= CONFIRM_EVERY_S:
            known.asked_at_s = at_s
            near = find_near(self._detector, pixels, sighting.box, sighting.tilt_deg)
            if any(box.iou(sighting.box) > SAME_PLACE for box in near):
                known.confirmed_at_s = at_s
        return at_s - known.confirmed_at_s < UNCONFIRMED_S

    def _look_round(
        self, pixels: NDArray[np.uint8], at_s: float, followed: dict[int, Sighting]
    ) -> dict[int, Sighting]:
        """The faces that were lost just now, but are still near, and nobody else's."""
        found: dict[int, Sighting] = {}
        for track_id, known in self._known.items():
            if track_id in followed or known.missed >= LOOKS_FOR_LOST:
                continue
            if at_s - known.confirmed_at_s >= UNCONFIRMED_S:
                continue
            box = known.sighting.box
            near = find_near(self._detector, pixels, box, known.sighting.tilt_deg)
            taken = [*followed.values(), *found.values()]
            for sighting in self._new(pixels, near, taken)[:1]:
                found[track_id] = sighting
                known.confirmed_at_s = at_s
        return found

    def _search(
        self, pixels: NDArray[np.uint8], at_s: float, followed: dict[int, Sighting]
    ) -> list[Sighting]:
        """Faces that nobody follows yet."""
        tiny = tiny_grey(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8))
        cell_px = pixels.shape[1] / tiny.shape[1]
        cells = self._memory.changed(tiny)
        all_changed = float(cells.mean()) > ALL_CHANGED
        for sighting in followed.values():
            cells = _without_person(cells, sighting.box, cell_px)
        region = region_of(cells, MARGIN_CELLS)
        changed = None if region is None else _scaled(region, cell_px)
        found: list[Sighting] = []
        for search in self._plan.next(
            at_s, changed, all_changed=all_changed, followed=bool(followed)
        ):
            boxes = find_faces(self._detector, pixels, self._min_face_px, search)
            for track_id, sighting in followed.items():
                if any(box.iou(sighting.box) > SAME_PLACE for box in boxes):
                    self._known[track_id].confirmed_at_s = at_s
            found += self._new(pixels, boxes, [*followed.values(), *found])
            if not search.turn_deg:
                self._memory.remember(tiny, region if search.region is not None else None)
        return found

    def _new(
        self, pixels: NDArray[np.uint8], boxes: list[Box], taken: list[Sighting]
    ) -> list[Sighting]:
        """The boxes that hold a face, each face once, and none that is `taken`."""
        free = [b for b in boxes if all(b.iou(t.box) <= SAME_PLACE for t in taken)]
        new: list[Sighting] = []
        for sighting in sightings(self._model, pixels, free):
            if sighting is not None and all(
                sighting.box.iou(other.box) <= SAME_PLACE for other in [*taken, *new]
            ):
                new.append(sighting)
        return new

    def _remember(self, track_id: int, sighting: Sighting, at_s: float, *, searched: bool) -> None:
        before = self._known.get(track_id)
        if before is None or searched:
            still = np.zeros(2)
            self._known[track_id] = _Known(sighting, at_s, still, at_s, at_s)
            return
        passed_s = at_s - before.at_s
        if passed_s > 0:
            step = sighting.points.mean(0) - before.sighting.points.mean(0)
            before.velocity = step / passed_s
        before.sighting, before.at_s = sighting, at_s


def _without_person(cells: NDArray[np.bool_], face: Box, cell_px: float) -> NDArray[np.bool_]:
    """The cells without those where the rest of a person with this face moves."""
    left, right = (face.x - face.width) / cell_px, (face.x + 2 * face.width) / cell_px
    top = (face.y - 0.7 * face.height) / cell_px
    rest = cells.copy()
    rest[max(0, int(top)) :, max(0, int(left)) : max(0, int(right) + 1)] = False
    return rest


def _scaled(region: Box, factor: float) -> Box:
    return Box(region.x * factor, region.y * factor, region.width * factor, region.height * factor)
