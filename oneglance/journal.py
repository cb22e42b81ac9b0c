"""The log as systemd's journal takes it: each line with its place in the code and its event.

The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) is a datagram of fields. Python's own
binding has no wheels.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
from collections.abc import Iterator, Mapping

SOCKET = "/run/systemd/journal/socket"
# What is longer would have to go as an open file; a line of a log is not.
MAX_BYTES = 16_384
_PRIORITY = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}


def goes_to_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Whether that file is the journal's, as a service's standard error is.

    A terminal on a desktop inherits the variable, but is another file.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    named = f"{status.st_dev}:{status.st_ino}"
    return stat.S_ISSOCK(status.st_mode) and environ.get("JOURNAL_STREAM") == named


class JournalHandler(logging.Handler):
    """Sends each record to the journal; where that fails, it goes to `otherwise`."""

    def __init__(self, otherwise: logging.Handler, address: str = SOCKET) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._address = address

    def emit(self, record: logging.LogRecord) -> None:
        """One datagram. A journal that is stuck holds nobody up for long."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(0.5)
                out.sendto(self._datagram(record), self._address)
        except OSError:
            self._otherwise.handle(record)
        except Exception:
            self.handleError(record)

    def _datagram(self, record: logging.LogRecord) -> bytes:
        return b"".join(_field(name, value) for name, value in self._fields(record))

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(_PRIORITY.get(record.levelname, 5))
        yield "SYSLOG_IDENTIFIER", "oneglance"
        yield "LOGGER", record.name
        yield "CODE_FILE", record.pathname
        yield "CODE_LINE", str(record.lineno)
        yield "CODE_FUNC", record.funcName or ""
        event = getattr(record, "event", None)
        if event is not None:
            yield "MESSAGE_ID", event.id
            yield "ONEGLANCE_EVENT", event.name
            for name, value in getattr(record, "fields", {}).items():
                yield f"ONEGLANCE_{name}", value


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")[:MAX_BYTES]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
