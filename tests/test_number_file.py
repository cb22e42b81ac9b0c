"""A number on disk: never guessed, never half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.number_file import read_number, write_number


def test_without_a_file_the_number_is_zero(tmp_path: Path) -> None:
    assert read_number(tmp_path / "number") == 0


@settings(max_examples=25, deadline=None)
@given(numbers=st.lists(st.integers(0, 10**16 - 1), min_size=1, max_size=5))
def test_what_is_written_last_is_read(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    file = tmp_path_factory.mktemp("numbers") / "number"
    for number in numbers:
        write_number(file, number)
    assert read_number(file) == numbers[-1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["number"]


@pytest.mark.parametrize(
    "content",
    [b"", b"7", b"7\n8\n", b"-1\n", b"007\n", b"\x00" * 8, b"9" * 17 + b"\n", b"9" * 5000 + b"\n"],
)
def test_what_is_no_number_is_never_guessed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "number"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_number(file)
    assert file.read_bytes() == content


def test_a_crash_between_writing_and_renaming_keeps_the_old_number(tmp_path: Path) -> None:
    file = tmp_path / "number"
    write_number(file, 7)
    (tmp_path / ".new-number").write_bytes(b"8")
    assert read_number(file) == 7
    write_number(file, 9)
    assert read_number(file) == 9


def test_both_file_and_folder_reach_the_disk_before_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "number"
    steps: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append(f"{'folder' if is_folder else 'file'} renamed={file.exists()}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_number(file, 1)
    assert steps == ["file renamed=False", "folder renamed=True"]
