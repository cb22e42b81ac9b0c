"""Keyrings as files, and a consumer's pins: a keyring, or the one public key of a daemon in PEM."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.contract.keyring import MAX_KEYRING_BYTES, Keyring, Role, parse_keyring
from oneglance.contract.signing import load_public_key
from oneglance.errors import ConfigError, os_fix
from oneglance.secret_file import check_unchangeable
from oneglance.whole_file import write_public

log = logging.getLogger(__name__)

_FIX = "make one with 'oneglance keys make'"


def read_keyring(path: Path) -> Keyring:
    """The keyring in a file.

    Raises ConfigError if it is missing, unreadable, not a keyring, or for everybody to change.
    """
    return parse_keyring(_content(path), str(path))


def read_pins(path: Path) -> Keyring:
    """The keys whose decisions a consumer believes: a keyring file, or one public key in PEM.

    Raises ConfigError if there is neither, or a keyring without any key of a daemon.
    """
    if not _looks_like_keyring(path):
        return Keyring.of(load_public_key(path))
    ring = read_keyring(path)
    if not any(ring.of_role(Role.DAEMON)):
        raise ConfigError(
            "this keyring has no key of a daemon",
            where=str(path),
            fix="copy the keyring from the daemon's machine here",
        )
    return ring


def daemon_keys(path: Path) -> list[Ed25519PublicKey]:
    """The keys that a daemon signs with, or used to sign with, unless they were revoked.

    None if the keyring is missing or cannot be used.
    """
    try:
        ring = read_keyring(path)
    except ConfigError:
        return []
    return [entry.key for entry in ring.of_role(Role.DAEMON) if entry.revoked_at is None]


def write_keyring(path: Path, ring: Keyring) -> None:
    """Replace the file, mode 0644, durably. Raises ConfigError if it cannot be written."""
    try:
        write_public(path, ring.to_text().encode())
    except OSError as error:
        raise ConfigError(
            f"cannot write the keyring: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from changing this keyring while the block runs. Raises ConfigError."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"cannot open its folder: {error.strerror}", where=str(path), fix="make it first"
        ) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


class PinnedKeys:
    """A keyring file that may change while we run: a revoked key stops counting without a restart.

    `read` is `read_keyring` or `read_pins`. The first reading is `current()`'s as well. Any thread
    may ask.
    """

    def __init__(self, path: Path, read: Callable[[Path], Keyring] = read_pins) -> None:
        self._path = path
        self._read = read
        # Set together: the mark of one reading must never go with the keys of another.
        self._held: tuple[tuple[int, ...] | None, Keyring] = None, Keyring()
        self._failure = ""
        self._ever_held = False

    @property
    def lost(self) -> bool:
        """Whether the file cannot be used now; one that was never there is not lost.

        One that cannot even be looked for may be there.
        """
        # Nobody is told of that one before somebody asks for its keys.
        if not self._ever_held and _is_missing(self._path):
            return False
        self.current()
        return bool(self._failure)

    def current(self) -> Keyring:
        """What the file holds now; empty, so that nothing passes, while it cannot be used."""
        try:
            # What changes between the two calls is seen at the next call.
            mark = _mark(self._path)
            seen, ring = self._held
            if mark is None or mark != seen:
                ring = self._read(self._path)
                self._held, self._failure, self._ever_held = (mark, ring), "", True
        except ConfigError as error:
            # As text: whoever keeps the log's record would keep the daemon with the error's frames.
            failure = str(error)
            level = logging.ERROR if failure != self._failure else logging.DEBUG
            log.log(level, "nobody's signature counts: %s", failure)
            ring = Keyring()
            self._held, self._failure = (None, ring), failure
        return ring


def _looks_like_keyring(path: Path) -> bool:
    try:
        return _content(path).lstrip().startswith(b"{")
    except ConfigError:
        # Errors speak of a public key, since a single one may be there as well.
        return False


def _content(path: Path) -> bytes:
    try:
        # A FIFO or a device in its place would hang for ever.
        if path.exists() and not path.is_file():
            raise ConfigError("not a file", where=str(path), fix=_FIX)
        with path.open("rb") as file:
            check_unchangeable(file.fileno(), str(path))
            return file.read(MAX_KEYRING_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("the keyring is missing", where=str(path), fix=_FIX) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
