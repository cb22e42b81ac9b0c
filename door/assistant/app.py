"""The service that asks the daemon for Home Assistant, which holds no key.

Whoever may publish to the broker can press the button, so a press is worth no more than this:
whoever stands there is looked at. The key that signs for it has a role of its own, which opens and
enrols nothing, claims to be nobody, and sees no picture unless the daemon's owner says so.
"""

from __future__ import annotations

import logging
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from oneglance.config import Config
from oneglance.contract.commands import COMMAND_LIFE, Arg, open_writer
from oneglance.contract.discovery import Announcer, birth_topic
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import PinnedKeys, read_pins
from oneglance.contract.messages import Reply, VisitState, parse
from oneglance.contract.preview import VERB as PREVIEW
from oneglance.contract.topics import Topics
from oneglance.door.assistant.camera import Camera
from oneglance.door.assistant.entities import PRESS, announcements
from oneglance.errors import ConfigError, MessageError, OneglanceError
from oneglance.link import Arrival, LastWill, Link
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)

# Pictures and announcements are looked after this often.
TURN_S = 0.1
FIRST_CONNECT_S = 5.0
# Nobody needs to be looked at more often, and each press costs the daemon a write to its disk.
PRESS_EVERY_S = 3.0
# Visits come five times a second; a longer backlog is somebody flooding a topic.
MAX_WAITING = 40
_MOST_FRAMES = 8


class AssistantApp:
    """Announces what is on, passes presses on as signed commands, and pictures as they are.

    `run` serves until `stop`, in the calling thread. Raises ConfigError if nothing is on, or if
    key, keyring or the broker's certificates are unfit.
    """

    def __init__(
        self,
        config: Config,
        *,
        notifier: Notifier | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
        first_connect_s: float = FIRST_CONNECT_S,
    ) -> None:
        wanted = config.assistant
        if not (wanted.verify or wanted.lock or wanted.camera):
            raise ConfigError(
                "there is nothing to do",
                where="assistant",
                fix="set verify, lock or camera to true; or end this service",
            )
        self._wall, self._monotonic_s = wall, monotonic_s
        self._first_connect_s = first_connect_s
        self._notifier = notifier or Notifier()
        self._stopping = False
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._topics = topics = Topics(config.site.name, config.site.door)
        self._writer = open_writer(topics, wanted.key_file, wall)
        # The broker lets each user hear only the answers to its own name.
        self._answers = topics.reply(config.mqtt.user or "assistant")
        self._asked: dict[str, tuple[bytes, Callable[[Reply], None]]] = {}
        self._pressed_s = -PRESS_EVERY_S
        prefix = config.home_assistant.prefix
        self._birth = birth_topic(prefix)
        self._announcer = Announcer(announcements(topics, prefix, wanted))
        self._camera: Camera | None = None
        self._pictures = topics.preview(self._writer.key_id)
        # The newest win: an old picture is useless.
        self._frames: deque[bytes] = deque(maxlen=_MOST_FRAMES)
        subscriptions = [(self._birth, 0), (self._answers, 1)]
        if wanted.verify:
            subscriptions.append((topics.ask_verify, 0))
        if wanted.camera:
            # Whose pictures are believed must be known from the start.
            read_pins(wanted.public_key_file)
            self._camera = Camera(topics)
            subscriptions += [(topics.visit, 0), (self._pictures, 0)]
        self._pins = PinnedKeys(wanted.public_key_file)
        self._link = Link(
            config.mqtt,
            f"oneglance-assistant-{topics.site}-{topics.door}",
            subscriptions=tuple(subscriptions),
            on_message=self.heard,
            on_connected=lambda: self._inbox.put(self._connected),
            on_disconnected=lambda: self._inbox.put(self._disconnected),
            last_will=LastWill(topics.assistant, b"offline"),
        )

    @property
    def connected(self) -> bool:
        """Whether a press would reach the daemon's broker now."""
        return self._link.connected

    def stop(self) -> None:
        """End `run` soon: from any thread, or from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`. Raises BrokerError if the broker turns us away."""
        try:
            self._link.start()
            if not self._link.wait_connected(self._first_connect_s):
                log.warning("no broker yet; Home Assistant sees nothing of this until there is one")
            self._notifier.ready()
            while not self._stopping:
                self._turn()
        finally:
            self._notifier.stopping()
            self._link.stop((self._topics.assistant, b"offline"))

    def heard(self, arrival: Arrival) -> None:
        """Take what came from the broker; called in the link's thread."""
        # What is retained was meant for somebody else's visit.
        if arrival.retained:
            return
        if arrival.topic == self._pictures:
            self._frames.append(arrival.payload)
        elif self._inbox.qsize() < MAX_WAITING:
            self._inbox.put(lambda: self._handle(arrival))

    def _turn(self) -> None:
        with suppress(queue.Empty):
            self._inbox.get(timeout=TURN_S)()
            for _ in range(self._inbox.qsize()):
                self._inbox.get_nowait()()
        self._announcer.pump(self._monotonic_s(), self._announce)
        if self._camera is not None:
            self._look(self._camera)
        self._link.check_heard()
        if not self._link.alive:
            raise OneglanceError("the network thread has died")
        self._notifier.watchdog()

    def _connected(self) -> None:
        self._link.publish(self._topics.assistant, b"online", qos=1, retain=True)
        self._announcer.connected(self._monotonic_s())

    def _disconnected(self) -> None:
        self._frames.clear()
        if self._camera is not None:
            self._camera.disconnected()

    def _announce(self, topic: str, payload: bytes) -> bool:
        return self._link.publish(topic, payload, qos=1, retain=True)

    def _handle(self, arrival: Arrival) -> None:
        now_s = self._monotonic_s()
        try:
            if arrival.topic == self._birth:
                if arrival.payload == b"online":
                    self._announcer.born(now_s)
            elif arrival.topic == self._topics.ask_verify:
                self._press(arrival.payload, now_s)
            elif arrival.topic == self._answers:
                self._answered(arrival)
            elif self._camera is not None:
                visit = parse(arrival.payload, VisitState, arrival.topic)
                self._camera.visited(visit, now_s)
        except MessageError as error:
            log.warning("left out: %s", error)

    def _press(self, payload: bytes, now_s: float) -> None:
        if payload != PRESS.encode() or now_s - self._pressed_s < PRESS_EVERY_S:
            log.debug("no press, or one too many")
            return
        self._pressed_s = now_s
        said = self._ask("verify-now", self._looked_at)
        log.info("the button was pressed%s", "" if said else ", but there is no broker: dropped")

    def _looked_at(self, reply: Reply) -> None:
        log.log(logging.INFO if reply.ok else logging.WARNING, "the daemon answers: %r", reply.code)

    def _look(self, camera: Camera) -> None:
        now_s = self._monotonic_s()
        frames = [self._frames.popleft() for _ in range(len(self._frames))]
        if frames:
            valid = self._pins.current().valid(Role.DAEMON, self._wall())
            keys = [entry.key for entry in valid]
            for frame in frames:
                camera.arrived(frame, keys, now_s)
        if self._link.connected:
            half = camera.due(now_s)
            if half:
                self._ask(PREVIEW, lambda reply: self._let_see(camera, reply), key=half)
        picture = camera.picture(now_s)
        if picture is not None:
            self._link.publish(self._topics.picture, picture, qos=0, expiry_s=1)

    def _let_see(self, camera: Camera, reply: Reply) -> None:
        if not reply.ok:
            log.warning("no live picture: %r", reply.code)
            camera.refused(reply.code, self._monotonic_s())

    def _ask(self, verb: str, then: Callable[[Reply], None], **args: Arg) -> bool:
        """Send a command whose answer goes to `then`; False if it could not be sent at once."""
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

    def _answered(self, arrival: Arrival) -> None:
        for verb, (correlation, then) in self._asked.items():
            if arrival.correlation == correlation:
                del self._asked[verb]
                then(parse(arrival.payload, Reply, arrival.topic))
                return
