"""The lock's memory: the highest sequence it has seen, on disk before it acts.

Without it, a restart within a decision's lifetime could open the door twice for one visit.
"""

from __future__ import annotations

from pathlib import Path

from oneglance.errors import ConfigError, StateError
from oneglance.number_file import read_number, write_number


class SequenceMemory:
    """The highest sequence seen, in one small file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> int:
        """The stored sequence; 0 on the very first start, when there is no file yet.

        Raises ConfigError if the file is corrupt, StateError if it is unreadable: guessing could
        open the door.
        """
        try:
            return read_number(self._file)
        except OSError as error:
            raise StateError(
                f"cannot read the lock's memory: {error.strerror}", where=str(self._file)
            ) from None
        except ValueError:
            raise ConfigError(
                "the lock's memory is corrupt, so the door stays shut",
                where=str(self._file),
                fix="stop the daemon, wait 15 seconds until all its decisions have expired, "
                "delete this file, then start daemon and lock",
            ) from None

    def store(self, sequence: int) -> None:
        """Store `sequence`; when this returns, it survives a power cut.

        Raises StateError if it cannot be stored: then nobody may act on that sequence.
        """
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_number(self._file, sequence)
        except OSError as error:
            raise StateError(
                f"cannot keep the lock's memory, so the door stays shut: {error.strerror}",
                where=str(self._file),
                fix="free the disk, or let the lock's user write there",
            ) from None
