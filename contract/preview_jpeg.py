"""A JPEG file's picture size, read from its header: oversized pictures are never decoded. Pure."""

from __future__ import annotations

from oneglance.errors import MessageError

_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
# Frame headers; of the range, these four are tables and others.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in px. Raises MessageError unless the JPEG header is complete."""
    at = 2
    if data[:2] != b"\xff\xd8":
        raise MessageError("a picture that is no JPEG")
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _NO_LENGTH:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES and at + 9 <= len(data):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            if width and height:
                return width, height
        if marker in _FRAMES or length < 2:
            break
        at += 2 + length
    raise MessageError("a JPEG without a size")
