"""JPEG pictures are found in a stream whatever stands between them, however it is cut."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.daemon.camera.jpegs import JpegSplitter


def picture(seed: int, *options: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", pixels, list(options))[1])


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """The picture with another one inside, as EXIF data has it."""
    return jpeg[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + jpeg[2:]


PLAIN, OTHER = picture(1), picture(2)
PICTURES = (
    PLAIN,
    picture(3, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    picture(4, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    with_thumbnail(OTHER, PLAIN),
)


def part(jpeg: bytes, length: int | None) -> bytes:
    declared = b"" if length is None else b"Content-Length: %d\r\n" % length
    return b"--frame\r\nContent-Type: image/jpeg\r\n" + declared + b"\r\n" + jpeg + b"\r\n"


def split(data: bytes, *cuts: int) -> list[bytes | None]:
    splitter = JpegSplitter()
    places = [0, *sorted(cuts), len(data)]
    return [found for start, end in pairwise(places) for found in splitter.feed(data[start:end])]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(PICTURES), min_size=1, max_size=4),
    st.sampled_from([b"", b"\r\n--x\r\n\r\n", b"\0" * 300, b"--\xff\r\n"]),
    st.lists(st.integers(0, 5000), max_size=5),
)
def test_whole_pictures_are_found_whatever_is_between_them_however_they_arrive(
    sent: list[bytes], between: bytes, cuts: list[int]
) -> None:
    data = between + between.join(sent)
    assert split(data, *(min(cut, len(data)) for cut in cuts)) == sent


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(PLAIN) - 3))
def test_after_any_damage_the_next_pictures_are_found(noise: bytes, cut: int) -> None:
    damaged = PLAIN[:cut] + noise.replace(b"\xff", b"\xfe")
    # What a torn segment counts as its own can be no more than 64 KiB.
    after = [part(OTHER, None)] * (2 + 70_000 // len(OTHER))
    found = split(damaged + b"".join(after))
    assert found[-2:] == [OTHER, OTHER]


@pytest.mark.parametrize(("wrong", "told"), [(0, 0), (2, 0), (-200, 3), (200, 2), (-5, 3)], ids=str)
def test_a_part_of_another_length_than_declared_is_told_but_loses_no_picture(
    wrong: int, told: int
) -> None:
    data = b"".join(part(jpeg, len(jpeg) + wrong) for jpeg in (PLAIN, OTHER, PLAIN))
    found = split(data)
    assert [jpeg for jpeg in found if jpeg is not None] == [PLAIN, OTHER, PLAIN]
    # That too little follows shows at the next part.
    assert found.count(None) == told


def test_padding_that_is_counted_is_no_fault() -> None:
    data = part(PLAIN + bytes(500), len(PLAIN) + 500) + part(OTHER, len(OTHER))
    assert split(data) == [PLAIN, OTHER]


def test_a_part_without_a_picture_is_told() -> None:
    assert split(part(PLAIN, None) + part(bytes(90), None) + part(OTHER, None)) == [
        *(PLAIN, None, OTHER)
    ]


def test_a_torn_picture_is_told_and_the_next_one_found() -> None:
    for length in (30, len(PLAIN) // 2, len(PLAIN) - 2):
        found = split(part(PLAIN[:length], None) + part(OTHER, None) * 3)
        assert None in found
        assert found[-1] == OTHER


def test_a_picture_without_an_end_is_given_up() -> None:
    splitter = JpegSplitter(max_bytes=10_000)
    found = splitter.feed(PLAIN[:-2])
    for _ in range(12):
        found += splitter.feed(bytes(1000))
    assert found == [None]
    assert splitter.feed(OTHER) == [OTHER]
