"""Files that exist whole or not at all, even if the disk fills up or the power fails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.whole_file import fresh


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, of the same suffix, whose content becomes `path` at the end.

    Write into that file; do not replace it. When this returns, the content survives a power cut: a
    checkpoint may be worth days. If anything fails before, `path` stays as it was and the new file
    is removed. Raises ConfigError if the system refuses to write: no space left, no permission.
    """
    try:
        with fresh(path, 0o666, durable=True) as draft:
            yield Path(draft.name)
    except OSError as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> ConfigError:
    """What to raise when the system refuses to write `path`."""
    return ConfigError(
        f"it cannot be written ({error.strerror or error})",
        where=str(path),
        fix="free some space, then continue with --resume; what was saved before is intact",
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; ConfigError as `written`."""
    with written(path) as draft:
        draft.write_bytes(data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files: their names and contents, in order of name."""
    if path.is_dir():
        whole = hashlib.sha256()
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            whole.update(f"{part.relative_to(path).as_posix()}\n{sha256_of(part)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
