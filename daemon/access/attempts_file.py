"""Failed attempts on disk: they survive a restart and a power cut.

What stands there names nobody: badges and PINs are counted by marks that mean nothing elsewhere.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.whole_file import write_whole

MAX_BYTES = 1 << 20

Kept = dict[str, list[float]]


def read_attempts(path: Path) -> Kept:
    """Failures and wait by key; nothing if there is no file. ConfigError if it is damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"cannot read the failed attempts: {error.strerror}", where=str(path)
        ) from None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("too long")
        body = json.loads(data.decode())
        kept = {str(key): [float(value) for value in pair] for key, pair in body["counts"].items()}
        if body["v"] != 1 or any(len(pair) != 2 for pair in kept.values()):
            raise ValueError("not ours")
        if not all(math.isfinite(value) for pair in kept.values() for value in pair):
            raise ValueError("no numbers")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise damaged(path) from None
    return kept


def damaged(path: Path) -> ConfigError:
    """What is said of a file that does not hold what we write."""
    return ConfigError(
        "the failed attempts are damaged, so that a lock-out would be forgotten",
        where=str(path),
        fix="move the file away to begin to count anew",
    )


def write_attempts(path: Path, kept: Kept) -> None:
    """Replace the file as a whole; when this returns, it survives a power cut. Raises OSError."""
    data = json.dumps({"v": 1, "counts": kept}, allow_nan=False).encode()
    write_whole(path, data, 0o600, durable=True, for_folders_owner=True)
