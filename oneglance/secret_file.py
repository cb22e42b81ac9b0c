"""Who may read the files that hold keys or a password, and change those that only must be true."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from oneglance.errors import ConfigError, OneglanceError

MAX_BYTES = 65_536


def read_secret(
    path: Path, what: str, fix: str, error: type[OneglanceError] = ConfigError
) -> bytes:
    """The content of a regular file of at most 64 KiB that is closed to group and others.

    A file in the credentials folder that systemd gave this service is taken with the mode that
    systemd chose. `what` names the secret in messages, `fix` says how to get one that is missing.
    Raises `error` if it is missing, unreadable, too large, no file, or open to others.
    """
    where = str(path)
    try:
        # O_NONBLOCK: opening a FIFO by mistake must not hang the door.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            mode = os.fstat(descriptor).st_mode
            data = _read(descriptor) if stat.S_ISREG(mode) else b""
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise error(f"the {what} is missing", where=where, fix=fix) from None
    except OSError as problem:
        raise error(
            f"cannot read the {what}: {problem.strerror}",
            where=where,
            fix="run this as the user that owns it",
        ) from None
    if not stat.S_ISREG(mode):
        raise error(f"the {what} is not a regular file", where=where, fix=fix)
    if mode & 0o077 and not _from_systemd(path):
        raise error(
            f"the {what} can be read by others (mode {stat.S_IMODE(mode):04o})",
            where=where,
            fix=f"run: chmod 600 {path}",
        )
    if len(data) > MAX_BYTES:
        raise error(f"too large to be the {what}", where=where, fix=fix)
    return data


def read_password(path: Path, what: str) -> str:
    """The one line of text in such a file; ConfigError as of `read_secret`, or if it is none."""
    try:
        return read_secret(path, what, "write it there, then chmod 600").decode().strip()
    except UnicodeDecodeError:
        raise ConfigError(
            f"the {what} is not UTF-8 text",
            where=str(path),
            fix="write it there again as one line of text",
        ) from None


def check_unchangeable(descriptor: int, where: str) -> None:
    """Raise ConfigError if everybody on this machine may write to this open file."""
    if os.fstat(descriptor).st_mode & stat.S_IWOTH:
        raise ConfigError(
            "everybody on this machine can change it, so that it proves nothing",
            where=where,
            fix=f"see what is in it, then run: chmod 644 {where}",
        )


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(MAX_BYTES + 1)


def _from_systemd(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.parent == Path(str(folder))
