"""The live picture for a screen on the same machine: past the broker, over a Unix socket.

A screen connects and names the half of the key it asks with; from then on that lease's frames go
to its connection, one packet each, and no longer to the broker. They are the same sealed frames:
the socket is a shorter way, and no one has to trust it. Who may connect is decided by what the
kernel says of the other end's user (SO_PEERCRED), so that nobody else takes a screen's place.
"""

from __future__ import annotations

import errno
import logging
import os
import pwd
import selectors
import socket
import stat
import struct
import threading
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from oneglance.contract.preview import HALF_BYTES
from oneglance.errors import ConfigError, os_fix

log = logging.getLogger(__name__)

# More than there are leases; who comes on top of that is sent away.
MOST_SCREENS = 8
# Without descriptors nobody can be taken, and who waits to be would wake the thread without end.
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
REST_S = 1.0
_CREDENTIALS = struct.Struct("3i")


class PreviewSocket:
    """Listens at `path` for processes of `users` (uids). Raises ConfigError if it cannot."""

    def __init__(self, path: Path, users: Collection[int], *, rest_s: float = REST_S) -> None:
        self._rest_s = rest_s
        self._path = path
        self._users = frozenset(users)
        self._lock = threading.Lock()
        self._screens: dict[bytes, socket.socket] = {}
        # Leases that screens here gave up for newer ones: nobody looks at what is left of them.
        self._left: deque[bytes] = deque(maxlen=MOST_SCREENS)
        self._refused: set[int] = set()
        self._listener = _listening(path)
        self._inode = path.lstat().st_ino
        # Ends the wait of the thread.
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        # Nobody is taken before that, because there was no room for anybody.
        self._resting = self._told = False
        # How often somebody was to be taken.
        self.accepts = 0
        self._thread = threading.Thread(target=self._serve, name="preview-socket", daemon=True)

    def start(self) -> None:
        """Begin to take screens."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send every screen away; the socket leaves its folder, unless it is another's by now."""
        self._waker.send(b"x")
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        with suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    @property
    def halves(self) -> frozenset[bytes]:
        """The halves of keys whose frames need no broker."""
        return frozenset((*self._screens, *self._left))

    def send(self, half: bytes, payload: bytes) -> bool:
        """Hand a frame of the lease of `half` to its screen; False if none on this machine has it.

        What its screen has no room for, or has a newer lease for, is dropped, and counts as handed
        over: nothing queues.
        """
        with self._lock:
            screen = self._screens.get(half)
        if screen is None:
            return half in self._left
        try:
            screen.send(payload, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return True
        except OSError:
            self._forget(screen)
            return False
        return True

    def _serve(self) -> None:
        with self._selector as selector, self._listener, self._woken, self._waker:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = selector.select(self._rest_s if self._resting else None)
                if self._resting and not ready:
                    self._rest(over=True)
                for key, _ in ready:
                    if key.fileobj is self._woken:
                        self._end()
                        return
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._hear(key.fileobj)

    def _rest(self, *, over: bool) -> None:
        """Leave alone who waits to be taken, for a while."""
        self._resting = not over
        if over:
            self._selector.register(self._listener, selectors.EVENT_READ)
        else:
            self._selector.unregister(self._listener)

    def _accept(self) -> None:
        self.accepts += 1
        try:
            screen, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._rest(over=False)
                if not self._told:
                    self._told = True
                    log.warning("%s: no screen can connect now: %s", self._path, error.strerror)
            return
        self._told = False
        credentials = screen.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(credentials)
        # The listener and the waker are in there too.
        full = len(self._selector.get_map()) - 2 >= MOST_SCREENS
        if user not in self._users or full:
            if user not in self._refused:
                self._refused.add(user)
                why = "there are too many" if full else "preview.socket_user names another"
                log.warning("%s: user %d gets no live picture here: %s", self._path, user, why)
            screen.close()
            return
        screen.setblocking(False)
        self._selector.register(screen, selectors.EVENT_READ)

    def _hear(self, screen: socket.socket) -> None:
        try:
            half = screen.recv(HALF_BYTES + 1)
        except OSError:
            half = b""
        if len(half) != HALF_BYTES:
            self._forget(screen)
            self._selector.unregister(screen)
            screen.close()
            return
        with self._lock:
            self._left += [h for h, other in self._screens.items() if other is screen and h != half]
            others = {h: other for h, other in self._screens.items() if other is not screen}
            self._screens = others | {half: screen}

    def _forget(self, screen: socket.socket) -> None:
        with self._lock:
            self._screens = {h: other for h, other in self._screens.items() if other is not screen}

    def _end(self) -> None:
        with self._lock:
            self._screens = {}
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket) and key.fileobj is not self._woken:
                key.fileobj.close()


def users_of(name: str) -> set[int]:
    """The users who may connect: this process's own, and the one of this `name` if there is one."""
    users = {os.getuid()}
    with suppress(KeyError):
        users.add(pwd.getpwnam(name).pw_uid)
    return users


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # What an earlier daemon left; anything but a socket is somebody else's.
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        listener.bind(str(path))
        # Whoever may reach it is asked who they are.
        path.chmod(0o666)
        listener.listen(MOST_SCREENS)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen there: {error.strerror or error}",
            where=f"preview.socket ({path})",
            fix=os_fix(error),
        ) from None
    return listener
