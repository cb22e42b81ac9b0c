"""One daemon after another in one process: a new configuration loses no visit."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from pydantic import BaseModel

from oneglance.config import Config
from oneglance.daemon.totals import Totals
from oneglance.errors import OneglanceError
from oneglance.heap import give_back

log = logging.getLogger(__name__)

_REFUSED = "the new configuration is refused, the former one goes on: %s"


class Renewable(Protocol):
    """What `Renewal` needs of a daemon."""

    started: bool

    def run(self) -> Totals:
        """Work until asked to end."""

    def stop(self) -> None:
        """Ask it to end at once."""

    def give_way(self) -> None:
        """Ask it to end as soon as nobody is at the door."""


class Renewal:
    """Runs a daemon, and its successor once `reload` has found a valid configuration.

    `read` reads the configuration anew, `build` makes a daemon for one. What cannot be read, or
    does not start, is refused: the former configuration goes on.
    """

    def __init__(
        self, config: Config, build: Callable[[Config], Renewable], read: Callable[[], Config]
    ) -> None:
        self._build, self._read = build, read
        self._lock = threading.Lock()
        self._stopped = False
        self._config = config
        self._next: Config | None = None
        self._daemon = build(config)

    def stop(self) -> None:
        """End, whatever is under way; from any thread."""
        with self._lock:
            self._stopped = True
            self._daemon.stop()

    def reload(self) -> None:
        """Read the configuration; if it is valid, switch to it once nobody is at the door.

        From any thread. It is told in the log either way, and nothing is raised.
        """
        try:
            config = self._read()
        except OneglanceError as error:
            log.error(_REFUSED, error)
            return
        with self._lock:
            changed = list(changed_keys(self._config, config))
            self._next = config
            self._daemon.give_way()
        log.info(
            "the configuration is read anew (%s); it counts as soon as nobody is at the door."
            " What the unit itself says, and credentials that systemd passed, need a restart",
            ", ".join(changed) or "no key changed",
        )

    def run(self) -> Totals:
        """Work until `stop`, or until the last daemon ends by itself; what that one has done.

        Raises what it raises.
        """
        former: Config | None = None
        while True:
            try:
                totals = self._daemon.run()
            except OneglanceError as error:
                # If it was at work already, whoever started us has to know.
                if former is None or self._daemon.started or self._stopped:
                    raise
                log.error(_REFUSED, error)
                with self._lock:
                    self._take(former)
                # If that one does not start either, there is nothing left to go back to.
                former = None
                continue
            with self._lock:
                if self._stopped or self._next is None:
                    return totals
                former, config, self._next = self._config, self._next, None
                try:
                    self._take(config)
                except OneglanceError as error:
                    log.error(_REFUSED, error)
                    self._take(former)
                    former = None

    def _take(self, config: Config) -> None:
        self._daemon = self._build(config)
        # The former one is a ring of parts that refer to each other, with 30 MB of model and two
        # sockets that Python counts as nothing: by itself it would not look for them for days.
        gc.collect()
        give_back()
        self._config = config
        if self._stopped:
            # It was asked of the one before, which had ended already.
            self._daemon.stop()
        if self._next is not None:
            self._daemon.give_way()


def changed_keys(one: BaseModel, other: BaseModel, place: str = "") -> Iterator[str]:
    """The names of keys whose values differ, `section.key`; of cameras and rules only theirs."""
    for name in type(one).model_fields:
        before, after = getattr(one, name), getattr(other, name)
        where = f"{place}.{name}".strip(".")
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from changed_keys(before, after, where)
        elif before != after:
            yield where
