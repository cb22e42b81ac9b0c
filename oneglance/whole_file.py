"""Files that are there whole or not at all: the only way in which this project replaces a file.

A draft is made beside the target, hidden, and renamed over it when it is complete. Readers see the
old content of the target or the new, never half of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BufferedWriter
from itertools import count
from pathlib import Path

from oneglance.ownership import give_to_folders_owner

_TO_WIPE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write_whole(
    path: Path, data: bytes, mode: int, *, durable: bool, for_folders_owner: bool = False
) -> None:
    """Replace a file by these bytes; see `fresh` for the rest. Raises OSError."""
    with fresh(path, mode, durable=durable, for_folders_owner=for_folders_owner) as draft:
        draft.write(data)


def rewrite_whole(path: Path, data: bytes) -> None:
    """Replace a file's content, durably; its mode, owner and group stay. Raises OSError."""
    before = path.stat()
    with fresh(path, 0o600, durable=True) as draft:
        draft.write(data)
        os.fchown(draft.fileno(), before.st_uid, before.st_gid)
        os.fchmod(draft.fileno(), stat.S_IMODE(before.st_mode))


def write_public(path: Path, data: bytes) -> None:
    """Replace a file that all on this machine may read, durably: mode 0644, whatever the umask.

    Made by root, it belongs to the owner of the folder. Raises OSError.
    """
    with fresh(path, 0o644, durable=True, for_folders_owner=True) as draft:
        # Under root's umask of 077 a lock that runs as another user could not read it any more.
        os.fchmod(draft.fileno(), 0o644)
        draft.write(data)


def write_whole_and_wipe(path: Path, data: bytes, mode: int) -> None:
    """Replace a file that held something to be erased, durably; the old bytes are then overwritten.

    See `wipe` for what that can do. Made by root, it belongs to the owner of the folder. Raises
    OSError; then `path` may hold the new content already, and the old bytes may be left.
    """
    former = None
    with suppress(OSError):
        # Not there yet, or not to be written to: then it is only replaced.
        former = os.open(path, _TO_WIPE)
    try:
        write_whole(path, data, mode, durable=True, for_folders_owner=True)
        if former is not None:
            _overwrite(former)
    finally:
        if former is not None:
            os.close(former)


def wipe(path: Path) -> None:
    """Overwrite a file with zeros, on the disk when this returns, and remove it.

    This erases the bytes only on a file system that writes in place: not on one that copies on
    write or keeps data in a journal, nor on flash, which writes elsewhere, nor in any copy. A file
    that has another name (a hard link) is only removed. Raises OSError.
    """
    descriptor = os.open(path, _TO_WIPE)
    try:
        _overwrite(descriptor, names=1)
        path.unlink()
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int, *, names: int = 0) -> None:
    status = os.fstat(descriptor)
    # Whoever gave it another name wants to keep it.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != names:
        return
    os.pwrite(descriptor, bytes(status.st_size), 0)
    os.fsync(descriptor)


@contextmanager
def fresh(
    path: Path, mode: int, *, durable: bool, for_folders_owner: bool = False
) -> Iterator[BufferedWriter]:
    """An empty file to write to, which takes the place of `path` at the end.

    It has `mode`, less the umask, from the first moment. Its `name` is a path in the same folder
    with the suffix of `path`, for callers that need a path: write into that file, do not replace
    it. `durable`: when this returns, the content survives a power cut (where the file system can
    sync a folder at all); without it a power cut soon after may leave an empty file, but a crash of
    the process or a full disk may not. `for_folders_owner`: made by root, it belongs to the owner
    of the folder.

    Raises OSError, and what is raised inside: the draft is then removed, and `path` is as it was
    (only a folder that cannot be synced after the rename already shows the new content). Two
    processes at once leave the whole content of one of them. The next process that writes the same
    file removes what a killed one left.
    """
    folder = _open_folder(path.parent) if durable else None
    try:
        with _drafted(path, mode) as draft:
            if for_folders_owner:
                give_to_folders_owner(draft.fileno(), path.parent)
            yield draft
            draft.flush()
            if durable:
                os.fsync(draft.fileno())
            Path(draft.name).replace(path)
        if folder is not None:
            # The rename itself lives in the folder; without this a power cut can undo it.
            _sync_folder(folder)
    finally:
        if folder is not None:
            os.close(folder)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Make a file that must not be there yet; when this returns, it survives a power cut.

    It has exactly `mode`, whatever the umask, and never more than that. Raises FileExistsError, and
    touches nothing, if anything is there, even a link that leads nowhere; another OSError if it
    cannot be written: then there is no file.
    """
    # Written in its place: the rename of a draft would overwrite, and a hard link, which would
    # not, is more than a USB stick's file system can do.
    folder = _open_folder(path.parent)
    try:
        with open(path, "xb", opener=partial(os.open, mode=mode)) as file:
            try:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _sync_folder(folder)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    finally:
        os.close(folder)


@contextmanager
def _drafted(path: Path, mode: int) -> Iterator[BufferedWriter]:
    """A new file beside `path`, locked while it is written; removed if anything is raised."""
    for number in count(1):
        name = path.parent / f".new{number if number > 1 else ''}-{path.name}"
        if not _is_free(name):
            continue
        try:
            draft = open(name, "xb", opener=partial(os.open, mode=mode))  # noqa: SIM115
        except FileExistsError:
            continue
        with draft:
            try:
                # Some network file systems have no locks: nobody takes a draft away there.
                with suppress(OSError):
                    fcntl.flock(draft, fcntl.LOCK_EX)
                if os.fstat(draft.fileno()).st_nlink == 0:
                    # It was taken for a leftover in the moment before it was locked.
                    continue
                yield draft
            except BaseException:
                name.unlink(missing_ok=True)
                raise
            return


def _is_free(name: Path) -> bool:
    """Whether a draft may be made there: what a killed process left or others planted is removed.

    False while a living process writes it, which its lock tells. Raises OSError if something is
    there that is not to be removed, like a folder.
    """
    try:
        status = name.lstat()
    except FileNotFoundError:
        return True
    try:
        if not stat.S_ISREG(status.st_mode):
            name.unlink()
            return True
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Only the holder of the lock on the file with this name may remove it.
        if os.path.samestat(os.fstat(descriptor), name.lstat()):
            name.unlink()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _open_folder(folder: Path) -> int:
    # Before anything is written: a folder that cannot be opened cannot be synced either.
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        # The shared folders of some virtual machines cannot sync a folder, and refusing to write
        # would gain nothing there.
        if error.errno != errno.EINVAL:
            raise
