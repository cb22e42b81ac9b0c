"""Run as a child: a photograph from a stick comes in, a small JPEG goes out, or one word why not.

Files on a stick that somebody found are what decoders were attacked with, and this screen's
process holds an administrator's key at that time. So they are decoded in a process of its own that
is given the bytes alone, little memory and little time. How large a picture is stands in its
header, which is read before anything is decoded.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from enum import StrEnum, auto

from oneglance import MAX_PICTURE_PIXELS
from oneglance.errors import MessageError

# As `oneglance command` makes them: plenty for a face, and short enough for a command in base64.
LONGEST_PX, MAX_JPEG_BYTES = 640, 130_000
_QUALITIES = (92, 80, 60, 40)
_FORMATS = ("JPEG", "PNG")
_MEMORY_BYTES, _CPU_S, _WAIT_S = 1 << 30, 20, 60.0
_JPEG = b"\xff\xd8"


class Fault(StrEnum):
    """Why there is no picture."""

    TOO_LARGE = auto()
    NO_PICTURE = auto()
    UNREADABLE = auto()


def shrunk(data: bytes) -> bytes | Fault:
    """A JPEG, upright and at most LONGEST_PX long, of a JPEG or PNG file; waits for the child."""
    try:
        result = subprocess.run(
            [sys.executable, "-m", "oneglance.kiosk_ui.photo_shrink"],
            input=data,
            capture_output=True,
            timeout=_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Fault.UNREADABLE
    if result.returncode == 0 and result.stdout.startswith(_JPEG):
        return result.stdout
    said = result.stderr.decode("ascii", "replace").strip()
    return Fault(said) if said in set(Fault) else Fault.UNREADABLE


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
    """Read the file from stdin, write the JPEG to stdout; 1 and a Fault's word on stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    try:
        sys.stdout.buffer.write(shrink(sys.stdin.buffer.read()))
    except MessageError as error:
        sys.stderr.write(error.what)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
