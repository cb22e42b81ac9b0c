"""The photographs on a plugged-in medium, found below folders and read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from oneglance.kiosk_ui.photo_shrink import Fault

SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_BYTES = 100_000_000
# A stick may hold a whole disk's worth: nobody looks through more than this at a door.
MAX_PICTURES, MAX_ENTRIES, MAX_DEPTH = 300, 20_000, 6
# File systems can hold times beyond any date: anything later counts as these seconds, the year
# 9000.
_LATEST_S = 221_845_392_000.0


@dataclass(frozen=True, slots=True)
class Photo:
    """A file named like a picture; `folder` is the one that it lies in."""

    path: Path
    name: str
    folder: str
    changed_at: datetime


def photos_below(folders: Sequence[Path], *, max_entries: int = MAX_ENTRIES) -> tuple[Photo, ...]:
    """The pictures, newest first, at most MAX_PICTURES. No link is followed; nothing raises.

    Of all entries only the first `max_entries` are looked at.
    """
    found: list[tuple[float, Path]] = []
    left = iter(range(max_entries))
    for folder in folders:
        for entry in _files(folder, MAX_DEPTH, left):
            if entry.name.lower().endswith(SUFFIXES):
                try:
                    found.append((entry.stat(follow_symlinks=False).st_mtime, Path(entry.path)))
                except OSError:
                    continue
    found.sort(reverse=True)
    return tuple(
        Photo(path, path.name, path.parent.name, _date(at)) for at, path in found[:MAX_PICTURES]
    )


def read_photo(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes | Fault:
    """The file's bytes, if it is a file of at most `max_bytes` and not a link."""
    try:
        # O_NONBLOCK: a FIFO would hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return Fault.NO_PICTURE
            if about.st_size > max_bytes:
                return Fault.TOO_LARGE
            return file.read(max_bytes)
    except OSError:
        return Fault.UNREADABLE


def _date(at_s: float) -> datetime:
    return datetime.fromtimestamp(min(max(0.0, at_s), _LATEST_S))


def _files(folder: Path, depth: int, left: Iterator[int]) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder, but for what is hidden, as long as anything is `left`.

    Each entry takes one of these, whatever it is: a stick may hold folders without end as well.
    """
    try:
        with os.scandir(folder) as entries:
            counted = (entry for _, entry in zip(left, entries, strict=False))
            listed = sorted(counted, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth > 1:
                    yield from _files(Path(entry.path), depth - 1, left)
            elif entry.is_file(follow_symlinks=False):
                yield entry
        except OSError:
            continue
