"""Finds JPEG pictures in a stream of bytes by their own structure alone. Pure.

What stands between them (boundaries, headers, padding) is not needed: cameras leave it out, or say
a length that is not the picture's.
"""

from __future__ import annotations

import re

# Far more than any camera's picture has.
MAX_JPEG_BYTES = 20_000_000
_START = b"\xff\xd8\xff"
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
# In a scan an ff is data if a zero follows, and no end if a restart marker or another ff does.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_LENGTH = re.compile(rb"content-length:\s*(\d{1,9})\s", re.IGNORECASE)
_PART = re.compile(rb"--|content-", re.IGNORECASE)
# Some count the line that ends a part, some do not.
_LENGTH_TOLERANCE = 4
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
# Enough of what lies between two pictures to find a part's headers in it.
_BETWEEN = 4096


class JpegSplitter:
    """Cuts what is fed to it into JPEG files of at most `max_bytes`.

    Whatever came before, it continues at the next start of a picture.
    """

    def __init__(self, max_bytes: int = MAX_JPEG_BYTES) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._inside = False
        self._in_scan = False
        # Up to where the picture's structure was followed.
        self._at = 0
        self._declared: int | None = None
        self._padding = 0

    def feed(self, data: bytes) -> list[bytes | None]:
        """Complete pictures, in order; None where one was torn or its part's headers wrong."""
        self._data += data
        found: list[bytes | None] = []
        while True:
            if not self._inside and not self._begin(found):
                return found
            end = self._follow()
            if end is None:
                return found
            if end == 0:
                # Torn: its start is no start.
                found.append(None)
                del self._data[:2]
                self._inside, self._padding = False, 0
            else:
                picture = bytes(self._data[:end])
                del self._data[:end]
                self._inside = False
                found += self._judged(picture)

    def _begin(self, found: list[bytes | None]) -> bool:
        """Skip to the next start of a picture; False if there is none yet."""
        start = self._data.find(_START)
        if start < 0:
            del self._data[: max(0, len(self._data) - _BETWEEN)]
            return False
        between = bytes(self._data[:start])
        part = _PART.search(between)
        before = part.start() if part else start
        lengths = _LENGTH.findall(between)
        empty_part = len(_HEADERS_END.findall(between)) > 1
        if empty_part or (self._padding and before < self._padding - _LENGTH_TOLERANCE):
            found.append(None)
        self._declared = int(lengths[-1]) if lengths else None
        del self._data[:start]
        self._inside, self._in_scan, self._at, self._padding = True, False, 2, 0
        return True

    def _judged(self, picture: bytes) -> list[bytes | None]:
        if self._declared is None:
            return [picture]
        surplus = self._declared - len(picture)
        # Padding is counted by some; whether it is there shows before the next part.
        self._padding = max(surplus, 0) if surplus > _LENGTH_TOLERANCE else 0
        return [None, picture] if surplus < -_LENGTH_TOLERANCE else [picture]

    def _follow(self) -> int | None:
        """Where the picture ends; None if that is still to come, 0 if it is torn."""
        data = self._data
        while True:
            if self._at > self._max_bytes or (self._in_scan and len(data) > self._max_bytes):
                return 0
            if self._in_scan:
                marker = _AFTER_SCAN.search(data, self._at)
                if marker is None:
                    self._at = max(self._at, len(data) - 1)
                    return None
                self._at, self._in_scan = marker.start(), False
            if len(data) < self._at + 2:
                return None
            first, kind = data[self._at], data[self._at + 1]
            if first != 0xFF or (kind != 0xFF and kind < 0xC0) or 0xD0 <= kind <= _START_OF_IMAGE:
                return 0
            if kind == 0xFF:
                self._at += 1
            elif kind == _END_OF_IMAGE:
                return self._at + 2
            else:
                length = int.from_bytes(data[self._at + 2 : self._at + 4], "big")
                if len(data) < self._at + 4 or len(data) < self._at + 2 + length:
                    return None
                # Only what a program adds (a thumbnail) may hold another picture.
                added = 0xE0 <= kind <= 0xEF
                end = self._at + 2 + length
                if length < 2 or (not added and data.find(_START, self._at, end) >= 0):
                    return 0
                self._at = end
                self._in_scan = kind == _START_OF_SCAN
