"""Frames on their way from the cameras to the vision thread: the newest wins, nothing queues."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera.

    `pixels` is uint8 (H, W, 3) BGR. `captured_at_s` is the monotonic clock when it was handed
    over; `at_s` its place on the camera's own timeline (the same for a live camera, index / fps
    for a recording, so that what is seen does not depend on how fast this machine is).
    """

    pixels: NDArray[np.uint8]
    captured_at_s: float
    at_s: float
    index: int
    camera: str

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 (H, W, 3), got {self.pixels.dtype} {self.pixels.shape}"
            )


class FrameExchange:
    """The cameras' slots, and one condition on which the vision thread waits for any of them.

    `keep_lost` is for callers who want any picture from a camera, not just a current one.
    """

    def __init__(self, cameras: tuple[str, ...], *, keep_lost: bool = False) -> None:
        self._changed = threading.Condition()
        self._slots = {name: LatestFrame(self._changed, keep_lost) for name in cameras}

    def __getitem__(self, camera: str) -> LatestFrame:
        return self._slots[camera]

    def take(self, timeout_s: float) -> list[Frame]:
        """The newest frame of each camera that has one, as soon as any has; [] at the timeout.

        Frames taken before then count as processed.
        """
        with self._changed:
            for slot in self._slots.values():
                slot.taken = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: any(s.waiting for s in self._slots.values()), timeout_s)
            frames = []
            for slot in self._slots.values():
                if slot.waiting is not None:
                    frames.append(slot.waiting)
                    slot.taken, slot.waiting = slot.waiting, None
            return frames

    @property
    def dropped(self) -> int:
        """How many frames were replaced by newer ones before anybody took them."""
        return sum(slot.dropped for slot in self._slots.values())

    @property
    def idle(self) -> bool:
        """Whether everything that was put has been processed."""
        with self._changed:
            return all(s.waiting is None and s.taken is None for s in self._slots.values())


class LatestFrame:
    """One camera's slot: a new frame replaces one that nobody took. Made by FrameExchange."""

    def __init__(self, changed: threading.Condition, keep_lost: bool) -> None:
        self._changed = changed
        self._keep_lost = keep_lost
        self.waiting: Frame | None = None
        self.taken: Frame | None = None
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Offer the newest frame; what was waiting is dropped and counted."""
        with self._changed:
            if self.waiting is not None:
                self.dropped += 1
            self.waiting = frame
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget a frame that nobody took: its camera is gone, and it will not get fresher."""
        with self._changed:
            if self.waiting is not None and not self._keep_lost:
                self.dropped += 1
                self.waiting = None

    def wait_idle(self, stopped: Callable[[], bool]) -> bool:
        """Wait until all has been processed. False if `stopped()` became true first."""
        with self._changed:
            while not stopped():
                if self.waiting is None and self.taken is None:
                    return True
                self._changed.wait(0.1)
            return False
