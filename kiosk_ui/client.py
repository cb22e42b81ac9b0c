"""The kiosk's connection: messages become events for the reducer, and requests are sent.

The link's thread only puts messages into a queue; `drain`, called by the window's thread once a
frame, reads them. So the gate checks a decision just before it is shown: one that waited behind a
frozen window has expired by then and is refused.

The last sequence that the gate saw is not kept on disk here. A screen that restarts could be made
to show a decision twice while it is still fresh (ten seconds at most), but it opens nothing. The
lock does, and keeps its memory on disk.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from oneglance.config import Config
from oneglance.contract.commands import COMMAND_LIFE, Arg, open_writer
from oneglance.contract.gate import Gate, UnseenAliveError, UntimelyError
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import PinnedKeys, read_pins
from oneglance.contract.messages import (
    AccessState,
    Challenge,
    DoorState,
    Reply,
    Status,
    VisitState,
    parse,
)
from oneglance.contract.preview import VERB as PREVIEW
from oneglance.contract.preview_lease import PreviewLease, Shot
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError
from oneglance.kiosk_ui.preview_socket import LocalPictures
from oneglance.kiosk_ui.reducer import (
    AccessArrived,
    ChallengeArrived,
    ClockDoubted,
    Connected,
    DecisionArrived,
    Disconnected,
    DoorArrived,
    Event,
    LivenessMissed,
    PinAnswered,
    StatusArrived,
    Unheard,
    VisitArrived,
)
from oneglance.link import Arrival, Link

log = logging.getLogger(__name__)

# Some twenty seconds of visits. More pile up only while the window is frozen, and then visits and
# decisions are stale, but the latest word of the daemon and the lock must never be lost.
MAX_WAITING = 256
# As many frames as come at once where screens share a key, and so a topic: one for each of them.
_MOST_FRAMES = 8
# A message left unread for this long has aged here, whatever the clocks say.
_FROZEN_S = 1.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KioskClient:
    """Listens to one door's daemon and lock, and reports what it has shown.

    Raises ConfigError at once if the public key, certificates or password cannot be used.
    """

    def __init__(
        self,
        config: Config,
        *,
        wall: Callable[[], datetime] = _utc_now,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = Topics(config.site.name, config.site.door)
        keys = read_pins(config.kiosk.public_key_file)
        self._pins = PinnedKeys(config.kiosk.public_key_file)
        alive = config.requires_liveness
        self._gate = Gate(self._topics, keys, wall, monotonic_s, require_liveness=alive)
        key_file = config.kiosk.key_file
        self._writer = None
        if key_file is not None and not _stands_for_none(key_file):
            self._writer = open_writer(self._topics, key_file, wall)
        self._told = ""
        # The broker lets each user hear only the answers to its own name.
        self._answers = self._topics.reply(config.mqtt.user or "kiosk")
        # The last request for each verb, and what to do with its answer.
        self._asked: dict[str, tuple[bytes, Callable[[Reply], Event | None]]] = {}
        answers: tuple[tuple[str, int], ...] = ()
        if self._writer is not None:
            answers = ((self._answers, 1),)
        self._wall, self._monotonic_s = wall, monotonic_s
        self._drained_s = monotonic_s()
        self._frozen = False
        # What the daemon said to the last `verify`, until somebody takes it from here.
        self.verify_code: str | None = None
        self._lease: PreviewLease | None = None
        self._pictures = ""
        # The newest win: an old picture is useless.
        self._frames: deque[bytes] = deque(maxlen=_MOST_FRAMES)
        if self._writer is not None and config.kiosk.preview:
            self._lease = PreviewLease(self._topics)
            self._pictures = self._topics.preview(self._writer.key_id)
            answers += ((self._pictures, 0),)
        path = config.preview.socket
        self._local = None if path is None else LocalPictures(path)
        # Without these the screen cannot work.
        self._needed = (
            self._topics.status,
            self._topics.visit,
            self._topics.access,
            self._topics.challenge,
            self._topics.decision,
        )
        self._unheard: tuple[str, ...] = ()
        self._waiting: deque[Arrival | Connected | Disconnected] = deque()
        # Set whenever something arrives, to wake whoever waits for it.
        self.news = threading.Event()
        self._link = Link(
            config.mqtt,
            # Two screens at one door must not disconnect each other from the broker.
            f"oneglance-kiosk-{config.site.door}-{secrets.token_hex(4)}",
            subscriptions=(
                (self._topics.status, 1),
                (self._topics.visit, 0),
                (self._topics.access, 0),
                (self._topics.challenge, 1),
                (self._topics.decision, 1),
                (self._topics.door_state, 1),
                *answers,
            ),
            on_message=self.arrived,
            on_connected=lambda: self._tell(Connected()),
            on_disconnected=lambda: self._tell(Disconnected()),
        )

    @property
    def alive(self) -> bool:
        """Whether the listening thread is still running."""
        return self._link.alive

    def start(self) -> None:
        """Start connecting, in the background and for as long as it takes."""
        self._link.start()

    def stop(self) -> None:
        """Disconnect for good."""
        self._link.stop()
        if self._local is not None:
            self._local.close()

    def shown(self, challenge: Challenge) -> None:
        """The window shows it: tell the daemon, once, since an answer counts only from then on."""
        if challenge.challenge_id == self._told:
            return
        self._told = challenge.challenge_id
        if self._writer is None:
            log.warning("shown, but without kiosk.key_file the daemon cannot know: it will refuse")
            return
        payload = self._writer.write("challenge-shown", challenge_id=challenge.challenge_id)
        topic = self._topics.command("challenge-shown")
        self._link.publish(topic, payload, qos=1, expiry_s=int(COMMAND_LIFE.total_seconds()))

    def claim(self, pin: str) -> bool:
        """Ask the daemon to look for the person with this PIN; `drain` returns the answer.

        False if it could not be sent at once: a late claim would apply to whoever stands there by
        then.
        """
        return self._ask("claim", self._claim_answered, pin=pin)

    def verify(self) -> bool:
        """Ask the daemon to look at whoever stands there; `drain` returns the answer.

        False if it could not be sent at once.
        """
        return self._ask("verify-now", self._verify_answered)

    def picture(self, *, wanted: bool) -> Shot | None:
        """The visitors' own picture at this moment, or None; call it each turn.

        While it is `wanted` the daemon is asked for it.
        """
        if self._lease is None:
            return None
        now_s = self._monotonic_s()
        frames = [self._frames.popleft() for _ in range(len(self._frames))]
        local = None if self._local is None else self._local.newest()
        if local is not None:
            frames = [local]
        if frames:
            valid = self._pins.current().valid(Role.DAEMON, self._wall())
            keys = [entry.key for entry in valid]
            for frame in frames:
                self._lease.arrived(frame, keys, now_s)
        if self._link.connected:
            half = self._lease.due(wanted, now_s)
            if half:
                if self._local is not None:
                    self._local.ask(half)
                self._ask(PREVIEW, self._preview_answered, key=half)
        else:
            self._lease.forget()
        return self._lease.shot(now_s)

    def picture_anew(self) -> None:
        """Restart the live picture with a new lease."""
        if self._lease is not None:
            self._lease.forget()

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""
        return self._link.connected

    def _ask(self, verb: str, then: Callable[[Reply], Event | None], **args: Arg) -> bool:
        """Send a command whose answer goes to `then`; False if it could not be sent at once."""
        if self._writer is None:
            return False
        correlation = secrets.token_bytes(8)
        self._asked[verb] = (correlation, then)
        return self._link.publish(
            self._topics.command(verb),
            self._writer.write(verb, self._answers, **args),
            qos=1,
            expiry_s=int(COMMAND_LIFE.total_seconds()),
            correlation=correlation,
            response_topic=self._answers,
        )

    def drain(self) -> list[Event]:
        """What arrived since the last call, in order; call it at least once a second.

        A message that cannot be read or must not be believed is logged and left out; only an
        unreadable status is reported, as unknown.
        """
        now_s = self._monotonic_s()
        self._frozen = now_s - self._drained_s > _FROZEN_S
        self._drained_s = now_s
        self._gate.tick()
        self._gate.key = self._pins.current()
        events: list[Event] = []
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            event = self._read(waiting) if isinstance(waiting, Arrival) else waiting
            if event is not None:
                events.append(event)
        unheard = tuple(
            topic.rsplit("/", 1)[1] for topic in self._needed if topic in self._link.deaf
        )
        if unheard != self._unheard:
            self._unheard = unheard
            events.append(Unheard(unheard))
        return events

    def arrived(self, arrival: Arrival) -> None:
        """Take what came from the broker, for `drain`; called in the link's thread."""
        if arrival.topic == self._pictures:
            if not arrival.retained:
                self._frames.append(arrival.payload)
                self.news.set()
            return
        kept = (self._topics.status, self._topics.door_state)
        if arrival.topic not in kept and len(self._waiting) >= MAX_WAITING:
            return
        self._tell(arrival)

    def _tell(self, news: Arrival | Connected | Disconnected) -> None:
        self._waiting.append(news)
        self.news.set()

    def _read(self, arrival: Arrival) -> Event | None:
        topic = arrival.topic
        try:
            if topic == self._topics.decision:
                decision = self._gate.admit(arrival.payload, retained=arrival.retained)
                return DecisionArrived(decision)
            if topic == self._topics.challenge:
                challenge = self._gate.admit_challenge(arrival.payload, retained=arrival.retained)
                return ChallengeArrived(challenge)
            if topic == self._topics.visit:
                return (
                    None
                    if arrival.retained
                    else VisitArrived(parse(arrival.payload, VisitState, topic))
                )
            if topic == self._topics.access:
                if arrival.retained:
                    return None
                return AccessArrived(parse(arrival.payload, AccessState, topic))
            if topic == self._topics.door_state:
                return DoorArrived(parse(arrival.payload, DoorState, topic))
            if topic == self._answers:
                return self._answer(arrival)
            return StatusArrived(parse(arrival.payload, Status, topic))
        except MessageError as error:
            log.warning("not shown: %s", error)
            return self._of_refused(topic, error)

    def _of_refused(self, topic: str, error: MessageError) -> Event | None:
        """What the screen must know about a message that was refused."""
        if topic == self._topics.status:
            return StatusArrived(None)
        if topic == self._topics.door_state:
            return DoorArrived(None)
        if isinstance(error, UnseenAliveError):
            return LivenessMissed()
        untimely = topic == self._topics.decision and isinstance(error, UntimelyError)
        return ClockDoubted() if untimely and not self._frozen else None

    def _answer(self, arrival: Arrival) -> Event | None:
        """What an answer means; an answer to an earlier request or another screen means nothing."""
        for verb, (correlation, then) in self._asked.items():
            if arrival.correlation == correlation:
                del self._asked[verb]
                return then(parse(arrival.payload, Reply, arrival.topic))
        return None

    def _claim_answered(self, reply: Reply) -> Event | None:
        if not reply.ok:
            log.warning("a PIN was not taken: %r", reply.code)
        return PinAnswered(reply.code)

    def _verify_answered(self, reply: Reply) -> Event | None:
        if not reply.ok:
            log.warning("nobody is looked at on request: %r", reply.code)
        self.verify_code = reply.code
        return None

    def _preview_answered(self, reply: Reply) -> Event | None:
        if not reply.ok and self._lease is not None:
            log.warning("no live picture: %r", reply.code)
            self._lease.refused(reply.code, self._monotonic_s())
        return None


def _stands_for_none(key_file: Path) -> bool:
    """Whether it is what the unit's SetCredential provides if there is no key."""
    try:
        with key_file.open("rb") as file:
            return file.read(8).strip() == b"none"
    except OSError:
        return False
