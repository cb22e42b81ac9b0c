"""The live picture, for a screen that asks for it: no lease, no work.

A lease is a signed command's, good for LEASE_S, and lapses by itself. While there is one, the
vision thread leaves its newest frame here and goes on; a thread of its own encodes and seals it.
What that thread has no time for, or the network none, is dropped: nothing ever queues.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.clocks import Clocks
from oneglance.config import PreviewConfig
from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.contract.messages import FaceBox
from oneglance.contract.preview import LEASE_S, MAX_JPEG_BYTES, Picture, PreviewSender, half_of
from oneglance.contract.topics import Topics
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.preview_jpeg import PreviewEncoder
from oneglance.daemon.voice.preview_socket import PreviewSocket
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, Verb, only, text_of
from oneglance.daemon.voice.visit_feed import face_box, largest
from oneglance.errors import MessageError

log = logging.getLogger(__name__)

# Of two cameras that see one visitor the first is stayed with until it has seen nobody for so long.
SWITCH_AFTER_S = 1.0
# Without frames the thread still looks around this often.
_TICK_S = 0.5

# Topic and payload; False if the broker is away.
SendFrame = Callable[[str, bytes], bool]


@dataclass(slots=True)
class _Lease:
    key_id: str
    topic: str
    sender: PreviewSender
    until_s: float


class Preview:
    """Who watches, and what they are sent. `verb` is the command's; the vision thread `offer`s.

    `clear` says whether the link has sent all that it was given. What `local` takes for a half, a
    screen on this machine, does not go over the link.
    """

    def __init__(
        self,
        config: PreviewConfig,
        topics: Topics,
        signing: Ed25519PrivateKey,
        send: SendFrame,
        clear: Callable[[], bool],
        clocks: Clocks,
        local: PreviewSocket | None = None,
    ) -> None:
        self._config = config
        self._local = local
        self._topics = topics
        self._signing = signing
        self._send = send
        self._clear = clear
        self._clocks = clocks
        self._changed = threading.Condition()
        self._leases: dict[bytes, _Lease] = {}
        self._waiting: tuple[Frame, FaceBox | None] | None = None
        self._next_s = float("-inf")
        self._camera = ""
        self._face_at_s = float("-inf")
        self._stopping = False
        self._encoder = PreviewEncoder(MAX_JPEG_BYTES)
        self._thread = threading.Thread(target=self._serve, name="preview", daemon=True)
        # How many frames were encoded, and how many found the last ones still on their way.
        self.encoded = 0
        self.dropped = 0

    @property
    def verb(self) -> Verb:
        """The command `preview`: a lease for the screen whose half of a key is given."""
        roles = {Role.KIOSK, Role.ASSISTANT} if self._config.assistant else {Role.KIOSK}
        return Verb(frozenset(roles), self._lease, at_once=True)

    def start(self) -> None:
        """Begin to send."""
        if self._local is not None:
            self._local.start()
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End that."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._local is not None:
            self._local.stop(timeout_s)

    def offer(self, reports: Sequence[StepReport]) -> None:
        """Leave the newest frame here if somebody watches; the vision thread waits for nothing."""
        # Whether there is a lease is read without the lock: at worst a frame is missed.
        if not self._leases or not reports:
            return
        now_s = self._clocks.monotonic_s()
        if now_s < self._next_s:
            return
        if now_s - self._face_at_s < SWITCH_AFTER_S:
            reports = [report for report in reports if report.frame.camera == self._camera]
        seen = largest(reports)
        if seen is not None:
            report, view = seen
            self._face_at_s = now_s
            chosen: tuple[Frame, FaceBox | None] = report.frame, face_box(report, view)
        else:
            frames = [report.frame for report in reports]
            same = (frame for frame in frames if self._camera in ("", frame.camera))
            alone = next(same, None)
            if alone is None:
                return
            chosen = alone, None
        self._camera = chosen[0].camera
        self._next_s = now_s + 1 / self._config.fps
        with self._changed:
            self._waiting = chosen
            self._changed.notify_all()

    def _lease(self, args: Args, sender: Sender) -> str:
        only(args, "key")
        try:
            half = half_of(text_of(args, "key"))
            with self._changed:
                self._extend(half, sender.key_id)
        except MessageError as error:
            raise CommandRefusedError(Code.BAD_ARGUMENTS, error.what) from None
        return f"for {LEASE_S:g} s"

    def _extend(self, half: bytes, key_id: str) -> None:
        now_s = self._clocks.monotonic_s()
        self._drop_lapsed(now_s)
        lease = self._leases.get(half)
        if lease is not None:
            if lease.key_id != key_id:
                # It would end the lease of the screen whose half it is.
                raise CommandRefusedError(Code.BAD_ARGUMENTS, "the half of another screen's key")
            lease.until_s = now_s + LEASE_S
            return
        leases = dict(self._leases)
        if len(leases) >= self._config.screens:
            # A screen that begins anew takes its own place, or the second one of another.
            places = Counter(held.key_id for held in leases.values())
            own = [other for other, held in leases.items() if held.key_id == key_id]
            own += [other for other, held in leases.items() if places[held.key_id] > 1]
            if not own:
                raise CommandRefusedError(
                    Code.BUSY,
                    f"{len(leases)} other screens show the preview",
                    fix="allow more with preview.screens",
                )
            del leases[own[0]]
        topic = self._topics.preview(key_id)
        leases[half] = _Lease(
            key_id, topic, PreviewSender(self._topics, self._signing, half), now_s + LEASE_S
        )
        self._leases = leases

    def _drop_lapsed(self, now_s: float) -> None:
        self._leases = {half: held for half, held in self._leases.items() if now_s < held.until_s}
        if not self._leases:
            # Who asks next sees nothing from before that.
            self._waiting = None

    def turn(self) -> None:
        """One round of the thread: waits a moment for a frame, and sends it to who watches."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting, _TICK_S)
            self._drop_lapsed(self._clocks.monotonic_s())
            taken, self._waiting = self._waiting, None
            leases = list(self._leases.items())
        if taken is not None and leases and not self._stopping:
            self._send_to(leases, *taken)

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self.turn()
        except Exception:
            # The door goes on without it; who watches sees an old picture go.
            log.exception("the preview failed and is off until the daemon starts again")
            self._leases = {}
            self._config = self._config.model_copy(update={"screens": 0})

    def _send_to(
        self, leases: list[tuple[bytes, _Lease]], frame: Frame, face: FaceBox | None
    ) -> None:
        local = self._local
        here = frozenset() if local is None else local.halves
        clear = self._clear()
        due = [(half, lease) for half, lease in leases if clear or half in here]
        if not due:
            self.dropped += 1
            return
        jpeg = self._encoder.encode(frame.pixels)
        if jpeg is None:
            return
        self.encoded += 1
        picture = Picture(round(1000 * frame.captured_at_s), face, jpeg)
        for half, lease in due:
            payload = lease.sender.seal(picture)
            if local is None or not local.send(half, payload):
                self._send(lease.topic, payload)
