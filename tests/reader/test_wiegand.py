"""A reader on two wires: parity, lengths, and pulses on mock pins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from oneglance.door.reader.wiegand import Wiegand, number_of
from oneglance.errors import ConfigError


def frame(number: int, length: int) -> list[int]:
    """The bits that a reader sends."""
    data = [int(bit) for bit in f"{number:0{length - 2}b}"]
    half = len(data) // 2
    return [sum(data[:half]) % 2, *data, 1 - sum(data[half:]) % 2]


NUMBERS = st.sampled_from([26, 34]).flatmap(
    lambda length: st.tuples(st.just(length), st.integers(0, 2 ** (length - 2) - 1))
)


def test_a_known_frame() -> None:
    # Facility code 123, card 45678: 01111011 and 1011001001101110, with seven and four, five ones.
    bits = [int(bit) for bit in "10111101110110010011011101"]
    assert number_of(bits) == str(123 << 16 | 45678)
    assert number_of([1 - bits[0], *bits[1:]]) is None
    assert number_of([*bits[:-1], 1 - bits[-1]]) is None


@given(NUMBERS)
def test_what_is_sent_is_read(sent: tuple[int, int]) -> None:
    length, number = sent
    assert number_of(frame(number, length)) == str(number)


@given(NUMBERS, st.integers(0, 33))
def test_one_bit_that_is_wrong_missing_or_too_many_is_noticed(
    sent: tuple[int, int], place: int
) -> None:
    length, number = sent
    bits = frame(number, length)
    place %= length
    wrong = [*bits[:place], 1 - bits[place], *bits[place + 1 :]]
    assert number_of(wrong) is None
    assert number_of(bits[:place] + bits[place + 1 :]) is None
    assert number_of([*bits, 0]) is None


@given(st.lists(st.integers(0, 1), max_size=70))
def test_any_bits_are_a_number_or_none(bits: list[int]) -> None:
    number = number_of(bits)
    assert number is None or 0 <= int(number) < 2 ** (len(bits) - 2)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    factory = MockFactory()
    yield factory
    factory.close()


def send(factory: MockFactory, bits: list[int]) -> None:
    for bit in bits:
        pin = factory.pin(("GPIO23", "GPIO24")[bit])
        pin.drive_low()
        pin.drive_high()


def test_pulses_on_the_pins_become_numbers(factory: MockFactory) -> None:
    reader = Wiegand("GPIO23", "GPIO24", factory)
    assert reader.read(0.001) is None
    send(factory, frame(0x7BB26E, 26))
    assert reader.read(0.001) == str(0x7BB26E)
    send(factory, frame(2**31, 34))
    assert reader.read(0.001) == str(2**31)
    reader.close()


def test_noise_is_no_number_and_the_next_badge_is_read(factory: MockFactory) -> None:
    reader = Wiegand("GPIO23", "GPIO24", factory)
    send(factory, [0, 1, 1])
    assert reader.read(0.001) is None
    send(factory, frame(7, 26))
    assert reader.read(0.001) == "7"
    reader.close()


def test_pins_that_cannot_be_had_are_told(factory: MockFactory) -> None:
    for pins in (("GPIO23", "GPIO23"), ("GPIO99", "GPIO24"), ("", "x")):
        with pytest.raises(ConfigError, match="cannot use the pins"):
            Wiegand(*pins, factory)
    Wiegand("GPIO23", "GPIO24", factory).close()
