"""The daemon's voice: status, visits, signed decisions and challenges, answers to commands."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from oneglance import __version__
from oneglance.certificate import CertificateWatch, shown_until
from oneglance.clocks import Clocks
from oneglance.config import MqttConfig
from oneglance.contract.messages import (
    LOCK_TEST,
    AccessState,
    Decision,
    Factor,
    Result,
    ServiceState,
    Status,
    VisitState,
)
from oneglance.contract.sharing import GalleryState
from oneglance.contract.signing import unpack
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.home_assistant import HomeAssistant
from oneglance.daemon.voice.outbox import Outbox, Outgoing
from oneglance.link import Arrival, LastWill, Link

log = logging.getLogger(__name__)

OUTBOX_SIZE = 16
REPLY_EXPIRY_S = 30
RESULT_EXPIRY_S = 10
# A retained status outlives its daemon in a broker that keeps its messages on disk. Repeated this
# often, its absence tells listeners something.
STATUS_EVERY_S = 30.0
# Decisions that the broker refused are told in one line each time.
TELL_EVERY_S = 10.0


class Ear(Protocol):
    """A listener for the shared gallery; both are called in the network's thread."""

    def arrived(self, arrival: Arrival) -> None:
        """Something came that is no command."""

    def connected(self) -> None:
        """A new connection stands, which hears nothing yet but the gallery's own topic."""


class Publisher:
    """Publishes for one door, and hands commands to `on_command` (in the network's thread).

    `claims`: by what visitors say who they are, where nobody may enter by a face alone.
    With an `ear`, whatever is published of the shared gallery is for that.

    All methods may be called from any thread; none waits for the network except `stop`. Raises
    ConfigError if the password or certificates cannot be used.
    """

    def __init__(
        self,
        mqtt: MqttConfig,
        topics: Topics,
        *,
        model_id: str,
        model_variant: str,
        clocks: Clocks,
        on_command: Callable[[Arrival], None],
        claims: tuple[Factor, ...] = (),
        home_assistant: HomeAssistant | None = None,
        ear: Ear | None = None,
    ) -> None:
        self._topics = topics
        self._on_command = on_command
        self._ear = ear
        self._home_assistant = home_assistant
        birth = home_assistant.birth_topic if home_assistant is not None else ""
        self._model_id = model_id
        self._model_variant = model_variant
        self._claims = claims
        self._clocks = clocks
        self._lock = threading.RLock()
        self._outbox = Outbox(OUTBOX_SIZE)
        self._told_refused = 0
        self._tell_at_s = -math.inf
        self._reasons: tuple[str, ...] = ("starting",)
        self._status_at_s = clocks.monotonic_s()
        self._certificate = (
            CertificateWatch(partial(shown_until, mqtt), clocks.wall) if mqtt.tls else None
        )
        self.link = Link(
            mqtt,
            f"oneglance-daemon-{topics.site}-{topics.door}",
            subscriptions=(
                (topics.commands, 1),
                *(((birth, 0),) if birth else ()),
                *(((topics.gallery, 1),) if ear is not None else ()),
            ),
            on_message=self._arrived,
            on_connected=self._connected,
            last_will=LastWill(topics.status, self._status(("vanished",), offline=True)),
        )

    @property
    def unheard(self) -> bool:
        """Whether the broker does not let us hear commands, and says so."""
        return self._topics.commands in self.link.deaf

    @property
    def unsaid(self) -> bool:
        """Whether the broker refused the newest decision that it answered: no lock heard it."""
        return self._topics.decision in self.link.refusing

    @property
    def certificate_ends(self) -> bool:
        """Whether the broker's certificate ends soon; then nobody connects to it any more."""
        return self._certificate is not None and self._certificate.ends_soon

    @property
    def dropped(self) -> int:
        """How many decisions expired before they could leave."""
        return self._outbox.dropped

    def start(self, timeout_s: float) -> bool:
        """Connect; False if the broker cannot be reached yet (it is tried again and again).

        Raises BrokerError if the broker refuses us.
        """
        self.link.start()
        if self._certificate is not None:
            self._certificate.start()
        return self.link.wait_connected(timeout_s)

    def stop(self, reasons: tuple[str, ...] = ()) -> None:
        """Say goodbye with status `offline`, and disconnect."""
        if self._certificate is not None:
            self._certificate.stop()
        self.link.stop((self._topics.status, self._status(reasons, offline=True)))

    def set_reasons(self, reasons: tuple[str, ...]) -> None:
        """Why the service is degraded, nothing if it is not; published when it changes."""
        with self._lock:
            if reasons != self._reasons:
                self._reasons = reasons
                self._publish_status()

    def decision(self, message: Outgoing) -> None:
        """Send a signed decision now, or as soon as the broker is back, but never late."""
        with self._lock:
            self._outbox.put(message)
            self.pump()

    def pump(self) -> None:
        """Send what waits, drop what is late, repeat the status; call it a few times a second."""
        with self._lock:
            now_s = self._clocks.monotonic_s()
            self._outbox.send(now_s, self._transmit)
            self._tell_refused(now_s)
            if now_s - self._status_at_s >= STATUS_EVERY_S:
                self._publish_status()
            if self._home_assistant is not None:
                self._home_assistant.announcer.pump(now_s, self._announce)

    def take_dropped(self) -> list[str]:
        """The visits whose decision never left, since the last call."""
        with self._lock:
            return self._outbox.take_dropped()

    def visit(self, visit: VisitState) -> None:
        """Tell the screen; lost if the broker is away."""
        self.link.publish(self._topics.visit, visit.to_payload(), qos=0, expiry_s=1)

    def access(self, state: AccessState) -> None:
        """Tell the screen who has to wait; lost if the broker is away."""
        self.link.publish(self._topics.access, state.to_payload(), qos=0, expiry_s=2)

    def preview(self, topic: str, payload: bytes) -> bool:
        """Send one sealed picture to a screen; lost if the broker is away."""
        return self.link.publish(topic, payload, qos=0, expiry_s=1)

    def challenge(self, message: Outgoing) -> None:
        """Have the screen ask the visitor for something; lost if the broker is away."""
        self._publish(self._topics.challenge, message)

    def reply(self, topic: str, correlation: bytes | None, payload: bytes) -> bool:
        """Answer a command. False if the link does not take it now."""
        return self.link.publish(
            topic,
            payload,
            qos=1,
            expiry_s=REPLY_EXPIRY_S,
            correlation=correlation,
            counted_as="topics for answers",
        )

    def gallery_state(self, state: GalleryState) -> bool:
        """Tell how far the shared gallery has come. False if the link does not take it now."""
        return self.link.publish(self._topics.gallery_state, state.to_payload(), qos=1, retain=True)

    def _tell_refused(self, now_s: float) -> None:
        refused = self.link.refused[self._topics.decision]
        if refused == self._told_refused or now_s < self._tell_at_s:
            return
        times = refused - self._told_refused
        self._told_refused, self._tell_at_s = refused, now_s + TELL_EVERY_S
        log.error("the broker refused %d decision(s), and no lock heard them: its ACL", times)

    def _connected(self) -> None:
        if self._ear is not None:
            self._ear.connected()
        with self._lock:
            self._publish_status()
            if self._home_assistant is not None:
                self._home_assistant.announcer.connected(self._clocks.monotonic_s())
            self.pump()

    def _arrived(self, arrival: Arrival) -> None:
        home_assistant = self._home_assistant
        if home_assistant is not None and arrival.topic == home_assistant.birth_topic:
            if arrival.payload == b"online":
                with self._lock:
                    home_assistant.announcer.born(self._clocks.monotonic_s())
        elif self._ear is not None and not arrival.topic.startswith(self._topics.commands[:-1]):
            self._ear.arrived(arrival)
        else:
            self._on_command(arrival)

    def _announce(self, topic: str, payload: bytes) -> bool:
        return self.link.publish(topic, payload, qos=1, retain=True)

    def _publish_status(self) -> None:
        self._status_at_s = self._clocks.monotonic_s()
        self.link.publish(self._topics.status, self._status(self._reasons), qos=1, retain=True)

    def _transmit(self, message: Outgoing) -> bool:
        sent = self._publish(self._topics.decision, message)
        home_assistant = self._home_assistant
        if sent and home_assistant is not None and home_assistant.birth_topic:
            decision = unpack(message.payload, Decision).message(Decision)
            # A test of the lock is nobody's visit.
            if decision.reason != LOCK_TEST:
                payload = Result.of(decision, names=home_assistant.names).to_payload()
                self.link.publish(self._topics.result, payload, qos=1, expiry_s=RESULT_EXPIRY_S)
        return sent

    def _publish(self, topic: str, message: Outgoing) -> bool:
        # Expiry has whole seconds; the consumer checks expires_at to the millisecond.
        left_s = message.deadline_s - self._clocks.monotonic_s()
        return self.link.publish(topic, message.payload, qos=1, expiry_s=max(1, math.ceil(left_s)))

    def _status(self, reasons: tuple[str, ...], *, offline: bool = False) -> bytes:
        if offline:
            state = ServiceState.OFFLINE
        else:
            state = ServiceState.DEGRADED if reasons else ServiceState.ONLINE
        return Status(
            issued_at=self._clocks.wall(),
            state=state,
            reasons=reasons,
            software=__version__,
            model_id=self._model_id,
            model_variant=self._model_variant,
            claims=self._claims,
        ).to_payload()
