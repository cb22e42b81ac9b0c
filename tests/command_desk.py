"""What answers commands in a daemon, alone on a real broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wire_samples import TOPICS

from oneglance.clocks import Clocks
from oneglance.config import MqttConfig
from oneglance.contract.keyring import Keyring
from oneglance.contract.messages import Reply
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.authority import Authority
from oneglance.daemon.voice.commands import CommandDesk
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.daemon.voice.verbs import Verb
from oneglance.link import Link


@contextmanager
def serving(
    mqtt: MqttConfig,
    verbs: Mapping[str, Verb],
    keys: Callable[[], Keyring],
    memory: Path,
    topics: Topics = TOPICS,
) -> Iterator[None]:
    """Take commands to a door as a daemon's two threads do, until the block ends."""
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    authority = Authority(topics, keys, verbs, NonceFile(memory), clocks)

    def reply(topic: str, correlation: bytes | None, answer: Reply) -> bool:
        return link.publish(topic, answer.to_payload(), qos=1, correlation=correlation)

    desk = CommandDesk(topics, verbs, authority, reply, clocks)
    link = Link(
        mqtt, f"desk-{topics.door}", subscriptions=((topics.commands, 1),), on_message=desk.arrived
    )
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(0.005):
            desk.work()

    thread = threading.Thread(target=work)
    link.start()
    try:
        assert link.wait_connected(60)
        thread.start()
        yield
        stopping.set()
        thread.join()
    finally:
        stopping.set()
        link.stop()
