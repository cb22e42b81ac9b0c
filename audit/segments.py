"""The files of the audit log: segments that follow each other, read line by line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from oneglance.audit.entry import MAX_LINE_BYTES, Entry, read_line
from oneglance.errors import AuditError

_NAME = re.compile(r"audit-(\d{16})\.jsonl")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a segment, without its line feed; `complete` if it has one.

    If a line is far too long to be an entry, only its beginning is kept.
    """

    segment: Path
    data: bytes
    complete: bool


def segment_name(number: int) -> str:
    """The file name of the segment that begins with the entry of this number."""
    return f"audit-{number:016d}.jsonl"


def first_number(segment: Path) -> int:
    """The number of the entry that a segment begins with, by its name."""
    return int(segment.name[6:22])


def segments(folder: Path) -> list[Path]:
    """The log's segments, oldest first; none if there is no log yet. Raises AuditError."""
    try:
        found = sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from None
    return found


def lines(segment: Path, offset: int = 0) -> Iterator[Line]:
    """All lines of a segment from a byte on, whatever they contain. Raises AuditError."""
    try:
        with open(open_segment(segment, os.O_RDONLY), "rb") as file:
            file.seek(offset)
            while data := file.readline(MAX_LINE_BYTES):
                complete = data.endswith(b"\n")
                rest = data
                while not rest.endswith(b"\n") and rest:
                    rest = file.readline(MAX_LINE_BYTES)
                    complete = rest.endswith(b"\n")
                yield Line(segment, data.removesuffix(b"\n"), complete)
    except OSError as error:
        raise unreadable(segment, error) from None


def entries(folder: Path) -> Iterator[Entry]:
    """All entries, oldest first, except for a last one that was cut off.

    Nothing is proven by reading them: that is what `prove` is for. Raises AuditError at a line
    that is no entry, and if a segment cannot be read.
    """
    for segment in segments(folder):
        for line in lines(segment):
            if line.complete:
                yield _entry(line)


def entries_backwards(folder: Path, kinds: Collection[str]) -> Iterator[Entry]:
    """The entries of these kinds (all, if none is given), newest first; otherwise as `entries`."""
    marks = [f'"kind":"{kind}"'.encode() for kind in kinds]
    for segment in reversed(segments(folder)):
        if kinds and not _mentions(segment, marks):
            continue
        found = list(lines(segment))
        if kinds:
            found = [line for line in found if any(mark in line.data for mark in marks)]
        for line in reversed(found):
            if line.complete:
                entry = _entry(line)
                if not kinds or entry.kind in kinds:
                    yield entry


def open_segment(segment: Path, flags: int) -> int:
    """A descriptor of a regular file that is closed to group and others.

    Raises OSError, and AuditError if it is something else.
    """
    # O_NONBLOCK: a FIFO in its place must not hang the door.
    descriptor = os.open(segment, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) or mode & 0o077:
        os.close(descriptor)
        raise AuditError(
            "not a regular file that only its owner can read",
            where=str(segment),
            fix=f"find out who changed that, then: chmod 600 {segment}",
        )
    return descriptor


def _mentions(segment: Path, marks: list[bytes]) -> bool:
    try:
        with open(open_segment(segment, os.O_RDONLY), "rb") as file:
            data = file.read()
    except OSError as error:
        raise unreadable(segment, error) from None
    return any(mark in data for mark in marks)


def _entry(line: Line) -> Entry:
    try:
        return read_line(line.data)
    except ValueError:
        raise AuditError(
            "a line in it is no entry",
            where=str(line.segment),
            fix="see what was altered with 'oneglance audit verify'",
        ) from None


def unreadable(path: Path, error: OSError) -> AuditError:
    """The error about a log that cannot be read."""
    return AuditError(
        f"the audit log cannot be read: {error.strerror}",
        where=str(path),
        fix="run this as the user that owns it",
    )
