"""A head and a flat picture as the aligner would see them, and a visitor who is challenged."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.contract.messages import Step
from oneglance.daemon.visit.challenge import Challenge, End
from oneglance.daemon.visit.decide import Verdict

# Eyes, nose, corners of the mouth, in distances of the eyes; the third is towards the camera. The
# nose stands out by half a distance of the eyes, as anthropometry has it (Farkas, 1994).
_HEAD = np.array(
    [[-0.5, -0.4, 0], [0.5, -0.4, 0], [0, 0.15, 0.5], [-0.4, 0.65, 0], [0.4, 0.65, 0]], float
)
_DISTANCE = 12.0

Points = NDArray[np.float64]


def seeded(seed: int) -> Random:
    """Chance that a test can repeat; a daemon's is SystemRandom."""
    return Random(seed)  # noqa: S311


def face(
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    *,
    size: float = 60.0,
    flat: bool = False,
    depth: float = 0.5,
    at: tuple[float, float] = (320.0, 240.0),
    roll_deg: float = 0.0,
) -> Points:
    """The points (5, 2) px of a head turned to its own left by `yaw_deg`, up by `pitch_deg`.

    `depth` is how far its nose stands out, in distances of the eyes.
    """
    yaw, pitch, roll = (math.radians(a) for a in (yaw_deg, pitch_deg, roll_deg))
    x, y, z = (_HEAD * [1, 1, 0 if flat else depth / 0.5]).T
    x, z = x * math.cos(yaw) + z * math.sin(yaw), z * math.cos(yaw) - x * math.sin(yaw)
    y, z = y * math.cos(pitch) - z * math.sin(pitch), z * math.cos(pitch) + y * math.sin(pitch)
    x, y = x * math.cos(roll) - y * math.sin(roll), y * math.cos(roll) + x * math.sin(roll)
    near = _DISTANCE / (_DISTANCE - z)
    return np.stack([at[0] + size * near * x, at[1] + size * near * y], 1)


# How a visitor does each step, in full: yaw, pitch, size.
DONE: dict[Step, tuple[float, float, float]] = {
    Step.LOOK_STRAIGHT: (0, 0, 1.0),
    Step.TURN_LEFT: (34, 0, 1.0),
    Step.TURN_RIGHT: (-34, 0, 1.0),
    Step.LOOK_UP: (0, 25, 1.0),
    Step.COME_CLOSER: (0, 0, 1.4),
}
VERDICT = Verdict("visit-1", "ada", 9.0, 1.0)


class Visitor:
    """Somebody before the camera, `fps` pictures a second, whose face the daemon recognises.

    `pose` is how far they are in which step, from where they rest, which may be looking up a
    little. `is_same` is what looks find. Without `room` they cannot come closer.
    """

    def __init__(
        self, seed: int = 0, *, fps: float = 12.0, flat: bool = False, room: bool = True
    ) -> None:
        self.challenge = Challenge(VERDICT, seeded(seed))
        self.fps = fps
        self.flat = flat
        self.room = room
        self.now_s = 100.0
        self.is_same = True
        self.screen_works = True
        self.step, self.part = Step.LOOK_STRAIGHT, 0.0
        self.rests_up_deg = 0.0
        self._size = 60.0

    @property
    def asked(self) -> Step | None:
        """What the screen asks for."""
        prompt = self.challenge.prompt
        return None if prompt is None else prompt.step

    @property
    def end(self) -> End | None:
        """How it has ended."""
        return self.challenge.end

    def frame(self, *, followed: bool = True) -> None:
        """The next picture."""
        self.now_s += 1 / self.fps
        yaw, pitch, size = DONE[self.step]
        grown = 1 + (size - 1) * self.part
        up = self.rests_up_deg + pitch * self.part
        points = face(yaw * self.part, up, size=self._size * grown, flat=self.flat)
        self.challenge.see(points, self.now_s, followed=followed, room=self.room)
        if self.challenge.wants_look:
            self.challenge.looked(same=self.is_same)
        if self.screen_works and self.challenge.prompt is not None:
            self.challenge.shown(self.challenge.prompt.challenge_id, self.now_s)

    def wait(self, seconds: float) -> None:
        """Stay like that."""
        for _ in range(round(seconds * self.fps)):
            self.frame()

    def wait_until(self, done: Callable[[], bool], at_most_s: float = 60.0) -> None:
        """Stay like that until `done`."""
        end_s = self.now_s + at_most_s
        while not done() and self.end is None and self.now_s < end_s:
            self.frame()

    def wait_for_step(self) -> Step | None:
        """Look straight until something is asked; what that is."""
        self.wait_until(lambda: self.asked not in (None, Step.LOOK_STRAIGHT))
        return self.asked

    def move(self, step: Step, *, takes_s: float = 0.4, holds_s: float = 0.5) -> None:
        """Do a step gradually, hold it, and go back; who came closer stays there."""
        self.step = step
        frames = max(1, round(takes_s * self.fps))
        for i in range(frames):
            self.part = (i + 1) / frames
            self.frame()
        self.wait(holds_s)
        if step is Step.COME_CLOSER:
            self._size *= DONE[step][2]
            self.step, self.part = Step.LOOK_STRAIGHT, 0.0
        else:
            for i in range(frames):
                self.part = 1 - (i + 1) / frames
                self.frame()
            self.step = Step.LOOK_STRAIGHT

    def obey(self, *, reaction_s: float = 0.5) -> Step | None:
        """Do the next thing that is asked; what it was."""
        step = self.wait_for_step()
        if step is not None and self.end is None:
            self.wait(reaction_s)
            self.move(step)
        return step
