"""One whole number in a small file that survives crashes and power cuts.

The daemon keeps its last sequence in such a file, the lock the highest that it has seen.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from oneglance.ownership import give_to_folders_owner

_LINE = re.compile(rb"(0|[1-9][0-9]{0,15})\n")
_LONGEST = 17


def read_number(file: Path) -> int:
    """The stored number, at most 16 digits; 0 if there is no file yet.

    Raises ValueError if something else stands there (a number is never guessed), OSError if the
    file cannot be read.
    """
    try:
        with file.open("rb") as stored:
            match = _LINE.fullmatch(stored.read(_LONGEST + 1))
    except FileNotFoundError:
        return 0
    if match is None:
        raise ValueError("not a number file, or a damaged one")
    return int(match[1])


def write_number(file: Path, number: int) -> None:
    """Replace the file as a whole, mode 0600; when this returns, the number survives a power cut.

    Raises OSError if it cannot be kept: the old number then still stands there.
    """
    part = file.with_name(file.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as fresh:
        fresh.write(b"%d\n" % number)
        fresh.flush()
        give_to_folders_owner(fresh.fileno(), file.parent)
        os.fsync(fresh.fileno())
    part.replace(file)
    # The rename itself lives in the folder; without this a power cut can undo it.
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
