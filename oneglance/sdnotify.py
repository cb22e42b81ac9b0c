"""Tell systemd about us (sd_notify): ready, alive, what we are doing, stopping.

Without `$NOTIFY_SOCKET` (started by hand, in a test, under another init) every call does nothing.
Protocol: sd_notify(3); one datagram a call, a leading `@` names an abstract socket.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Notifier:
    """The way to the service manager, as its environment describes it."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_usec = environ.get("WATCHDOG_USEC", "")
        self._watchdog_pid = environ.get("WATCHDOG_PID", "")

    @property
    def watchdog_period_s(self) -> float | None:
        """How often to call `watchdog`: half of what systemd allows; None if it does not watch."""
        if not self._watchdog_usec.isdecimal() or int(self._watchdog_usec) == 0:
            return None
        if self._watchdog_pid and self._watchdog_pid != str(os.getpid()):
            return None
        return int(self._watchdog_usec) / 2e6

    def ready(self) -> None:
        """Start-up is over; the service does its work."""
        self._send("READY=1")

    def watchdog(self) -> None:
        """The real work just made progress. Never call it from a mere timer."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._send("STOPPING=1")

    def _send(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                # A full or stuck manager must not stop the door's own loop.
                out.settimeout(0.5)
                out.sendto(line.encode(), self._address)
        except OSError as error:
            log.debug("cannot tell systemd %r: %s", line, error)
