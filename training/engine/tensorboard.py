"""Event files for TensorBoard, written without TensorFlow: the same on every backend.

A record is the length (uint64), its masked CRC-32C, the event and its masked CRC-32C (TensorFlow's
TFRecord); an event is a protocol buffer (tensorflow/core/util/event.proto), of which a training
needs five fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from oneglance.training.engine.files import refused

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_TABLE = _table()


class EventLog:
    """Scalars of one start of a run, appended to a file of their own as they come.

    `clock` gives seconds since 1970. A run that is resumed writes a new file, whose first event
    says that all that was logged at `first_step` or later is void. Raises ConfigError where the
    disk is full.
    """

    def __init__(self, folder: Path, first_step: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(folder, error) from error
        starts = len(list(folder.glob("events.out.tfevents.*")))
        # TensorBoard reads the files of a folder in order of their names.
        self._path = folder / f"events.out.tfevents.{starts:010d}.oneglance"
        session_start = _number(1, 1)
        self._append(0, _bytes(3, b"brain.Event:2"))
        self._append(first_step, _bytes(7, session_start))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Append values by their tags."""
        values = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
            for tag, value in scalars.items()
        )
        self._append(step, _bytes(5, values))

    def _append(self, step: int, content: bytes) -> None:
        event = b"\x09" + struct.pack("<d", self._clock()) + _number(2, step) + content
        length = struct.pack("<Q", len(event))
        try:
            with self._path.open("ab") as file:
                file.write(length + _masked_crc(length) + event + _masked_crc(event))
        except OSError as error:
            raise refused(self._path, error) from error


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
