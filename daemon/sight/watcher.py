"""What one camera sees: the faces in front of it, each followed from frame to frame.

follow known faces -> look round those just lost -> search where the plan says -> tracks
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.follow import SAME_PLACE, Sighting, follow, sightings
from oneglance.daemon.sight.motion import SceneMemory, region_of, tiny_grey
from oneglance.daemon.sight.search import find_faces, find_near
from oneglance.daemon.sight.search_plan import SearchPlan
from oneglance.daemon.sight.tracker import Track, match
from oneglance.daemon.sight.visitor import Visitor
from oneglance.daemon.visit.evidence import Visit
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.timing import OnStage, stage

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
    """One face of a frame: where it is there, and whose. The `visitor` moves on, the rest stays.

    `sure` says that it was followed here; a face that was found by search may be somebody who took
    the place.
    """

    visitor: Visitor
    track: Track
    points: NDArray[np.float64]
    sure: bool


class Watcher:
    """The faces of one camera. `min_face_px` is the smallest that is of use.

    `begin_visit` makes the visit of a face that was not there before. `apart_s` is how long the
    newest two frames are apart.
    """

    def __init__(
        self,
        detector: FaceDetector,
        model: FaceModel,
        min_face_px: int,
        begin_visit: Callable[[], Visit],
        on_stage: OnStage | None = None,
    ) -> None:
        self.visitors: dict[int, Visitor] = {}
        # Who was there before the last frame, and has left.
        self.left: tuple[Visitor, ...] = ()
        self.apart_s = math.inf
        self._seen_at_s = -math.inf
        self._detector = detector
        self._model = model
        self._min_face_px = min_face_px
        self._begin_visit = begin_visit
        self._on_stage = on_stage
        self._memory = SceneMemory()
        self._plan = SearchPlan()
        self._numbers = itertools.count(1)

    def see(self, pixels: NDArray[np.uint8], at_s: float) -> list[Seen]:
        """The faces in the next frame, uint8 (H, W, 3) BGR; `visitors` are all who have not left.

        A face found without knowing whose it is continues the visitor who was near there last,
        or begins a new one.
        """
        self.apart_s, self._seen_at_s = at_s - self._seen_at_s, at_s
        before, self.visitors = self.visitors, {}
        self.visitors = {n: v for n, v in before.items() if v.track.is_alive(at_s, LEAVE_S)}
        self.left = tuple(v for n, v in before.items() if n not in self.visitors)
        with stage("follow", self._on_stage):
            followed = self._follow(pixels, at_s)
            near = self._look_round(pixels, at_s, followed)
        known = {**followed, **near}
        with stage("search", self._on_stage):
            found = self._search(pixels, at_s, known)
        for visitor in self.visitors.values():
            visitor.missed += 1
        for number, sighting in known.items():
            self.visitors[number].followed(sighting, at_s)
        tracks = [visitor.track for visitor in self.visitors.values()]
        whose = match(tracks, known.keys(), [sighting.box for sighting in found], at_s)
        owners = {place: number for number, place in whose.continued.items()}
        for place, number in owners.items():
            self.visitors[number].found_again(found[place], at_s)
        owners |= {place: self._begin(found[place], at_s) for place in whose.begun}
        numbers = [*known, *(owners[place] for place in range(len(found)))]
        return [_seen(self.visitors[number], sure=number in followed) for number in numbers]

    def _begin(self, sighting: Sighting, at_s: float) -> int:
        track = Track(next(self._numbers), sighting.box, at_s)
        visitor = Visitor(track, sighting, self._begin_visit(), at_s, at_s)
        self.visitors[track.track_id] = visitor
        return track.track_id

    def _follow(self, pixels: NDArray[np.uint8], at_s: float) -> dict[int, Sighting]:
        """The faces that are where they were, or where they were moving to."""
        wanted = [v for v in self.visitors.values() if v.missed <= LOOKS_FOR_LOST]
        found = follow(self._model, pixels, [visitor.expected(at_s) for visitor in wanted])
        return {
            visitor.track_id: sighting
            for visitor, sighting in zip(wanted, found, strict=True)
            if sighting is not None and self._confirmed(visitor, pixels, sighting, at_s)
        }

    def _confirmed(
        self, visitor: Visitor, pixels: NDArray[np.uint8], sighting: Sighting, at_s: float
    ) -> bool:
        if at_s - visitor.confirmed_at_s < CONFIRM_AFTER_S:
            return True
        if at_s - visitor.asked_at_s >= CONFIRM_EVERY_S:
            visitor.asked_at_s = at_s
            near = find_near(self._detector, pixels, sighting.box, sighting.tilt_deg)
            if any(box.iou(sighting.box) > SAME_PLACE for box in near):
                visitor.confirmed_at_s = at_s
        return at_s - visitor.confirmed_at_s < UNCONFIRMED_S

    def _look_round(
        self, pixels: NDArray[np.uint8], at_s: float, followed: dict[int, Sighting]
    ) -> dict[int, Sighting]:
        """The faces that were lost just now, but are still near, and nobody else's."""
        found: dict[int, Sighting] = {}
        for number, visitor in self.visitors.items():
            if number in followed or visitor.missed >= LOOKS_FOR_LOST:
                continue
            if at_s - visitor.confirmed_at_s >= UNCONFIRMED_S:
                continue
            before = visitor.sighting
            near = find_near(self._detector, pixels, before.box, before.tilt_deg)
            taken = [*followed.values(), *found.values()]
            for sighting in self._new(pixels, near, taken)[:1]:
                found[number] = sighting
                visitor.confirmed_at_s = at_s
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
            for number, sighting in followed.items():
                if any(box.iou(sighting.box) > SAME_PLACE for box in boxes):
                    self.visitors[number].confirmed_at_s = at_s
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


def _seen(visitor: Visitor, *, sure: bool) -> Seen:
    return Seen(visitor, visitor.track, visitor.sighting.points, sure)


def _without_person(cells: NDArray[np.bool_], face: Box, cell_px: float) -> NDArray[np.bool_]:
    """The cells except those where the rest of the person with this face moves."""
    left, right = (face.x - face.width) / cell_px, (face.x + 2 * face.width) / cell_px
    top = (face.y - 0.7 * face.height) / cell_px
    rest = cells.copy()
    rest[max(0, int(top)) :, max(0, int(left)) : max(0, int(right) + 1)] = False
    return rest


def _scaled(region: Box, factor: float) -> Box:
    return Box(region.x * factor, region.y * factor, region.width * factor, region.height * factor)
