"""Answers to commands: each is sent once, in order, as soon as the link takes it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from oneglance.contract.messages import Reply

log = logging.getLogger(__name__)

MAX_WAITING = 512
# Nobody waits longer for an answer.
STALE_S = 30.0

SendReply = Callable[[str, bytes | None, Reply], bool]


@dataclass(frozen=True, slots=True)
class _Answer:
    topic: str
    correlation: bytes | None
    reply: Reply
    at_s: float


class Answers:
    """Answers on their way. `send` says whether the link took one; any thread may call.

    What finds no room, or grows stale while the broker is away, is counted and told in one line.
    """

    def __init__(self, send: SendReply, clock_s: Callable[[], float]) -> None:
        self._send = send
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._waiting: deque[_Answer] = deque()
        self._lost = 0

    def give(self, topic: str, correlation: bytes | None, reply: Reply) -> None:
        """Send an answer now, or as soon as the link takes it."""
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self._lost += 1
                return
            self._waiting.append(_Answer(topic, correlation, reply, self._clock_s()))
            self._flush()

    def flush(self) -> None:
        """Send what waits; call it a few times a second."""
        with self._lock:
            self._flush()
            lost = self._lost
            if lost and not self._waiting:
                self._lost = 0
                log.warning("%d commands got no answer: too many at once, or no broker", lost)

    def _flush(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if self._clock_s() - first.at_s > STALE_S:
                self._lost += 1
            elif not self._send(first.topic, first.correlation, first.reply):
                return
            self._waiting.popleft()
