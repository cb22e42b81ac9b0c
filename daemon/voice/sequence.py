"""The strictly increasing number of each decision, kept on disk before it is used."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from oneglance.errors import ConfigError, OneglanceError, StateError
from oneglance.number_file import read_number, write_number
from oneglance.ownership import give_to_folders_owner

# The largest whole number that every JSON reader keeps exactly.
MAX_SEQUENCE = 2**53 - 1
_FIX = "the number in it must never go back: restore it, or move it away if the clock is right"


def last_sequence(path: Path) -> int:
    """The last number used, 0 if none; ConfigError if the file cannot be trusted or written."""
    try:
        number = read_number(path)
    except OSError as error:
        raise StateError(f"cannot read the sequence: {error.strerror}", where=str(path)) from None
    except ValueError:
        number = MAX_SEQUENCE
    if number >= MAX_SEQUENCE:
        raise ConfigError("not a sequence file, or a damaged one", where=str(path), fix=_FIX)
    folder = path.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise StateError(
            "the sequence cannot be kept: its folder is missing or not writable",
            where=str(folder),
            fix="create it for the daemon's user, or name another signing.sequence_file",
        )
    return number


class SequenceFile:
    """A counter that survives crashes, restarts and a lost file; use it in a `with` block.

    The next number is the larger of the stored one plus 1 and the wall clock in milliseconds:
    without its file it still goes on above all that was used before, unless the clock was set
    back as well. One process at a time has it, as long as it lives or until `close`: of two, one
    number could come twice.

    Raises ConfigError if the file cannot be trusted or written, OneglanceError if another process
    has it.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms
        last_sequence(path)
        self._lock: int | None = _locked(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have it; no number comes from here any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def check(self, *, by_writing: bool) -> None:
        """Raise ConfigError if no number could be kept now; none is used up.

        Without `by_writing` it costs no write, and finds a folder that can no longer be written to,
        but no full disk.
        """
        number = last_sequence(self._path)
        if by_writing:
            self._keep(number)

    def next(self) -> int:
        """The next number, already safe on disk; ConfigError, and no number, if it cannot be."""
        if self._lock is None:
            raise ConfigError("the sequence is closed", where=str(self._path))
        number = max(last_sequence(self._path) + 1, self._now_ms())
        if number > MAX_SEQUENCE:
            raise ConfigError("the clock is far in the future", where=str(self._path), fix=_FIX)
        self._keep(number)
        return number

    def _keep(self, number: int) -> None:
        try:
            write_number(self._path, number)
        except OSError as error:
            raise StateError(
                f"cannot keep the sequence: {error.strerror}", where=str(self._path)
            ) from None


def _locked(path: Path) -> int:
    """Lock the file beside `path` (which is replaced with each number, so it cannot be it)."""
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_to_folders_owner(descriptor, lock.parent)
    except OSError as error:
        raise StateError(f"cannot lock the sequence: {error.strerror}", where=str(lock)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            # Not a mistake in the configuration, after which systemd would not try again.
            raise OneglanceError(
                "another daemon of this door is running",
                where=str(path),
                fix="stop it first, or try with --no-mqtt",
            ) from None
        raise StateError(f"cannot lock the sequence: {error.strerror}", where=str(lock)) from None
    return descriptor
