"""Face verification for a real door.

The rooms of the house are `oneglance.contract`, `faces`, `training`, `converter`, `daemon`,
`kiosk_ui`, `door` and `cli`; docs/architecture.md says which may import which.
"""

import os
from importlib.metadata import version

__version__ = version("oneglance")

MAX_PICTURE_PIXELS = 50_000_000
# OpenCV compares a picture's header with this before it decodes or sets memory aside, whatever the
# format; but it looks once only, when it is loaded. So it is said here, before anybody loads it.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PICTURE_PIXELS))
