"""Picture files of every kind: what is too large is refused by its header."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ImageError
from oneglance.faces.decode import MAX_BYTES, decode
from oneglance.faces.drawings.drawing_model import read_drawing
from oneglance.faces.formats import named_format
from oneglance.faces.reader import load_image

SIDE = 30_000
GREY = np.full((48, 64, 3), 90, np.uint8)
# The most memory that oneglance with OpenCV and all these refusals may ever have had.
MOST_MB = 200
READ_ALL = """
import json, re, sys
from pathlib import Path
from oneglance.daemon.camera.sources import open_source
from oneglance.config import CameraConfig
from oneglance.errors import OneglanceError
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image

def refusal(read):
    try:
        read()
    except OneglanceError as error:
        return error.what
    return "read"

folder = Path(sys.argv[1])
said = {path.name: refusal(lambda: load_image(path)) for path in folder.glob("large.*")}
packed = Pictures(folder / "pictures.zip")
said["member"] = refusal(lambda: load_image(packed.read("bomb.png")))
film = CameraConfig(name="film", source=str(folder / "film.avi"))
said["film"] = refusal(lambda: open_source(film))
with open(folder / "long.bmp", "wb") as file:
    file.truncate(10**12)
said["long"] = refusal(lambda: load_image(folder / "long.bmp"))
# getrusage would count what the parent used before it made this process.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([said, int(peak[1]) / 1024]))
"""


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, GREY)[1])


def enlarged(suffix: str) -> bytes:
    """A small picture whose header says that it is 30,000 px on each side (WebP: 16,383)."""
    data = encoded(suffix)
    large = {
        byte_order + kind: struct.pack(f"{byte_order}2{kind}", SIDE, SIDE)
        for byte_order in "<>"
        for kind in "HI"
    }
    if suffix == ".png":
        header = b"IHDR" + large[">I"] + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    if suffix == ".webp":
        (bits,) = struct.unpack("<I", data[21:25])
        return data[:21] + struct.pack("<I", bits | 0xFFFFFFF) + data[25:]
    if suffix == ".jp2":
        for side in (64, 48):
            data = data.replace(struct.pack(">I", side), struct.pack(">I", SIDE))
        return data
    if suffix == ".tiff":
        # Width, height and rows of a strip, one entry each: tag, type 3 (a short), 1 value.
        for tag in (256, 257, 278):
            start = data.find(struct.pack("<HHI", tag, 3, 1))
            if start >= 0:
                data = data[:start] + struct.pack("<HHII", tag, 4, 1, SIDE) + data[start + 12 :]
        return data
    if suffix in {".ppm", ".pam", ".pfm"}:
        return data.replace(b"64", b"30000", 1).replace(b"48", b"30000", 1)
    kind = {".jpg": ">H", ".gif": "<H", ".bmp": "<I", ".ras": ">I"}[suffix]
    small = [struct.pack(f"{kind[0]}2{kind[1]}", *sides) for sides in ((64, 48), (48, 64))]
    found = next(sides for sides in small if sides in data)
    return data.replace(found, large[kind], 1)


HEIC_FILE = Path(__file__).parent / "sideways.heic"


FORMATS = (
    *(".png", ".jpg", ".webp", ".bmp", ".tiff", ".gif"),
    *(".ppm", ".pam", ".jp2", ".ras"),
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_of_the_formats_is_read(suffix: str) -> None:
    assert named_format(encoded(suffix)) is None
    assert decode(encoded(suffix), "picture").shape == GREY.shape


def test_a_picture_may_speak_of_markup_in_a_comment() -> None:
    comment = b"made of <html>, or of <svg width='9'>"
    data = encoded(".jpg")
    block = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    assert decode(data[:2] + block + data[2:], "picture").shape == GREY.shape


def test_a_tiff_picture_may_have_other_sizes_beside_it() -> None:
    assert decode(tiff({254: 0, 330: 8}), "picture").shape == GREY.shape


def test_what_is_too_large_is_refused_by_its_header_in_every_format_from_everywhere(
    tmp_path: Path,
) -> None:
    for suffix in FORMATS:
        (tmp_path / f"large{suffix}").write_bytes(enlarged(suffix))
    with (
        zipfile.ZipFile(tmp_path / "pictures.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z,
        z.open("bomb.png", "w") as member,
    ):
        for _ in range(MAX_BYTES // 1_000_000 + 1):
            member.write(bytes(1_000_000))
    size = (7200, 7000)
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, size)
    film.write(np.zeros((*reversed(size), 3), np.uint8))
    film.release()

    run = subprocess.run(
        [sys.executable, "-c", READ_ALL, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    said, peak_mb = json.loads(run.stdout)
    pixels = "the picture is larger than 50 megapixels"
    file = "the picture file is larger than 100 MB"
    expected = {f"large{suffix}": pixels for suffix in FORMATS} | {"member": file, "long": file}
    expected["film"] = "its pictures of 7200 x 7000 are larger than 50 megapixels"
    assert said == expected
    assert peak_mb < MOST_MB


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_ten_bits_in_a_file_of_sixteen_are_stretched(suffix: str) -> None:
    ramp = np.tile(np.linspace(200, 900, 256).astype(np.uint16), (40, 1))
    pixels = decode(bytes(cv2.imencode(suffix, ramp)[1]), "picture")
    assert pixels.shape == (40, 256, 3)
    assert np.allclose(pixels[0, :, 0], np.arange(256), atol=3)


def test_stretching_takes_no_many_times_the_memory_of_the_picture() -> None:
    data = bytes(cv2.imencode(".png", np.tile(np.arange(1000, dtype=np.uint16), (1000, 1)))[1])
    tracemalloc.start()
    try:
        pixels = decode(data, "picture")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pixels.max() == 255
    # As it is, with 16 bits, and stretched.
    assert peak < 6 * pixels.nbytes


def test_sixteen_bits_in_full_use_and_a_dark_picture_stay_as_they_are() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (40, 1))
    pixels = decode(bytes(cv2.imencode(".png", ramp)[1]), "picture")
    assert np.allclose(pixels[0, :, 0], np.arange(256), atol=1)
    noise = np.random.default_rng(0).integers(60, 90, (40, 256)).astype(np.uint16)
    assert decode(bytes(cv2.imencode(".png", noise)[1]), "picture").max() == 0
    dim = np.tile(np.arange(100, dtype=np.uint8), (40, 1))
    assert decode(bytes(cv2.imencode(".png", dim)[1]), "picture").max() == 99


def test_an_iphones_photograph_is_read_and_turned_upright() -> None:
    pytest.importorskip("pi_heif", reason="the extra 'heif' is not installed")
    picture = decode(HEIC_FILE.read_bytes(), "picture")
    assert picture.shape == (64, 48, 3)
    assert np.allclose(picture[:28], (40, 40, 250), atol=4)
    assert picture[36:].max() < 10


def test_a_large_or_damaged_iphones_photograph_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pi_heif", reason="the extra 'heif' is not installed")
    data = HEIC_FILE.read_bytes()
    monkeypatch.setattr("oneglance.faces.decode.MAX_PICTURE_PIXELS", 48 * 64 - 1)
    with pytest.raises(ImageError, match="larger than"):
        decode(data, "picture")
    for length in range(30, len(data), 60):
        with pytest.raises(ImageError, match="a damaged one"):
            decode(data[:length], "picture")


def test_without_its_extra_an_iphones_photograph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"HEIC.*pip install 'oneglance\[heif\]'"):
        decode(HEIC_FILE.read_bytes(), "picture")


def tiff(tags: dict[int, int]) -> bytes:
    """A TIFF picture with these tags before its own; OpenCV reads it all the same."""
    data = encoded(".tiff")
    (start,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[start : start + 2])
    before = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    entries = data[start + 2 : start + 2 + 12 * count]
    directory = struct.pack("<H", count + len(tags)) + before + entries + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
        (tiff({50706: 0x0401}), "RAW"),
        (tiff({254: 1, 330: 8}), "RAW"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg width='9'>", "SVG"),
        (b"<!DOCTYPE HTML>\n<title>Not found</title>", "web page"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "a video, not a picture"),
        (b"RIFF\0\1\0\0AVI LIST", "a video, not a picture"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_the_way_out(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        decode(data, "picture")
    assert caught.value.fix in {"export it as JPEG or PNG", "name a video as --source"}


@given(st.binary(max_size=80), st.sampled_from([b"", b"II*\0", b"MM\0*", b"\0\0\0\x18ftyp"]))
def test_naming_a_format_never_fails(data: bytes, beginning: bytes) -> None:
    named_format(beginning + data)


def test_a_device_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(ImageError, match="/dev/zero: the picture file is larger than 100 MB"):
        load_image(Path("/dev/zero"))


def test_a_drawing_that_is_too_large_is_no_readable_one() -> None:
    with pytest.raises(ImageError, match="not a readable picture"):
        read_drawing(enlarged(".png"), "drawing")
