"""Run as a child: reads a photograph from a stick, and writes a small JPEG, or one word why not.

Files on a stick that somebody found are what decoders were attacked with, and this screen's
process holds an administrator's key at that time. So they are decoded in a process of its own that
is given the bytes alone, little memory and little time, and may write little. How large a picture
is stands in its header, which is read before anything is decoded.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from contextlib import ExitStack
from enum import StrEnum, auto
from typing import BinaryIO

from oneglance import MAX_PICTURE_PIXELS
from oneglance.errors import MessageError

# As `oneglance command` makes them: plenty for a face, and small enough for a command in base64.
LONGEST_PX, MAX_JPEG_BYTES = 640, 130_000
_QUALITIES = (92, 80, 60, 40)
_FORMATS = ("JPEG", "PNG")
_MEMORY_BYTES, _CPU_S, _WAIT_S = 1 << 30, 20, 60.0
_JPEG = b"\xff\xd8"
_FILES = ("photograph", "picture", "fault")


class Fault(StrEnum):
    """Why there is no picture."""

    TOO_LARGE = auto()
    NO_PICTURE = auto()
    UNREADABLE = auto()


def shrunk(data: bytes) -> bytes | Fault:
    """An upright JPEG, at most LONGEST_PX long, from a JPEG or PNG file; waits for the child."""
    try:
        with ExitStack() as files:
            given, made, said = (files.enter_context(_memory_file(name)) for name in _FILES)
            given.write(data)
            given.flush()
            given.seek(0)
            code = subprocess.run(
                [sys.executable, "-m", "oneglance.kiosk_ui.photo_shrink"],
                stdin=given,
                stdout=made,
                stderr=said,
                timeout=_WAIT_S,
                check=False,
            ).returncode
            made.seek(0)
            said.seek(0)
            # A decoder that was taken over may say as much as its limit lets it.
            jpeg, word = made.read(MAX_JPEG_BYTES + 1), said.read(64)
    except (OSError, subprocess.TimeoutExpired):
        return Fault.UNREADABLE
    if code == 0 and jpeg.startswith(_JPEG) and len(jpeg) <= MAX_JPEG_BYTES:
        return jpeg
    fault = word.decode("ascii", "replace").strip()
    return Fault(fault) if fault in set(Fault) else Fault.UNREADABLE


def _memory_file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b")


def shrink(data: bytes) -> bytes:
    """The child's work. Raises MessageError with a Fault's word."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > MAX_PICTURE_PIXELS:
                raise MessageError(Fault.TOO_LARGE)
            # A JPEG can be decoded at a fraction of its size.
            opened.draft("RGB", (2 * LONGEST_PX, 2 * LONGEST_PX))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except UnidentifiedImageError:
        raise MessageError(Fault.NO_PICTURE) from None
    except MemoryError:
        raise MessageError(Fault.TOO_LARGE) from None
    except (OSError, SyntaxError, ValueError, EOFError):
        raise MessageError(Fault.NO_PICTURE) from None
    picture.thumbnail((LONGEST_PX, LONGEST_PX))
    for quality in _QUALITIES:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_JPEG_BYTES:
            return out.getvalue()
    raise MessageError(Fault.TOO_LARGE)


def main() -> int:
    """Read the file from stdin, write the JPEG to stdout; or 1 and a Fault's word on stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_JPEG_BYTES, MAX_JPEG_BYTES))
    try:
        sys.stdout.buffer.write(shrink(sys.stdin.buffer.read()))
    except MessageError as error:
        sys.stderr.write(error.what)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
