"""The kiosk's ear: what the broker delivers, as events for the reducer.

The link's thread only puts things into a queue; `drain`, called by the window's thread once a
frame, reads them. So the gate checks a decision in the moment before it is shown: what waited
behind a frozen window has expired by then, and is refused.

The gate's memory of the last sequence is not kept on disk here. A screen that restarts could be
made to show a decision a second time, while it is still fresh (ten seconds at most); it opens
nothing. The lock, which does, keeps its memory on disk.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from oneglance.config import Config
from oneglance.contract.commands import COMMAND_LIFE, open_writer
from oneglance.contract.gate import Gate
from oneglance.contract.keyring_file import PinnedKeys, read_pins
from oneglance.contract.messages import AccessState, Challenge, Status, VisitState, parse
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError
from oneglance.kiosk_ui.reducer import (
    AccessArrived,
    ChallengeArrived,
    Connected,
    DecisionArrived,
    Disconnected,
    Event,
    StatusArrived,
    VisitArrived,
)
from oneglance.link import Arrival, Link

log = logging.getLogger(__name__)

# Some twenty seconds of visits. More waits only while the window is frozen; visits and decisions
# are then stale, while the last status must never be lost.
MAX_WAITING = 256


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KioskClient:
    """Listens to one door's status, visits, challenges and decisions, and says what it has shown.

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
        self._gate = Gate(self._topics, keys, wall, monotonic_s)
        key_file = config.kiosk.key_file
        self._writer = None if key_file is None else open_writer(self._topics, key_file, wall)
        self._told = ""
        self._waiting: deque[Arrival | Connected | Disconnected] = deque()
        self._link = Link(
            config.mqtt,
            # Two screens at one door must not throw each other out of the broker.
            f"oneglance-kiosk-{config.site.door}-{secrets.token_hex(4)}",
            subscriptions=(
                (self._topics.status, 1),
                (self._topics.visit, 0),
                (self._topics.access, 0),
                (self._topics.challenge, 1),
                (self._topics.decision, 1),
            ),
            on_message=self._arrived,
            on_connected=lambda: self._waiting.append(Connected()),
            on_disconnected=lambda: self._waiting.append(Disconnected()),
        )

    @property
    def alive(self) -> bool:
        """Whether the thread that listens still runs."""
        return self._link.alive

    def start(self) -> None:
        """Begin to connect, in the background and for as long as it takes."""
        self._link.start()

    def stop(self) -> None:
        """Disconnect for good."""
        self._link.stop()

    def shown(self, challenge: Challenge) -> None:
        """The window shows it: tell the daemon, once, since only then an answer to it counts."""
        if challenge.challenge_id == self._told:
            return
        self._told = challenge.challenge_id
        if self._writer is None:
            log.warning("shown, but without kiosk.key_file the daemon cannot know: it will refuse")
            return
        payload = self._writer.write("challenge-shown", challenge_id=challenge.challenge_id)
        topic = self._topics.command("challenge-shown")
        self._link.publish(topic, payload, qos=1, expiry_s=int(COMMAND_LIFE.total_seconds()))

    def drain(self) -> list[Event]:
        """What came since the last call, in order; call it at least once a second.

        A message that cannot be read or must not be believed is logged and left out; only an
        unreadable status is reported, as not knowing.
        """
        self._gate.tick()
        self._gate.key = self._pins.current()
        events: list[Event] = []
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            event = self._read(waiting) if isinstance(waiting, Arrival) else waiting
            if event is not None:
                events.append(event)
        return events

    def _arrived(self, arrival: Arrival) -> None:
        if arrival.topic != self._topics.status and len(self._waiting) >= MAX_WAITING:
            return
        self._waiting.append(arrival)

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
            return StatusArrived(parse(arrival.payload, Status, topic))
        except MessageError as error:
            log.warning("not shown: %s", error)
            return StatusArrived(None) if topic == self._topics.status else None
