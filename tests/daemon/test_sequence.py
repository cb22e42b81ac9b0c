from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneglance.daemon.sequence import MAX_SEQUENCE, SequenceFile
from oneglance.errors import ConfigError


def test_the_first_number_is_the_clock_in_milliseconds(tmp_path: Path) -> None:
    assert SequenceFile(tmp_path / "s", lambda: 1_000).next() == 1_000


def test_a_number_is_on_disk_before_it_is_handed_out(tmp_path: Path) -> None:
    number = SequenceFile(tmp_path / "s", lambda: 7).next()
    assert (tmp_path / "s").read_text() == f"{number}\n"
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert not (tmp_path / "s.part").exists()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(st.lists(st.tuples(st.integers(0, 10**13), st.booleans()), min_size=1, max_size=12))
def test_numbers_rise_whatever_the_clock_does_and_over_restarts(
    tmp_path: Path, moments: list[tuple[int, bool]]
) -> None:
    clock = {"ms": 0}
    file = tmp_path / "s"
    file.unlink(missing_ok=True)
    sequence = SequenceFile(file, lambda: clock["ms"])
    last = 0
    for moment, restart in moments:
        clock["ms"] = moment
        if restart:
            sequence = SequenceFile(file, lambda: clock["ms"])
        number = sequence.next()
        assert number > last
        last = number


def test_a_lost_file_does_not_take_the_numbers_back(tmp_path: Path) -> None:
    now = 50_000
    sequence = SequenceFile(tmp_path / "s", lambda: now)
    before = sequence.next()
    (tmp_path / "s").unlink()
    now += 1
    assert sequence.next() > before


@pytest.mark.parametrize(
    "content",
    [b"", b"12", b"-1\n", b"twelve\n", b"1\n2\n", b"\xff\xfe\n", b"\0" * 16, b"9" * 5000 + b"\n"],
)
def test_a_damaged_file_gives_an_error_and_no_number(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ConfigError, match="damaged"):
        SequenceFile(tmp_path / "s", lambda: 1)
    assert (tmp_path / "s").read_bytes() == content


def test_a_file_damaged_while_we_run_gives_no_number(tmp_path: Path) -> None:
    sequence = SequenceFile(tmp_path / "s", lambda: 1)
    (tmp_path / "s").write_text("?")
    with pytest.raises(ConfigError, match="damaged"):
        sequence.next()


def test_a_missing_folder_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing or not writable"):
        SequenceFile(tmp_path / "none" / "s", lambda: 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="missing or not writable"):
        SequenceFile(tmp_path / "s", lambda: 1)


def test_a_file_that_cannot_be_written_gives_no_number(tmp_path: Path) -> None:
    sequence = SequenceFile(tmp_path / "s", lambda: 1)
    (tmp_path / "s.part").mkdir()
    with pytest.raises(ConfigError, match="cannot keep"):
        sequence.next()
    assert not (tmp_path / "s").exists()


def test_a_clock_in_the_far_future_gives_no_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="future"):
        SequenceFile(tmp_path / "s", lambda: MAX_SEQUENCE + 1).next()
