"""Where and when one camera's frames are searched for faces that nobody follows yet. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from oneglance.faces.find.boxes import Box

# Whatever the picture shows, all of it is searched this often, so that somebody who was missed once
# and has stood still since is found all the same.
WHOLE_EVERY_S = 0.5
# Where something moved lately and no face was found, there is likely somebody: search harder.
WHOLE_EVERY_AFTER_MOTION_S = 0.2
AFTER_MOTION_S = 2.0
# Beside a face that is followed, what moves is mostly the rest of that person.
REGION_EVERY_BESIDE_S = 0.2
# After this many searches in vain in a row, what keeps changing is a tree in the wind, or a crowd.
FRUITLESS = 15
REGION_EVERY_WHEN_FRUITLESS_S = 0.12
# A cascade loses a head tilted by more than some 15 degrees. Turned by one of these, in turn, the
# whole frame is searched as well, as long as no face is followed.
TURNS_DEG = (20.0, -20.0, 35.0, -35.0)


@dataclass(frozen=True, slots=True)
class Search:
    """One search to be made: of `region` (None: all of the frame), turned anticlockwise."""

    region: Box | None = None
    turn_deg: float = 0.0


WHOLE = Search()


class SearchPlan:
    """Plans the searches of one camera's frames.

    A region that has changed is searched at once, upright, unless that was in vain many times in
    a row. All of the frame is searched on a schedule, upright and turned by turns.
    """

    def __init__(self) -> None:
        self._turns_deg = itertools.cycle(TURNS_DEG)
        self._begin()

    def _begin(self) -> None:
        self._whole_at_s = float("-inf")
        self._region_at_s = float("-inf")
        self._moved_at_s = float("-inf")
        self._fruitless = 0
        self._newest_s = float("-inf")
        self._turn_due = False

    def next(
        self, at_s: float, changed: Box | None, *, all_changed: bool, followed: bool
    ) -> list[Search]:
        """The searches to make of the frame at `at_s`: none, one, or two.

        `changed` is the region that changed since it was searched, `all_changed` says that the
        picture is another one altogether, `followed` that some face is being followed. A time
        that runs backwards begins the schedule anew.
        """
        if at_s < self._newest_s:
            self._begin()
        self._newest_s = at_s
        if changed is not None and not followed:
            self._moved_at_s = at_s
        if changed is None or followed:
            self._fruitless = 0
        lately = not followed and at_s - self._moved_at_s <= AFTER_MOTION_S
        every_s = WHOLE_EVERY_AFTER_MOTION_S if lately else WHOLE_EVERY_S
        searches = []
        if all_changed or at_s - self._whole_at_s >= every_s:
            self._whole_at_s = at_s
            turned = self._turn_due and not followed and not all_changed
            self._turn_due = not turned
            searches.append(Search(turn_deg=next(self._turns_deg) if turned else 0.0))
            if not turned:
                return searches
        if changed is not None and at_s - self._region_at_s >= self._region_every_s(followed):
            self._region_at_s = at_s
            self._fruitless += 1
            searches.append(Search(changed))
        return searches

    def _region_every_s(self, followed: bool) -> float:
        if followed:
            return REGION_EVERY_BESIDE_S
        return REGION_EVERY_WHEN_FRUITLESS_S if self._fruitless >= FRUITLESS else 0.0
