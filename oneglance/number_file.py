"""One whole number in a small file that survives crashes and power cuts.

The daemon keeps its last sequence in such a file, the lock the highest that it has seen.
"""

from __future__ import annotations

import re
from pathlib import Path

from oneglance.whole_file import write_whole

_LINE = re.compile(rb"(0|[1-9][0-9]{0,15})\n")
_LONGEST = 17


def read_number(file: Path) -> int:
    """The stored number, at most 16 digits; 0 if there is no file yet.

    Raises ValueError if the file holds anything else (a number is never guessed), OSError if it
    cannot be read.
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

    Made by root, it belongs to the folder's owner.

    Raises OSError if it cannot be stored: the file then still holds the old number.
    """
    write_whole(file, b"%d\n" % number, 0o600, durable=True, for_folders_owner=True)
