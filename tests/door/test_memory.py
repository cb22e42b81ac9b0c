"""The lock's memory on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.door.memory import SequenceMemory
from oneglance.errors import ConfigError, OneglanceError


def test_the_first_start_remembers_nothing(tmp_path: Path) -> None:
    assert SequenceMemory(tmp_path / "sequence").load() == 0


@settings(max_examples=25, deadline=None)
@given(sequences=st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=5))
def test_what_is_stored_last_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[int]
) -> None:
    file = tmp_path_factory.mktemp("memory") / "sequence"
    for sequence in sequences:
        SequenceMemory(file).store(sequence)
    assert SequenceMemory(file).load() == sequences[-1]


def test_the_file_is_the_locks_own_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "door" / "sequence"
    SequenceMemory(file).store(7)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in file.parent.iterdir()] == ["sequence"]


@pytest.mark.parametrize(
    "content", [b"", b"7", b"7\n8\n", b"-1\n", b"007\n", b"\x00" * 8, b"99999999999999999\n"]
)
def test_a_corrupt_memory_is_never_guessed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "sequence"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"corrupt.*stays shut.*delete this file"):
        SequenceMemory(file).load()
    assert file.read_bytes() == content


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        SequenceMemory(tmp_path).load()


def test_a_memory_that_cannot_be_written_is_an_error_and_keeps_the_old(tmp_path: Path) -> None:
    file = tmp_path / "sequence"
    SequenceMemory(file).store(7)
    (tmp_path / ".new-sequence").mkdir()
    with pytest.raises(OneglanceError, match="stays shut"):
        SequenceMemory(file).store(8)
    assert SequenceMemory(file).load() == 7
