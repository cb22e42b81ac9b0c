"""Messages waiting to be sent: bounded, and never sent late. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message; after `deadline_s` (monotonic) it is worthless and must not leave."""

    payload: bytes
    deadline_s: float
    visit_id: str = ""


class Outbox:
    """Messages in their order, at most `size`; the oldest gives way. `dropped` are counted.

    `take_dropped` tells once which visits lost their message that way.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("an outbox holds at least one message")
        self._size = size
        self._waiting: deque[Outgoing] = deque()
        self._lost: deque[str] = deque(maxlen=4 * size)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Outgoing) -> None:
        """Add a message; a full outbox drops its oldest for it."""
        self._waiting.append(message)
        while len(self._waiting) > self._size:
            self._drop(self._waiting.popleft())

    def drop_expired(self, now_s: float) -> None:
        """Discard messages that are late at `now_s`."""
        for _ in range(len(self._waiting)):
            message = self._waiting.popleft()
            if now_s < message.deadline_s:
                self._waiting.append(message)
            else:
                self._drop(message)

    def send(self, now_s: float, transmit: Callable[[Outgoing], bool]) -> int:
        """Hand fresh messages to `transmit`, oldest first, until it says False; returns how many.

        What was handed over is gone from here, whatever becomes of it: it is never sent twice.
        """
        self.drop_expired(now_s)
        sent = 0
        while self._waiting and transmit(self._waiting[0]):
            self._waiting.popleft()
            sent += 1
        return sent

    def take_dropped(self) -> list[str]:
        """The visit_id of each message dropped since the last call."""
        lost = list(self._lost)
        self._lost.clear()
        return lost

    def _drop(self, message: Outgoing) -> None:
        self.dropped += 1
        self._lost.append(message.visit_id)
