"""Turns a picture file's bytes into pixels. Too large a picture is refused by its header alone."""

from __future__ import annotations

import io
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance import MAX_PICTURE_PIXELS
from oneglance.errors import ImageError
from oneglance.faces.formats import HEIC, VIDEO, named_format

# More than any camera's file has for that many pixels.
MAX_BYTES = 100_000_000
_PIECE = 1_000_000
_JPEG = b"\xff\xd8"
# No px of a picture that was scaled to its bits stays below, unless it is a dark one.
_HALF_LIT = 127
_OUTLIERS = 0.1
# Of 65,536 levels: what is nearly of one grey shows nothing but noise.
_LEAST_RANGE = 64
# So many along each side tell a picture's range.
_SAMPLED_PX = 1024


def read_file(file: IO[bytes], size: int, where: str) -> bytes:
    """The content of a picture file of `size` bytes.

    From a pipe or device, whose size is given as 0, whatever comes.

    Raises ImageError, named by `where`, if it is more than 100 MB.
    """
    pieces: list[bytes] = []
    while size <= MAX_BYTES and (piece := file.read(_PIECE)):
        pieces.append(piece)
        size = max(size, _PIECE * len(pieces))
    if size > MAX_BYTES:
        raise ImageError(
            f"the picture file is larger than {MAX_BYTES // 1_000_000} MB",
            where=where,
            fix="shrink the picture",
        )
    return b"".join(pieces)


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """A picture as BGR uint8 (H, W, 3), turned upright by its EXIF data; `where` is for errors.

    Raises ImageError if it is not a picture, is damaged, is larger than 50 megapixels, or has a
    format that is not read, which is then named.
    """
    name = named_format(data)
    if name == HEIC:
        return _heic(data, where)
    if name == VIDEO:
        raise ImageError("a video, not a picture", where=where, fix="name a video as --source")
    if name is not None:
        raise ImageError(
            f"pictures in this format ({name}) are not read",
            where=where,
            fix="export it as JPEG or PNG",
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        # A JPEG picture, as most cameras send them, never has 16 bits.
        if image is not None and not data.startswith(_JPEG) and image.max() <= _HALF_LIT:
            image = _with_all_its_bits(data, image)
    except cv2.error as error:
        # For its own checks OpenCV gives only the text.
        if "CV_IO_MAX_IMAGE" in error.err:
            raise _too_large(where) from None
        image = None
    if image is None:
        raise _damaged(where)
    # Somebody who loaded OpenCV before us may have set a limit of their own.
    if image.shape[0] * image.shape[1] > MAX_PICTURE_PIXELS:
        raise _too_large(where)
    return np.asarray(image, np.uint8)


def _with_all_its_bits(data: bytes, dark: cv2.typing.MatLike) -> cv2.typing.MatLike:
    """A dark picture's, if it has 16 bits: stretched by its own range.

    Infra-red cameras write 10 or 12 bits as they are into files of 16, whose upper 8 are nearly
    black.
    """
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if deep is None or deep.dtype != np.uint16:
        return dark
    # Every pixel sorted, and then computed with, took half a minute and gigabytes.
    step = 1 + max(deep.shape[:2]) // _SAMPLED_PX
    low, high = np.percentile(deep[::step, ::step], (_OUTLIERS, 100 - _OUTLIERS))
    if high - low < _LEAST_RANGE:
        return dark
    levels = np.clip((np.arange(1 << 16) - low) * (255 / (high - low)), 0, 255)
    return np.asarray(levels.astype(np.uint8)[deep], np.uint8)


def _heic(data: bytes, where: str) -> NDArray[np.uint8]:
    try:
        import pi_heif
    except ImportError:
        raise ImageError(
            "pictures in this format (HEIC, as of an iPhone) are read with the extra 'heif' only",
            where=where,
            fix="run pip install 'oneglance[heif]', or export it as JPEG",
        ) from None
    try:
        # Opening reads the headers; it is turned as they say when it is decoded.
        picture = pi_heif.open_heif(io.BytesIO(data), bgr_mode=True)
        width, height = picture.size
        if width * height > MAX_PICTURE_PIXELS:
            raise _too_large(where)
        # A copy: the memory is the library's, and goes with it.
        pixels = np.array(picture, np.uint8)
    except (ValueError, RuntimeError, EOFError, OSError):
        raise _damaged(where) from None
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return pixels[:, :, :3].copy()


def _damaged(where: str) -> ImageError:
    return ImageError(
        "not a picture, or a damaged one", where=where, fix="use an intact JPEG or PNG file"
    )


def _too_large(where: str) -> ImageError:
    return ImageError(
        f"the picture is larger than {MAX_PICTURE_PIXELS // 1_000_000} megapixels",
        where=where,
        fix="shrink it",
    )
