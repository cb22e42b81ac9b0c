"""A file is there whole or not at all, whatever fails and whoever else writes it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedWriter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.whole_file import (
    fresh,
    rewrite_whole,
    wipe,
    write_new,
    write_public,
    write_whole,
    write_whole_and_wipe,
)

NOBODY = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with old content."""
    path = tmp_path / "page.html"
    path.write_bytes(b"old")
    return path


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def small_files() -> Iterator[None]:
    """The kernel refuses the bytes of a file beyond 10 kB, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may write everywhere: be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is synced, and what the folder then holds."""
    seen: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        there = "new" in {path.name for path in tmp_path.iterdir()}
        seen.append(f"{'folder' if is_folder else 'file'}, {'there' if there else 'not there'}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return seen


@settings(max_examples=30, deadline=None)
@given(
    writes=st.lists(st.lists(st.binary(max_size=20_000), max_size=4), min_size=1, max_size=4),
    durable=st.booleans(),
)
def test_what_is_written_last_is_there_alone(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[bytes]], durable: bool
) -> None:
    path = tmp_path_factory.mktemp("whole") / "file"
    for parts in writes:
        with fresh(path, 0o600, durable=durable) as draft:
            draft.writelines(parts)
    assert content_of(path.parent) == {"file": b"".join(writes[-1])}


@pytest.mark.parametrize(
    ("mode", "mask", "found"), [(0o600, 0, 0o600), (0o666, 0o022, 0o644), (0o666, 0o077, 0o600)]
)
def test_the_mode_holds_from_the_first_moment(file: Path, mode: int, mask: int, found: int) -> None:
    file.chmod(0o777)
    with umask(mask), fresh(file, mode, durable=False) as draft:
        assert mode_of(Path(draft.name)) == found
    assert mode_of(file) == found


def test_a_path_to_write_to_lies_hidden_beside_the_file_and_has_its_suffix(file: Path) -> None:
    with fresh(file, 0o600, durable=True) as draft:
        beside = Path(draft.name)
        assert (beside.parent, beside.suffix) == (file.parent, ".html")
        assert beside.name.startswith(".")
        beside.write_bytes(b"by its path")
        assert file.read_bytes() == b"old"
    assert content_of(file.parent) == {"page.html": b"by its path"}


def put_a_folder_where_the_draft_goes(file: Path) -> None:
    (file.parent / ".new-page.html").mkdir()


def put_a_folder_where_the_file_goes(file: Path) -> None:
    file.unlink()
    file.mkdir()


def put_a_file_where_the_folder_is(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_bytes(b"")


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(
    ("hinder", "told"),
    [
        (put_a_folder_where_the_draft_goes, "Is a directory"),
        (put_a_folder_where_the_file_goes, "Is a directory"),
        (put_a_file_where_the_folder_is, "Not a directory"),
    ],
)
def test_what_stands_in_the_way_is_an_error_and_stays(
    file: Path, hinder: Callable[[Path], None], told: str, durable: bool
) -> None:
    hinder(file)
    before = sorted(file.parent.rglob("*"))
    with pytest.raises(OSError, match=told):
        write_whole(file, b"new", 0o600, durable=durable)
    assert sorted(file.parent.rglob("*")) == before


def write_much(draft: BufferedWriter) -> None:
    draft.write(b"x" * 10_001)


def write_more_than_the_buffer(draft: BufferedWriter) -> None:
    for _ in range(1_000):
        draft.write(b"x" * 1_000)


def write_much_by_its_path(draft: BufferedWriter) -> None:
    Path(draft.name).write_bytes(b"x" * 10_001)


def make_it_unsyncable(draft: BufferedWriter) -> None:
    reading, writing = os.pipe()
    os.dup2(writing, draft.fileno())
    os.close(reading)
    os.close(writing)


def take_it_away(draft: BufferedWriter) -> None:
    Path(draft.name).unlink()


def interrupt(draft: BufferedWriter) -> None:
    draft.write(b"half")
    raise KeyboardInterrupt("stop")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (write_much, "File too large"),
        (write_more_than_the_buffer, "File too large"),
        (write_much_by_its_path, "File too large"),
        (make_it_unsyncable, "Invalid argument"),
        (take_it_away, "No such file"),
        (interrupt, "stop"),
    ],
)
def test_a_failure_at_any_step_leaves_the_old_file_alone(
    file: Path, fail: Callable[[BufferedWriter], None], told: str
) -> None:
    with (
        small_files(),
        pytest.raises((OSError, KeyboardInterrupt), match=told),
        fresh(file, 0o600, durable=True) as draft,
    ):
        fail(draft)
    assert content_of(file.parent) == {"page.html": b"old"}


@pytest.mark.parametrize("mode", [0o555, 0o444, 0o111])
def test_a_folder_that_may_not_be_written_is_an_error(
    file: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By a relative path: the folders above are for root alone.
    monkeypatch.chdir(file.parent)
    file.parent.chmod(mode)
    try:
        for durable in (False, True):
            with somebody_else(), pytest.raises(PermissionError):
                write_whole(Path(file.name), b"new", 0o600, durable=durable)
        with somebody_else(), pytest.raises(PermissionError):
            write_new(Path("other"), b"new", 0o600)
    finally:
        file.parent.chmod(0o700)
    assert content_of(file.parent) == {"page.html": b"old"}


@pytest.mark.parametrize("leads_to", ["victim", "nowhere"])
def test_a_planted_link_is_never_followed(tmp_path: Path, file: Path, leads_to: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"dear")
    (tmp_path / ".new-page.html").symlink_to(leads_to)
    write_whole(file, b"new", 0o600, durable=False)
    assert content_of(tmp_path) == {"page.html": b"new", "victim": b"dear"}


def test_a_link_in_the_files_place_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"dear")
    (tmp_path / "link").symlink_to(victim)
    write_whole(tmp_path / "link", b"new", 0o600, durable=False)
    assert not (tmp_path / "link").is_symlink()
    assert content_of(tmp_path) == {"link": b"new", "victim": b"dear"}


def test_a_planted_pipe_blocks_nothing(file: Path) -> None:
    os.mkfifo(file.parent / ".new-page.html")
    write_whole(file, b"new", 0o600, durable=False)
    assert content_of(file.parent) == {"page.html": b"new"}


_KILLED = """
import os, signal, sys
from pathlib import Path
from oneglance.whole_file import fresh
with fresh(Path(sys.argv[1]), 0o600, durable=False) as draft:
    draft.write(b"half")
    draft.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_gone_after_the_next_write(file: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(content_of(file.parent).values()) == [b"half", b"old"]
    write_whole(file, b"new", 0o600, durable=False)
    assert content_of(file.parent) == {"page.html": b"new"}


def test_the_draft_of_a_living_writer_is_not_taken_for_a_leftover(file: Path) -> None:
    with fresh(file, 0o600, durable=False) as slow:
        slow.write(b"slow")
        for quick in (b"quick", b"quicker"):
            write_whole(file, quick, 0o600, durable=False)
            assert file.read_bytes() == quick
    assert content_of(file.parent) == {"page.html": b"slow"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files of others")
def test_a_draft_of_somebody_else_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = file.parent / ".new-page.html"
    theirs.write_bytes(b"theirs")
    theirs.chmod(0o600)
    monkeypatch.chdir(file.parent)
    file.parent.chmod(0o777)
    with somebody_else():
        write_whole(Path(file.name), b"new", 0o600, durable=False)
    assert content_of(file.parent) == {"page.html": b"new", ".new-page.html": b"theirs"}


_MANY_WRITES = """
import sys
from pathlib import Path
from oneglance.whole_file import write_whole
for _ in range(400):
    write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 30_000, 0o600, durable=False)
"""


def test_processes_that_write_at_once_leave_the_whole_content_of_one(file: Path) -> None:
    file.write_bytes(b"o" * 30_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", _MANY_WRITES, str(file), letter])
        for letter in "abc"
    ]
    while any(writer.poll() is None for writer in writers):
        data = file.read_bytes()
        assert len(data) == 30_000
        assert len(set(data)) == 1
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert [path.name for path in file.parent.iterdir()] == ["page.html"]


def test_what_is_durable_is_synced_before_it_has_its_name_and_the_folder_after(
    tmp_path: Path, syncs: list[str]
) -> None:
    write_whole(tmp_path / "new", b"", 0o600, durable=False)
    assert syncs == []
    (tmp_path / "new").unlink()
    write_whole(tmp_path / "new", b"", 0o600, durable=True)
    assert syncs == ["file, not there", "folder, there"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
@pytest.mark.parametrize("for_folders_owner", [False, True])
def test_what_root_writes_belongs_to_the_folders_owner_where_that_is_asked(
    tmp_path: Path, for_folders_owner: bool
) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    path = tmp_path / "file"
    write_whole(path, b"", 0o600, durable=False, for_folders_owner=for_folders_owner)
    assert path.stat().st_uid == (NOBODY if for_folders_owner else 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_is_written_anew_stays_whose_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 0, NOBODY)
    path.chmod(0o640)
    with umask(0o077):
        rewrite_whole(path, b"new")
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (0, NOBODY, 0o640)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_a_public_file_is_there_for_all_and_for_its_folders_owner(
    tmp_path: Path, mask: int
) -> None:
    path = tmp_path / "keyring.json"
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    for data in (b"old", b"new"):
        with umask(mask):
            write_public(path, data)
        assert path.read_bytes() == data
        assert mode_of(path) == 0o644
        assert path.stat().st_uid == tmp_path.stat().st_uid


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_a_new_file_has_exactly_its_mode_and_is_synced(
    tmp_path: Path, syncs: list[str], mask: int
) -> None:
    with umask(mask):
        write_new(tmp_path / "new", b"key", 0o644)
    assert mode_of(tmp_path / "new") == 0o644
    assert content_of(tmp_path) == {"new": b"key"}
    assert syncs == ["file, there", "folder, there"]


@pytest.mark.parametrize("there", ["file", "folder", "link to a file", "link to nowhere"])
def test_what_is_there_is_never_overwritten(tmp_path: Path, there: str) -> None:
    path, victim = tmp_path / "new", tmp_path / "victim"
    victim.write_bytes(b"dear")
    if there == "file":
        path.write_bytes(b"dear")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(victim if there == "link to a file" else tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_new(path, b"new", 0o600)
    assert path.is_symlink() is there.startswith("link")
    assert {p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == {b"dear"}
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("size", [10_001, 1_000_000])
def test_a_new_file_that_cannot_be_written_is_not_there(tmp_path: Path, size: int) -> None:
    with small_files(), pytest.raises(OSError, match="File too large"):
        write_new(tmp_path / "new", b"x" * size, 0o600)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "written"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_where_no_folder_can_be_synced_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, written: bool
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for write in (
        lambda: write_new(tmp_path / "new", b"key", 0o600),
        lambda: write_whole(tmp_path / "whole", b"1", 0o600, durable=True),
    ):
        with nullcontext() if written else pytest.raises(OSError, match="Input/output"):
            write()
    assert (tmp_path / "new").exists() is written


def test_what_was_replaced_or_wiped_is_overwritten(file: Path) -> None:
    with file.open("rb") as former:
        write_whole_and_wipe(file, b"new", 0o600)
        assert former.read() == bytes(3)
    assert content_of(file.parent) == {"page.html": b"new"}
    assert mode_of(file) == 0o600
    with file.open("rb") as gone:
        wipe(file)
        assert gone.read() == bytes(3)
    assert content_of(file.parent) == {}
    write_whole_and_wipe(file, b"first", 0o600)
    assert content_of(file.parent) == {"page.html": b"first"}


def test_a_file_with_another_name_and_what_a_link_leads_to_is_not_overwritten(file: Path) -> None:
    kept, link = file.with_name("kept"), file.with_name("link")
    kept.hardlink_to(file)
    write_whole_and_wipe(file, b"new", 0o600)
    file.unlink()
    file.hardlink_to(kept)
    wipe(file)
    link.symlink_to(kept)
    write_whole_and_wipe(link, b"new", 0o600)
    assert content_of(file.parent) == {"kept": b"old", "link": b"new"}


def test_what_could_not_be_replaced_is_not_overwritten(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 100)
    with small_files(), pytest.raises(OSError, match="File too large"):
        write_whole_and_wipe(file, bytes(20_000), 0o600)
    assert file.read_bytes() == bytes(range(256)) * 100
