"""What kind of file it is that OpenCV cannot read a picture from, by its first bytes. Pure."""

from __future__ import annotations

import codecs
import struct

HEIC = "HEIC"
VIDEO = "video"

_BEGINNINGS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"%PDF-": "PDF",
    b"8BPS": "Photoshop",
    b"gimp xcf": "GIMP",
    b"v/1\x01": "OpenEXR",
    b"FUJIFILMCCD-RAW": "RAW",
    b"IIRO": "RAW",
    b"IIRS": "RAW",
    b"MMOR": "RAW",
    b"IIU\0": "RAW",
    b"FOVb": "RAW",
    b"PK\x03\x04": "zip",
    b"\x1aE\xdf\xa3": VIDEO,
}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
# Files of pictures that carry the brand of their family first.
_PICTURE_BRANDS = {b"mif1", b"msf1", b"mif2", b"avif", b"avis"}
_MARKUP = {b"<svg": "SVG", b"<!doctype html": "web page", b"<html": "web page"}
_MARKUP_WITHIN = 1024
# Of TIFF: what kind of picture the first one is, where others lie, and which DNG it is.
_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_SHORT = 3
_MOST_TAGS = 200


def named_format(data: bytes) -> str | None:
    """The name of a known format that cannot simply be decoded; None for anything worth trying.

    `HEIC` is a picture, `VIDEO` a recording. A camera's RAW file is most often a TIFF file whose
    first picture is a thumbnail, which would be taken for the photograph.
    """
    for beginning, name in _BEGINNINGS.items():
        if data.startswith(beginning):
            return name
    if data[4:8] == b"ftyp":
        return _of_brands(data)
    if data.startswith(b"RIFF") and data[8:12] == b"AVI ":
        return VIDEO
    if data[:4] in {b"II*\0", b"MM\0*"} and _is_raw(data):
        return "RAW"
    text = data[:_MARKUP_WITHIN].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if not text.startswith(b"<"):
        # A picture may tell in a comment what it was made of.
        return None
    return next((name for mark, name in _MARKUP.items() if mark in text), None)


def _of_brands(data: bytes) -> str | None:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, length - 3, 4))]
    if brands[0] == b"crx ":
        return "RAW"
    if _HEIC_BRANDS & set(brands):
        return HEIC
    return None if _PICTURE_BRANDS & set(brands) else VIDEO


def _is_raw(data: bytes) -> bool:
    if data[8:10] == b"CR":
        return True
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        tags = {}
        for index in range(min(count, _MOST_TAGS)):
            place = start + 2 + 12 * index
            tag, kind = struct.unpack_from(f"{order}HH", data, place)
            (tags[tag],) = struct.unpack_from(
                f"{order}{'H' if kind == 3 else 'I'}", data, place + 8
            )
    except struct.error:
        return False
    return _DNG_VERSION in tags or (_SUB_IFDS in tags and tags.get(_SUBFILE_TYPE, 0) & 1 == 1)
