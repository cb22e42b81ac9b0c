"""The screen's end of the local socket for live pictures (see `daemon.voice.preview_socket`).

Nothing here blocks, as the window's thread calls it. Without a daemon at the socket, frames come
over the broker.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from oneglance.contract.preview import MAX_FRAME_BYTES, half_of

log = logging.getLogger(__name__)


class LocalPictures:
    """Frames from the daemon that listens at `path` on this machine, if one does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._told = False

    def ask(self, half: str) -> None:
        """Have the frames of the lease with this `half` (base64, as in the command) sent here."""
        for _ in range(2):
            try:
                if self._socket is None:
                    self._socket = _connected(self._path)
                self._socket.send(half_of(half), socket.MSG_NOSIGNAL)
            except OSError as error:
                # A restarted daemon is back at once.
                self.close()
                cause = error
                continue
            if not self._told:
                log.info("the live picture comes from %s, not over the broker", self._path)
            self._told = True
            return
        if self._told:
            log.warning("%s: %s; the live picture comes over the broker", self._path, cause)
        self._told = False

    def newest(self) -> bytes | None:
        """The newest frame that has come since the last call; older ones are useless."""
        frame = None
        while self._socket is not None:
            try:
                # One byte more than allowed, so that too long a frame is noticed.
                came = self._socket.recv(MAX_FRAME_BYTES + 1)
            except BlockingIOError:
                break
            except OSError:
                came = b""
            if not came:
                self.close()
                break
            frame = came
        return frame

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        found.setblocking(False)
        found.connect(str(path))
    except OSError:
        found.close()
        raise
    return found
