"""Failed attempts on disk: they survive a restart and a power cut.

The file names nobody: badges and PINs are counted by marks that mean nothing elsewhere.
The generation grows with each writing, so that an older copy can be told from the last.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

from oneglance.errors import ConfigError, StateError
from oneglance.whole_file import write_whole

MAX_BYTES = 1 << 20

Kept = dict[str, list[float]]


class KeptAttempts(NamedTuple):
    """The content of the file: failures and wait by key, and how often it was written."""

    generation: int
    counts: Kept


def read_attempts(path: Path) -> KeptAttempts:
    """The stored attempts; empty, of generation 0, without a file. ConfigError if it is damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return KeptAttempts(0, {})
    except OSError as error:
        raise StateError(
            f"cannot read the failed attempts: {error.strerror}", where=str(path)
        ) from None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("too long")
        body = json.loads(data.decode())
        kept = {str(key): [float(value) for value in pair] for key, pair in body["counts"].items()}
        # Version 1 had no generation.
        generation = body["generation"] if body["v"] != 1 else 0
        if body["v"] not in (1, 2) or any(len(pair) != 2 for pair in kept.values()):
            raise ValueError("not ours")
        if type(generation) is not int or not 0 <= generation < 2**53:
            raise ValueError("no generation")
        if not all(math.isfinite(value) for pair in kept.values() for value in pair):
            raise ValueError("no numbers")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise damaged(path) from None
    return KeptAttempts(generation, kept)


def damaged(path: Path) -> ConfigError:
    """The error about a file that we cannot have written."""
    return ConfigError(
        "the failed attempts are damaged, so that a lock-out would be forgotten",
        where=str(path),
        fix="move the file away to begin to count anew",
    )


def write_attempts(path: Path, kept: KeptAttempts) -> None:
    """Replace the file as a whole; when this returns, it survives a power cut. Raises OSError."""
    data = json.dumps({"v": 2, **kept._asdict()}, allow_nan=False).encode()
    write_whole(path, data, 0o600, durable=True, for_folders_owner=True)
