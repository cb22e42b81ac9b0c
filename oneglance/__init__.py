"""Face verification for a real door.

The rooms of the house are `oneglance.contract`, `faces`, `training`, `converter`, `daemon`,
`kiosk_ui`, `door` and `cli`; docs/architecture.md says which may import which.
"""

import os

MAX_PICTURE_PIXELS = 50_000_000
# OpenCV compares a picture's header with this limit before it decodes or allocates memory, whatever
# the format, but it reads the limit only once, when it is loaded. So it is set here, before anybody
# loads it.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PICTURE_PIXELS))


def __getattr__(name: str) -> str:
    """`__version__`, only when asked for: reading it takes longer than all other imports."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("oneglance")
