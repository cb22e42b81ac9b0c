"""The badge reader's service: each number becomes one signed `claim` command.

A number that cannot be sent at once is dropped: a claim that arrives late would be for whoever
stands there by then. No number ever reaches a log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from oneglance.config import Config, ReaderConfig
from oneglance.contract.commands import CommandWriter, open_writer
from oneglance.contract.messages import Reply, parse
from oneglance.contract.topics import Topics
from oneglance.door.lock import factory_name, open_factory
from oneglance.door.reader.wedge import open_wedge
from oneglance.door.reader.wiegand import Wiegand
from oneglance.errors import MessageError, OneglanceError
from oneglance.link import Arrival, Link
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)

TURN_S = 0.5
FIRST_CONNECT_S = 5.0
COMMAND_EXPIRY_S = 5


class Source(Protocol):
    """What reads badges."""

    def read(self, timeout_s: float) -> str | None:
        """The next number; None if none has come for `timeout_s`."""

    def close(self) -> None:
        """Give the hardware back."""


def open_source(config: ReaderConfig, factory: Any = None) -> Source:
    """The configured reader. `factory` is a gpiozero pin factory, the configured one if not given.

    Raises ConfigError or MissingPartError if it cannot be used, OneglanceError if it is unplugged.
    """
    if config.kind == "wedge":
        return open_wedge(config.device)
    pins = factory or open_factory(factory_name(config.pin_factory))
    return Wiegand(config.d0, config.d1, pins)


class ReaderApp:
    """Says whose badge was shown, until `stop`. Owns `source` from the beginning.

    Raises ConfigError if the key or the broker's certificates are unfit.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        *,
        notifier: Notifier | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        first_connect_s: float = FIRST_CONNECT_S,
    ) -> None:
        self._first_connect_s = first_connect_s
        self._source = source
        self._stopping = False
        self._notifier = notifier or Notifier()
        topics = Topics(config.site.name, config.site.door)
        # The broker lets each user hear only the answers to its own name.
        self._answers = topics.reply(config.mqtt.user or "reader")
        self._claims = topics.command("claim")
        self._writer: CommandWriter = open_writer(topics, config.reader.key_file, wall)
        self._link = Link(
            config.mqtt,
            f"oneglance-reader-{topics.site}-{topics.door}",
            subscriptions=((self._answers, 1),),
            on_message=self._answered,
        )

    @property
    def connected(self) -> bool:
        """Whether a claim would reach the broker now."""
        return self._link.connected

    def stop(self) -> None:
        """End `run` soon: from any thread, or from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`.

        Raises BrokerError if the broker turns us away, OneglanceError if the reader is unplugged.
        """
        try:
            self._link.start()
            if not self._link.wait_connected(self._first_connect_s):
                log.warning("no broker yet; badges are not heard until there is one")
            self._notifier.ready()
            while not self._stopping:
                number = self._source.read(TURN_S)
                if number is not None:
                    self._claim(number)
                self._tick()
        finally:
            self._notifier.stopping()
            self._source.close()
            self._link.stop()

    def _claim(self, number: str) -> None:
        said = self._link.publish(
            self._claims,
            self._writer.write("claim", self._answers, badge=number),
            qos=1,
            expiry_s=COMMAND_EXPIRY_S,
            response_topic=self._answers,
        )
        log.info("a badge was read%s", "" if said else ", but there is no broker: dropped")

    def _tick(self) -> None:
        self._link.check_heard()
        if not self._link.alive:
            raise OneglanceError("the network thread has died")
        self._notifier.watchdog()

    def _answered(self, arrival: Arrival) -> None:
        try:
            reply = parse(arrival.payload, Reply, arrival.topic)
        except MessageError as error:
            log.warning("not an answer: %s", error)
            return
        level = logging.INFO if reply.ok else logging.WARNING
        log.log(level, "the daemon answers: %s", reply.code)
