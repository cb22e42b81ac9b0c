"""The receiver's half of the live picture: when to ask, what may be shown, and how old it is.

Pure: a monotonic time is passed in. The daemon's clock is never compared with this machine's: a
frame's age is how much longer it took than the quickest of its lease, plus the time since it came.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.contract.commands import Code
from oneglance.contract.messages import FaceBox
from oneglance.contract.preview import LEASE_S, PreviewReceiver
from oneglance.contract.preview_jpeg import jpeg_size
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

log = logging.getLogger(__name__)

RENEW_S = 10.0
# No picture for this long after asking: the command was lost, the daemon is new, or its cameras are
# gone. The wait doubles with each failure in a row, as each request goes into the daemon's log.
SILENCE_S, MOST_SILENCE_S = 3.0, 60.0
# A daemon that does not know the verb or this key is unlikely to learn it soon.
REFUSED_S, BUSY_S = 60.0, 5.0
# The age from which on it is shown, and that from which on the picture is not.
STALE_S, BLANK_S = 0.7, 2.0
# The daemon sends smaller pictures; a file that claims to be larger is not opened.
MAX_SIDE_PX = 1024


@dataclass(frozen=True, slots=True)
class Shot:
    """What can be shown: a JPEG file of `size_px`, where the face is, and its age."""

    number: int
    jpeg: bytes = field(repr=False)
    size_px: tuple[int, int]
    face: FaceBox | None
    age_s: float

    @property
    def stale(self) -> bool:
        """Whether its age should be shown."""
        return self.age_s > STALE_S


class PreviewLease:
    """One screen's lease: `due` says with which half of a key to ask; `arrived` takes frames."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._receiver: PreviewReceiver | None = None
        self._asked_s = self._began_s = -math.inf
        self._not_before_s = -math.inf
        self._silence_s = SILENCE_S
        self._wanted = False
        self._shot: Shot | None = None
        self._taken_s = self._quickest_s = math.inf
        self._refusal = ""
        self._number = 0

    def due(self, wanted: bool, now_s: float) -> str:
        """The half to ask with now, which then counts as asked; empty if none is due."""
        self._wanted = wanted
        over = now_s - self._asked_s >= LEASE_S
        if not wanted:
            if over:
                self.forget()
            return ""
        if now_s < self._not_before_s:
            return ""
        heard_s = self._began_s if self._shot is None else self._taken_s
        if self._receiver is not None and now_s - heard_s >= self._silence_s:
            self._silence_s = min(MOST_SILENCE_S, 2 * self._silence_s)
            over = True
        elif self._receiver is not None and (self._shot is None or now_s - self._asked_s < RENEW_S):
            return ""
        if self._receiver is None or over:
            self._begin(now_s)
        self._asked_s = now_s
        return self._receiver.half if self._receiver is not None else ""

    def refused(self, code: str, now_s: float) -> None:
        """The daemon refused: ask again later."""
        self.forget()
        self._not_before_s = now_s + (BUSY_S if code == Code.BUSY else REFUSED_S)

    def arrived(self, payload: bytes, keys: Iterable[Ed25519PublicKey], now_s: float) -> None:
        """Take a frame; what is no picture for this screen is dropped, with a line in the log."""
        if self._receiver is None:
            return
        try:
            picture = self._receiver.open(payload, keys)
            if picture is None:
                return
            size_px = jpeg_size(picture.jpeg)
            if max(size_px) > MAX_SIDE_PX:
                raise MessageError(f"a picture of {size_px[0]}x{size_px[1]} pixels")
        except MessageError as error:
            if str(error) != self._refusal:
                self._refusal = str(error)
                log.warning("no picture: %s", error)
            return
        self._refusal, self._silence_s = "", SILENCE_S
        offset_s = now_s - picture.captured_ms / 1000
        self._quickest_s = min(self._quickest_s, offset_s)
        self._taken_s = now_s - (offset_s - self._quickest_s)
        self._number += 1
        self._shot = Shot(self._number, picture.jpeg, size_px, picture.face, 0.0)

    def shot(self, now_s: float) -> Shot | None:
        """What may be shown now; None if nothing is wanted, or nothing is new enough."""
        shot = self._shot
        if shot is None or not self._wanted:
            return None
        age_s = now_s - self._taken_s
        if not 0 <= age_s < BLANK_S:
            return None
        return Shot(shot.number, shot.jpeg, shot.size_px, shot.face, age_s)

    def forget(self) -> None:
        """End the lease on this side: its key and its last picture are dropped."""
        self._receiver, self._shot = None, None
        self._asked_s = self._began_s = -math.inf
        self._taken_s = self._quickest_s = math.inf

    def _begin(self, now_s: float) -> None:
        self.forget()
        self._receiver = PreviewReceiver(self._topics)
        self._began_s = now_s
