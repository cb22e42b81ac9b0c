"""A reader that types: key strokes as the kernel writes them."""

from __future__ import annotations

import os
import string
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.door.reader.wedge import EVENT, KEYS, Wedge, WedgeDecoder, open_wedge
from oneglance.errors import ConfigError, OneglanceError

CODES = {digit: code for code, digit in KEYS.items()}
ENTER, SHIFT, SPACE = 28, 42, 57
Stroke = tuple[int, int, int, float]


def strokes(text: str, at_s: float = 100.0, step_s: float = 0.01) -> list[Stroke]:
    """Each key down and up with its report, and Enter."""
    events: list[Stroke] = []
    for number, code in enumerate([*(CODES[c] for c in text.upper()), ENTER]):
        when = at_s + step_s * number
        events += [(4, 4, code, when), (1, code, 1, when), (0, 0, 0, when), (1, code, 0, when)]
    return events


def typed(events: list[Stroke]) -> list[str]:
    decoder = WedgeDecoder()
    return [number for e in events if (number := decoder.feed(*e)) is not None]


@given(st.lists(st.text(string.hexdigits, min_size=1, max_size=32), max_size=4))
def test_what_is_typed_is_read(numbers: list[str]) -> None:
    events = [e for place, n in enumerate(numbers) for e in strokes(n, at_s=100.0 + place)]
    assert typed(events) == [number.upper() for number in numbers]


def test_the_keypad_types_digits_too() -> None:
    assert sorted(KEYS.values()) == sorted("0123456789" * 2 + "ABCDEF")


def test_shift_and_held_keys_change_nothing() -> None:
    events = [(1, SHIFT, 1, 1.0), (1, CODES["7"], 1, 1.0), (1, CODES["7"], 2, 1.1)]
    assert typed([*events, (1, ENTER, 1, 1.2)]) == ["7"]


@pytest.mark.parametrize(
    "events",
    [
        [(1, ENTER, 1, 1.0)],
        [(1, CODES["1"], 1, 1.0), (1, SPACE, 1, 1.0), (1, CODES["2"], 1, 1.0), (1, ENTER, 1, 1.0)],
        strokes("1" * 33),
        strokes("1" * 500, step_s=0.0),
    ],
    ids=["nothing", "another key", "too long", "endless"],
)
def test_what_is_no_number_is_dropped_and_the_next_one_read(events: list[Stroke]) -> None:
    assert typed([*events, *strokes("42", at_s=101.0)]) == ["42"]


def test_what_was_typed_before_a_pause_does_not_count() -> None:
    assert typed([*strokes("99")[:-4], *strokes("42", at_s=102.0)]) == ["42"]


@pytest.fixture
def pipe() -> Iterator[tuple[Wedge, int]]:
    """A reader, and where its key strokes are written."""
    ends = os.pipe()
    wedge = Wedge(ends[0], "pipe")
    yield wedge, ends[1]
    wedge.close()


def write(descriptor: int, text: str, at_s: float = 100.0) -> None:
    for kind, code, value, when in strokes(text, at_s):
        os.write(descriptor, EVENT.pack(int(when), round(when % 1 * 1e6), kind, code, value))


def test_an_event_has_the_size_that_the_kernel_gives_it() -> None:
    # Two longs, two shorts, an int.
    assert EVENT.size == 2 * struct.calcsize("l") + 8


def test_numbers_come_from_a_device_one_by_one(pipe: tuple[Wedge, int]) -> None:
    wedge, end = pipe
    assert wedge.read(0.0) is None
    write(end, "0012345678")
    write(end, "AB", at_s=101.0)
    found = [wedge.read(0.0) for _ in range(4)]
    assert [number for number in found if number] == ["0012345678", "AB"]
    os.close(end)


def test_a_reader_that_is_unplugged_says_so(pipe: tuple[Wedge, int]) -> None:
    wedge, end = pipe
    os.close(end)
    with pytest.raises(OneglanceError, match="is gone"):
        wedge.read(0.0)


def test_a_reader_that_is_not_there_may_come_later(tmp_path: Path) -> None:
    with pytest.raises(OneglanceError, match="not plugged in") as caught:
        open_wedge(tmp_path / "event7")
    # systemd tries again, which it does not after a mistake in the configuration.
    assert caught.value.exit_code == 1


def test_what_is_no_input_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for device in (tmp_path / "file", Path("/dev/null")):
        with pytest.raises(ConfigError, match="no input device"):
            open_wedge(device)
    with pytest.raises(ConfigError, match="no badge reader is named"):
        open_wedge(None)
