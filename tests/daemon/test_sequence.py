from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneglance.daemon.voice.sequence import MAX_SEQUENCE, SequenceFile, last_sequence
from oneglance.errors import ConfigError, OneglanceError, StateError


def test_the_first_number_is_the_clock_in_milliseconds(tmp_path: Path) -> None:
    with SequenceFile(tmp_path / "s", lambda: 1_000) as sequence:
        assert sequence.next() == 1_000


def test_a_number_is_on_disk_before_it_is_handed_out(tmp_path: Path) -> None:
    with SequenceFile(tmp_path / "s", lambda: 7) as sequence:
        number = sequence.next()
    assert (tmp_path / "s").read_text() == f"{number}\n"
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s.lock").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"s", "s.lock"}


def test_a_number_that_is_handed_out_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was synced before it got its name, and then the folder that holds the name."""
    file = tmp_path / "s"
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        fsync(descriptor)
        inode = os.fstat(descriptor).st_ino
        named = file.exists() and file.stat().st_ino == inode
        synced.append((inode, named))

    with SequenceFile(file, lambda: 7) as sequence:
        for _ in range(2):
            synced.clear()
            monkeypatch.setattr(os, "fsync", recorded)
            sequence.next()
            monkeypatch.undo()
            assert synced == [(file.stat().st_ino, False), (tmp_path.stat().st_ino, False)]


def test_two_daemons_never_share_a_sequence(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from oneglance.daemon.voice.sequence import SequenceFile;"
        "s = SequenceFile(Path(sys.argv[1]), lambda: 1); print(s.next(), flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        with pytest.raises(OneglanceError, match="another daemon") as caught:
            SequenceFile(tmp_path / "s", lambda: 1)
        # Exit code 78 would keep systemd from trying again.
        assert caught.value.exit_code == 1
        # Whoever only looks disturbs nobody.
        assert last_sequence(tmp_path / "s") == 1
        other.kill()
    with SequenceFile(tmp_path / "s", lambda: 1) as sequence:
        assert sequence.next() == 2


def test_a_closed_sequence_gives_no_number_and_is_free_for_another(tmp_path: Path) -> None:
    first = SequenceFile(tmp_path / "s", lambda: 1)
    first.close()
    first.close()
    with SequenceFile(tmp_path / "s", lambda: 1) as second:
        assert second.next() == 1
        with pytest.raises(ConfigError, match="closed"):
            first.next()


def test_a_sequence_that_cannot_be_locked_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "s.lock").mkdir()
    with pytest.raises(StateError, match="cannot lock") as caught:
        SequenceFile(tmp_path / "s", lambda: 1)
    # A disk that is full or read-only for an hour must not end the service for good.
    assert caught.value.exit_code == 73


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
            sequence.close()
            sequence = SequenceFile(file, lambda: clock["ms"])
        number = sequence.next()
        assert number > last
        last = number
    sequence.close()


def test_a_lost_file_does_not_take_the_numbers_back(tmp_path: Path) -> None:
    now = 50_000
    with SequenceFile(tmp_path / "s", lambda: now) as sequence:
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
    with SequenceFile(tmp_path / "s", lambda: 1) as sequence:
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
    (tmp_path / ".new-s").mkdir()
    with (
        SequenceFile(tmp_path / "s", lambda: 1) as sequence,
        pytest.raises(ConfigError, match="cannot keep"),
    ):
        sequence.next()
    assert not (tmp_path / "s").exists()


def test_a_clock_in_the_far_future_gives_no_number(tmp_path: Path) -> None:
    with (
        SequenceFile(tmp_path / "s", lambda: MAX_SEQUENCE + 1) as sequence,
        pytest.raises(ConfigError, match="future"),
    ):
        sequence.next()
