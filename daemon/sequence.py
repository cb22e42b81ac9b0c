"""The strictly increasing number of each decision, kept on disk before it is used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.number_file import read_number, write_number

# The largest whole number that every JSON reader keeps exactly.
MAX_SEQUENCE = 2**53 - 1
_FIX = "the number in it must never go back: restore it, or move it away if the clock is right"


class SequenceFile:
    """A counter that survives crashes, restarts and a lost file.

    The next number is the larger of the stored one plus 1 and the wall clock in milliseconds:
    without its file it still goes on above all that was used before, unless the clock was set
    back as well. One process at a time may use a file.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms
        self.check()

    def check(self) -> int:
        """The last number used, 0 if none; ConfigError if the file cannot be trusted or written."""
        try:
            number = read_number(self._path)
        except OSError as error:
            raise ConfigError(
                f"cannot read the sequence: {error.strerror}", where=str(self._path)
            ) from None
        except ValueError:
            number = MAX_SEQUENCE
        if number >= MAX_SEQUENCE:
            raise ConfigError(
                "not a sequence file, or a damaged one", where=str(self._path), fix=_FIX
            )
        folder = self._path.parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise ConfigError(
                "the sequence cannot be kept: its folder is missing or not writable",
                where=str(folder),
                fix="create it for the daemon's user, or name another signing.sequence_file",
            )
        return number

    def next(self) -> int:
        """The next number, already safe on disk; ConfigError, and no number, if it cannot be."""
        number = max(self.check() + 1, self._now_ms())
        if number > MAX_SEQUENCE:
            raise ConfigError("the clock is far in the future", where=str(self._path), fix=_FIX)
        try:
            write_number(self._path, number)
        except OSError as error:
            raise ConfigError(
                f"cannot keep the sequence: {error.strerror}", where=str(self._path)
            ) from None
        return number
