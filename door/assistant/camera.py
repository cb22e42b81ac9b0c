"""The live picture on its way to Home Assistant, while somebody stands at the door. Pure.

It comes as to a screen: asked for by a signed command, sealed to this process alone. From here on
whoever may listen at the broker sees it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.contract.messages import Phase, VisitState
from oneglance.contract.preview_lease import PreviewLease
from oneglance.contract.topics import Topics

# Home Assistant itself asks its cameras for a picture no more often.
EVERY_S = 0.5
# The daemon tells of a visit five times a second.
GONE_AFTER_S = 5.0


class Camera:
    """When to ask for pictures, and which one to pass on. Times are monotonic."""

    def __init__(self, topics: Topics) -> None:
        self._lease = PreviewLease(topics)
        self._until_s = -math.inf
        self._passed_s = -math.inf
        self._passed = 0

    def visited(self, visit: VisitState, now_s: float) -> None:
        """The daemon says whether somebody is there."""
        self._until_s = -math.inf if visit.phase is Phase.IDLE else now_s + GONE_AFTER_S

    def due(self, now_s: float) -> str:
        """The half of a key to ask for pictures with; empty if it is not time to ask."""
        return self._lease.due(now_s < self._until_s, now_s)

    def refused(self, code: str, now_s: float) -> None:
        """The daemon does not let us see."""
        self._lease.refused(code, now_s)

    def arrived(self, payload: bytes, keys: Iterable[Ed25519PublicKey], now_s: float) -> None:
        """Take what came; what none of the daemon's `keys` stands for is left out."""
        self._lease.arrived(payload, keys, now_s)

    def disconnected(self) -> None:
        """Nothing that comes later belongs to what was asked."""
        self._lease.forget()

    def picture(self, now_s: float) -> bytes | None:
        """The JPEG file to pass on now, None if there is no news; empty when all are gone."""
        shot = self._lease.shot(now_s)
        if shot is None:
            gone, self._passed = self._passed > 0, 0
            return b"" if gone else None
        if shot.number == self._passed or now_s - self._passed_s < EVERY_S:
            return None
        self._passed, self._passed_s = shot.number, now_s
        return shot.jpeg
