"""The lock's service, and where a newcomer starts.

The network thread and the relock timer only put jobs into an inbox; one thread does them all:
admit a decision, remember it on disk, move the pin, say so. Every way out relocks first.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.config import Config
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Keyring
from oneglance.contract.keyring_file import PinnedKeys, read_pins
from oneglance.contract.messages import LOCK_TEST, Decision, DoorState, LockState, Outcome
from oneglance.contract.topics import Topics
from oneglance.door.lock import Lock, LockEvent, factory_name, open_factory
from oneglance.door.memory import SequenceMemory
from oneglance.errors import MessageError, OneglanceError
from oneglance.events import LOCK_OPENED, LOCK_REFUSED
from oneglance.link import Arrival, LastWill, Link
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)

# The gate needs to look at its clocks once a second.
TICK_S = 0.5
# A door decides a few times a minute; a longer backlog is somebody flooding the topic.
MAX_WAITING = 20
FIRST_CONNECT_S = 5.0
MAX_CAUSE = 200
# What somebody who signs nothing may ask for, and how often a line tells of what they may not.
SHUT = b"LOCK"
TOLD_EVERY_S = 60.0


class DoorApp:
    """Consumes one door's decisions and pulses its lock.

    `run` serves until `stop`, in the calling thread. `factory` is a gpiozero pin factory (the
    configured one if not given). The pin is taken at once, inactive. Raises ConfigError or
    MissingPartError if key, pin, pin factory or the broker's certificates are unfit.
    """

    def __init__(
        self,
        config: Config,
        *,
        factory: Any = None,
        notifier: Notifier | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._shut_waits = False
        self._told_s = -TOLD_EVERY_S
        self._stopping = False
        self._pin = config.door.pin
        # This comes first: a predecessor that was killed in a pulse has left the pin active, and
        # the files read below may be missing.
        self._lock = Lock(
            config.door,
            factory or open_factory(factory_name(config.door.pin_factory)),
            on_change=lambda event: self._inbox.put(lambda: self._say(event)),
        )
        try:
            self._topics = Topics(config.site.name, config.site.door)
            self._wall = wall
            self._memory = SequenceMemory(config.door.state_file)
            keys = read_pins(config.door.public_key_file)
            self._pins = PinnedKeys(config.door.public_key_file)
            self._gate = Gate(
                self._topics, keys, wall, monotonic_s, require_liveness=config.requires_liveness
            )
            self._notifier = notifier or Notifier()
            self.link = self._make_link(config)
        except BaseException:
            self._lock.close()
            raise

    def _make_link(self, config: Config) -> Link:
        topics = self._topics
        return Link(
            config.mqtt,
            f"oneglance-door-{topics.site}-{topics.door}",
            subscriptions=(
                (topics.decision, 1),
                *(((topics.ask_lock, 0),) if config.door.shut_on_request else ()),
            ),
            on_message=self.heard,
            on_connected=lambda: self._inbox.put(lambda: self._say(self._lock.event)),
            last_will=LastWill(
                topics.door_state, self._state(LockEvent(LockState.FAULT, "connection lost"))
            ),
        )

    @property
    def requires_liveness(self) -> bool:
        """Whether only people who were seen to be alive may come in."""
        return self._gate.require_liveness

    @property
    def keys(self) -> Ed25519PublicKey | Keyring:
        """The keys whose decisions count now."""
        return self._gate.key

    @property
    def waiting(self) -> int:
        """How many messages wait to be judged."""
        return self._inbox.qsize()

    def stop(self) -> None:
        """End `run` soon: from any thread, or from a signal handler."""
        # Neither a plain flag nor a SimpleQueue has a lock that the interrupted thread could hold.
        self._stopping = True
        self._inbox.put(lambda: None)

    def run(self) -> None:
        """Serve until `stop`. Every way out leaves the door shut and the topic saying `fault`.

        Raises BrokerError if the broker turns us away, ConfigError if the memory is unfit,
        OneglanceError if the pin or the disk fails on the way.
        """
        reason = "crashed"
        try:
            self.link.start()
            if not self.link.wait_connected(FIRST_CONNECT_S):
                log.warning("no broker yet; the door stays shut until there is one")
            self._gate.last_sequence = self._memory.load()
            # A disk that cannot store the sequence must be noticed now, not at the first visitor.
            self._memory.store(self._gate.last_sequence)
            self._notifier.ready()
            self._serve()
            reason = "stopped"
        except OneglanceError as error:
            reason = error.what
            raise
        finally:
            self._lock.close()
            self._notifier.stopping()
            farewell = self._state(LockEvent(LockState.FAULT, reason[:MAX_CAUSE]))
            self.link.stop((self._topics.door_state, farewell))

    def _serve(self) -> None:
        next_tick_s = time.monotonic()
        while not self._stopping:
            if time.monotonic() >= next_tick_s:
                self._tick()
                next_tick_s = time.monotonic() + TICK_S
            try:
                job = self._inbox.get(timeout=TICK_S)
            except queue.Empty:
                continue
            job()

    def _tick(self) -> None:
        self._gate.tick()
        self._gate.key = self._pins.current()
        self._lock.relock_if_due()
        if self._lock.event.state is LockState.FAULT:
            # A fresh start takes the pin anew and drives it to shut; this one may never be obeyed.
            raise OneglanceError(
                self._lock.event.cause,
                where=self._pin,
                fix="check the wiring and the pin factory",
            )
        # A broker that keeps us from being asked to shut keeps nobody out.
        self.link.check_heard(self._topics.decision)
        if not self.link.alive:
            raise OneglanceError("the network thread has died")
        self._notifier.watchdog()

    def heard(self, arrival: Arrival) -> None:
        """Take what came from the broker; called in the link's thread."""
        if arrival.topic == self._topics.ask_lock:
            self._asked(arrival)
            return
        if self.waiting >= MAX_WAITING:
            log.warning("more decisions than a door can make; one is dropped")
            return
        self._inbox.put(lambda: self._handle(arrival))

    def _asked(self, arrival: Arrival) -> None:
        """Somebody who signs nothing asks: all that they can have is a shut door."""
        if arrival.retained:
            return
        if arrival.payload == SHUT:
            # One at a time: a flood must not push decisions out.
            if not self._shut_waits:
                self._shut_waits = True
                self._inbox.put(self._shut)
        elif time.monotonic() - self._told_s >= TOLD_EVERY_S:
            self._told_s = time.monotonic()
            log.warning("asked by an unsigned message for something other than to shut: refused")

    def _shut(self) -> None:
        self._shut_waits = False
        if self._lock.shut():
            log.info("shut before its time, as somebody asked")

    def _handle(self, arrival: Arrival) -> None:
        try:
            decision = self._gate.admit(arrival.payload, retained=arrival.retained)
        except MessageError as error:
            log.warning("refused: %s", error, extra=LOCK_REFUSED())
            return
        self._memory.store(decision.sequence)
        if decision.reason == LOCK_TEST:
            self._answer_test(decision)
            return
        if decision.outcome is not Outcome.ACCEPTED:
            log.info("event %s is %s: stays shut", decision.event_id, decision.outcome)
            return
        # The disk may have taken its time.
        if not self._gate.is_fresh(decision):
            log.warning("event %s expired while it was being remembered", decision.event_id)
            return
        self._lock.pulse(decision.event_id)
        told = LOCK_OPENED(EVENT_ID=decision.event_id)
        log.info("opened for event %s", decision.event_id, extra=told)

    def _answer_test(self, decision: Decision) -> None:
        """Say that a test came as far as a decision can without opening. It opens nothing."""
        log.info("event %s is a test of the lock: stays shut", decision.event_id)
        # Somebody who is just walking through is told of by the event that let them in.
        if decision.outcome is Outcome.REJECTED and self._lock.event.state is LockState.LOCKED:
            self._say(LockEvent(LockState.LOCKED, decision.event_id))

    def _say(self, event: LockEvent) -> None:
        self._notifier.status(f"{event.state} {event.cause}".rstrip())
        self.link.publish(self._topics.door_state, self._state(event), qos=1, retain=True)

    def _state(self, event: LockEvent) -> bytes:
        return DoorState(issued_at=self._wall(), state=event.state, cause=event.cause).to_payload()
