"""The challenges at one door: one screen, so one visitor at a time. Time is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.challenge import Challenge
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.find.align import box_around

# A face that is higher than this part of the picture has no room to come closer: the head would be
# cut off.
MOST_OF_FRAME = 0.45
# How much larger, and further from the middle of the picture, a face is of somebody who comes
# closer by more than is asked (movement.CLOSER): it must still be whole.
COMES_CLOSER = 1.5
# A visitor who was not seen for this long loses the screen to the next.
LEFT_S = 1.5
# No screen sends more answers than this at once.
MAX_ANSWERS = 16


class Challenges:
    """Makes them, and gives the screen to one after another.

    `random` draws the steps, and must be one that nobody can foresee (random.SystemRandom);
    `clock_s` is the monotonic clock that stamps the frames. Only `shown` may be called from
    another thread.
    """

    def __init__(self, random: Random, clock_s: Callable[[], float]) -> None:
        self._random = random
        self._clock_s = clock_s
        self._answers: deque[tuple[str, float]] = deque(maxlen=MAX_ANSWERS)
        self._on_screen: Challenge | None = None
        self._seen_s = float("-inf")

    def begin(self, verdict: Verdict) -> Challenge:
        """The challenge of a visitor whom `verdict` would accept."""
        return Challenge(verdict, self._random)

    def shown(self, challenge_id: str) -> None:
        """A screen says, with a signature, that it shows this one now."""
        self._answers.append((challenge_id, self._clock_s()))

    def see(
        self, challenge: Challenge, points: NDArray[np.float64], frame: Frame, *, followed: bool
    ) -> None:
        """Where the challenged visitor's points (5, 2) are in `frame`; see Challenge.see.

        A challenge that is not on the screen waits until the one that is has ended.
        """
        if challenge is not self._on_screen and not self._screen_is_free():
            return
        self._on_screen = challenge
        self._seen_s = self._clock_s()
        while self._answers:
            challenge_id, at_s = self._answers.popleft()
            # From the clock to the frame's own timeline.
            challenge.shown(challenge_id, frame.at_s + at_s - frame.captured_at_s)
        room = has_room(points, frame.pixels.shape[1], frame.pixels.shape[0])
        challenge.see(points, frame.at_s, followed=followed, room=room)

    def _screen_is_free(self) -> bool:
        holder = self._on_screen
        away_s = self._clock_s() - self._seen_s
        return holder is None or holder.end is not None or not 0 <= away_s <= LEFT_S


def has_room(points: NDArray[np.float64], width: int, height: int) -> bool:
    """Whether a face with these points (5, 2) is still whole in a picture of `width` and `height`
    px after coming closer.
    """
    box = box_around(points)
    middle = np.array([width, height]) / 2
    out = np.abs(box.centre - middle) + box.height / 2
    whole = bool((out * COMES_CLOSER <= middle).all())
    return whole and box.height <= MOST_OF_FRAME * height
