"""The lock's memory: the highest sequence it has seen, on disk before it acts.

Without it, a restart within a decision's lifetime could open the door twice for one visit.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from oneglance.errors import ConfigError, OneglanceError

_LINE = re.compile(rb"(0|[1-9][0-9]{0,15})\n")


class SequenceMemory:
    """One number in one small file, replaced as a whole and flushed to the disk."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> int:
        """The stored sequence; 0 on the very first start, when there is no file yet.

        Raises ConfigError if the file is corrupt or unreadable: guessing could open the door.
        """
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise ConfigError(
                f"cannot read the lock's memory: {error.strerror}", where=str(self._file)
            ) from None
        match = _LINE.fullmatch(data)
        if match is None:
            raise ConfigError(
                "the lock's memory is corrupt, so the door stays shut",
                where=str(self._file),
                fix="stop the daemon, wait 15 seconds until all its decisions have expired, "
                "delete this file, then start daemon and lock",
            )
        return int(match[1])

    def store(self, sequence: int) -> None:
        """Keep `sequence`; when this returns, it survives a power cut.

        Raises OneglanceError if it cannot be kept: then nobody may act on that sequence.
        """
        folder = self._file.parent
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"%d\n" % sequence)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
            # The rename itself lives in the folder; without this a power cut can undo it.
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OneglanceError(
                f"cannot keep the lock's memory, so the door stays shut: {error.strerror}",
                where=str(self._file),
                fix="free the disk, or let the lock's user write there",
            ) from None
