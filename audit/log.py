"""The audit log as its writers see it: each entry is on disk before the writer goes on."""

from __future__ import annotations

import base64
import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.audit.entry import (
    EMPTY,
    LASTING_KINDS,
    RISING_KINDS,
    SIGNED_KINDS,
    Entry,
    Head,
    Signer,
    key_id,
    looks_signed,
    make_line,
    read_line,
    rises,
)
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms, Sealer
from oneglance.audit.segments import (
    Line,
    entries_backwards,
    lines,
    open_segment,
    segment_name,
    segments,
)
from oneglance.audit.snapshots import SNAPSHOTS, events_in, remove_events
from oneglance.errors import AuditError, TamperedError
from oneglance.ownership import give_to_folders_owner

log = logging.getLogger(__name__)

# Small enough to be read whole at a start, large enough that years fit into some dozens of files.
SEGMENT_BYTES = 4 * 1024 * 1024
# Another process holds the lock for one write; a longer wait means that it hangs.
BUSY_S = 5.0
KEPT_OF_CUT_BYTES = 4096

_FULL = "make room on the disk: nothing goes unlogged, so nobody is let in until then"
_REFUSED = "run this as the user that owns the gallery, in a folder that this user can write to"
_UNKNOWN = (
    "if it was this daemon's key before: oneglance audit accept-key OLD.pub. If not, somebody "
    "else wrote here: keep a copy as evidence, then move the folder away to begin a new log"
)
_TAMPERED = (
    "see what is left with 'oneglance audit verify', keep a copy as evidence, "
    "then move the folder away to begin a new log"
)


class Audit:
    """An open audit log: a folder of segments. Threads and processes may write to it at once.

    With a `signer` every entry is signed, which vouches for all entries before it, too. `keys`
    are the public keys that may have signed the log's end: nothing is written on top of another's
    signature. Without any, signatures are left to `oneglance audit verify`. `sealer` keeps who has
    which pseudonym. `monotonic_s` and `pause` are for waiting for the lock.

    Opening reads the log from its last signature on; an entry that a power cut left incomplete is
    removed and reported in a new entry `cut_off`. Raises AuditError if the log cannot be read or
    written, TamperedError if what was read is not as it was written.
    """

    def __init__(
        self,
        folder: Path,
        wall: Callable[[], datetime],
        *,
        signer: Signer | None = None,
        keys: Iterable[Ed25519PublicKey] = (),
        sealer: Sealer | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._wall = wall
        self._signer = signer
        self._keys = {key_id(key): key for key in keys}
        self._pseudonyms = None if sealer is None else Pseudonyms(folder / PEOPLE_FILE, sealer)
        self._segment_bytes = segment_bytes
        self._monotonic_s = monotonic_s
        self._pause = pause
        self._mutex = threading.Lock()
        # The end of what was read or written: everything up to this byte of this segment is known.
        self._opening = True
        self._segment: Path | None = None
        self._inode = 0
        self._size = 0
        self._month = ""
        self._last: Entry | None = None
        self._signed: Entry | None = None
        self._newest: dict[str, Entry | None] = {}
        _make_folder(folder)
        self.head()

    @property
    def signed_with(self) -> str:
        """The id of the key that signed the last signed entry; "" if none is signed."""
        return "" if self._signed is None else self._signed.key

    def head(self) -> Head:
        """The place of the last entry, whoever wrote it. Raises AuditError."""
        with self._exclusive():
            return self._head

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> Entry:
        """Write one entry; when this returns, it survives a power cut.

        `person_id` is written as `person`, by pseudonym: `body` contains no name or id of a person.
        Raises AuditError, with nothing written, if the entry cannot be kept; ValueError for an
        invalid body or kind.
        """
        with self._exclusive():
            if person_id is not None:
                body = {**body, "person": self._names().of(person_id)}
            return self._append(kind, body)

    def append_all(self, said: Sequence[tuple[str, str, dict[str, Any]]]) -> list[Entry]:
        """Write entries, each of a kind, for a person, with a body; many cost little more than one.

        Raises as `append` does: then none is written. A power cut may leave the first of them.
        """
        with self._exclusive():
            names = self._names().of_all([person_id for _, person_id, _ in said])
            bodies = [(kind, {**body, "person": names[person]}) for kind, person, body in said]
            return self._append_all(bodies)

    def append_after(
        self, kind: str, body: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> None:
        """Append what `body` makes of the newest entry's body of this kind; raises as `append`.

        `body` gets an empty one before the first entry; if it returns None, nothing is written.
        Nobody else writes in between.
        """
        with self._exclusive():
            newest = self._newest_of(kind)
            said = body({} if newest is None else newest.body)
            if said is not None:
                self._append(kind, said)

    def checkpoint(self) -> Entry | None:
        """Sign what others wrote since the last signature; None if there is nothing."""
        with self._exclusive():
            if self._last is None or self._last.key:
                return None
            return self._append("checkpoint", {})

    def last(self, kind: str) -> Entry | None:
        """The newest entry of a kind, or None; cheap except for the first time.

        Raises AuditError.
        """
        with self._exclusive():
            return self._newest_of(kind)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Make the pseudonyms of all people whose id is `gone` nobody's, and remove their pictures.

        Raises AuditError.
        """
        with self._exclusive():
            names = self._names()
            theirs = {name for name, person_id in names.people().items() if gone(person_id)}
            if theirs:
                # First, since nothing else tells whose they are.
                remove_events(self._folder / SNAPSHOTS, self._events_of(theirs))
                names.forget(gone)

    def check_people(self) -> None:
        """Raise AuditError if it cannot be read who has which pseudonym."""
        with self._exclusive():
            self._names().people()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else who uses `alone` from changing people. Raises AuditError."""
        with _locked(self._folder / "people.lock", self._monotonic_s, self._pause):
            yield

    def _events_of(self, pseudonyms: set[str]) -> set[str]:
        """The events of which there is a picture at which these people were recognised."""
        kept = events_in(self._folder / SNAPSHOTS)
        found: set[str] = set()
        if not kept:
            return found
        for entry in entries_backwards(self._folder, ("decision",)):
            event_id = entry.body.get("event_id")
            if event_id in kept:
                kept.discard(event_id)
                if entry.body.get("person") in pseudonyms:
                    found.add(event_id)
            if not kept:
                break
        return found

    def reseal(self, sealer: Sealer) -> None:
        """Seal the pseudonyms with another key from now on. Raises AuditError."""
        with self._exclusive():
            self._names().reseal(sealer)

    def retain(self, since: datetime) -> None:
        """Remove whole segments, except the newest, in which everything is older than `since`.

        What still counts of them is written again. First a signed entry records up to which number,
        and the hash of that entry; so this needs a signer. Raises AuditError.
        """
        with self._exclusive():
            found = segments(self._folder)
            through = EMPTY
            old = []
            for segment in found[:-1]:
                last = _last_entry(segment)
                if last is None or last.at > since:
                    break
                old.append(segment)
                through = last.head
            if not old:
                return
            for kind in LASTING_KINDS:
                newest = self._newest_of(kind)
                if newest is not None and newest.number <= through.number:
                    self._append(kind, newest.body)
            self._append("retention", {"through": through.number, "hash": through.hash})
            try:
                # The oldest first, so that what is left after a crash is a whole chain.
                for segment in old:
                    segment.unlink()
                _sync_folder(self._folder)
            except OSError as error:
                raise AuditError(
                    f"old entries cannot be removed: {error.strerror}", where=str(self._folder)
                ) from None

    @property
    def _head(self) -> Head:
        return EMPTY if self._last is None else self._last.head

    def _newest_of(self, kind: str) -> Entry | None:
        if kind not in self._newest:
            self._newest[kind] = next(entries_backwards(self._folder, (kind,)), None)
        return self._newest[kind]

    def _names(self) -> Pseudonyms:
        if self._pseudonyms is None:
            raise ValueError("people are logged only where their pseudonyms can be sealed")
        return self._pseudonyms

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep others from writing while the block runs; everything written so far is known."""
        with self._mutex, _locked(self._folder / "lock", self._monotonic_s, self._pause):
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        found = segments(self._folder)
        if self._segment is None:
            found = _from_last_signature(found)
        elif self._segment in found:
            found = found[found.index(self._segment) :]
        else:
            raise _tampered(self._segment, "it was removed while it was in use")
        cut: dict[str, Any] = {}
        for segment in found:
            cut = self._read(segment, is_last=segment == found[-1])
        if self._opening and self._signed is not None:
            # Before anything is signed on top of it.
            self._check_signature(self._signed)
        self._opening = False
        if cut:
            self._append("cut_off", cut)

    def _read(self, segment: Path, *, is_last: bool) -> dict[str, Any]:
        """Read a segment to its end.

        An incomplete entry is removed; returns what to report about it.
        """
        try:
            descriptor = open_segment(segment, os.O_RDWR)
            try:
                status = os.fstat(descriptor)
                if segment != self._segment:
                    self._segment, self._size, self._inode = segment, 0, status.st_ino
                if status.st_ino != self._inode or status.st_size < self._size:
                    raise _tampered(segment, "it was cut or replaced while it was in use")
                if status.st_size == self._size:
                    return {}
                for line in lines(segment, self._size):
                    if not line.complete and is_last:
                        return self._cut(descriptor, line, status.st_size)
                    self._take(line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed(segment, error) from None
        return {}

    def _take(self, line: Line) -> None:
        place = f"entry {self._head.number + 1}"
        try:
            entry = read_line(line.data)
        except ValueError:
            raise _tampered(line.segment, f"{place} was altered") from None
        begins = self._last is None and entry.number > 1
        if not begins and (entry.number, entry.prev) != (self._head.number + 1, self._head.hash):
            raise _tampered(line.segment, f"{place} does not follow the one before")
        if not entry.key and entry.kind in SIGNED_KINDS:
            raise _tampered(line.segment, f"{place} was forged")
        if not self._opening:
            # Hardly anybody but us signs, and we know what we wrote.
            self._check_signature(entry)
        elif self._signed is not None and entry.key not in ("", self._signed.key):
            # A signature by an unknown key vouches for nothing before it. If this entry's own key
            # was given up long ago, whoever signed on top of it has checked it.
            self._check_signature(self._signed, may_be_former=True)
        if entry.kind in RISING_KINDS and not rises(entry, self._before(entry)):
            raise _tampered(line.segment, f"{place} lowers the {entry.kind}")
        self._keep(entry, len(line.data) + 1)

    def _keep(self, entry: Entry, size: int) -> None:
        if not self._size:
            self._month = f"{entry.at:%Y-%m}"
        self._size += size
        self._last = self._newest[entry.kind] = entry
        if entry.key:
            self._signed = entry

    def _cut(self, descriptor: int, line: Line, size: int) -> dict[str, Any]:
        log.warning("audit log: the last entry was cut off by a power loss and is taken away")
        data = base64.b64encode(line.data[:KEPT_OF_CUT_BYTES]).decode()
        os.ftruncate(descriptor, self._size)
        os.fsync(descriptor)
        return {"bytes": size - self._size, "data": data}

    def _check_signature(self, entry: Entry, *, may_be_former: bool = False) -> None:
        if not self._keys or not entry.key:
            return
        key = self._keys.get(entry.key)
        if key is None and not may_be_former:
            raise TamperedError(
                f"the audit log was signed by the unknown key {entry.key} up to entry"
                f" {entry.number}",
                where=str(self._folder),
                fix=_UNKNOWN,
            )
        if key is not None and not entry.is_signed_by(key):
            raise _tampered(self._folder, f"the signature of entry {entry.number} is wrong")

    def _before(self, entry: Entry) -> Entry | None:
        """The newest entry of the same kind before one that is just being read."""
        if entry.kind in self._newest:
            return self._newest[entry.kind]
        # It is in a segment that was not read: whoever signed after it has checked it.
        earlier = entries_backwards(self._folder, (entry.kind,))
        return next((one for one in earlier if one.number < entry.number), None)

    def _append(self, kind: str, body: dict[str, Any]) -> Entry:
        return self._append_all([(kind, body)])[0]

    def _append_all(self, said: Sequence[tuple[str, dict[str, Any]]]) -> list[Entry]:
        if not said:
            return []
        now, head = self._wall(), self._head
        written, entries = [], []
        for kind, body in said:
            line = make_line(head, now, kind, body, self._signer)
            entry = read_line(line[:-1])
            head = entry.head
            written.append(line)
            entries.append(entry)
        data, first = b"".join(written), entries[0]
        full = self._size + len(data) > self._segment_bytes or self._month != f"{first.at:%Y-%m}"
        if self._segment is None or (full and self._size):
            self._write(self._folder / segment_name(first.number), data, os.O_CREAT | os.O_EXCL)
        else:
            self._write(self._segment, data, 0)
        for entry, line in zip(entries, written, strict=True):
            self._keep(entry, len(line))
        return entries

    def _write(self, segment: Path, line: bytes, how: int) -> None:
        size = 0 if how else self._size
        try:
            descriptor = open_segment(segment, os.O_WRONLY | os.O_APPEND | how)
            try:
                if how:
                    give_to_folders_owner(descriptor, self._folder)
                    _sync_folder(self._folder)
                try:
                    rest = line
                    while rest:
                        # On a disk that has just become full, a part of it fits.
                        rest = rest[os.write(descriptor, rest) :]
                    os.fdatasync(descriptor)
                except OSError:
                    # If this fails as well, the next writer removes what stays behind.
                    with suppress(OSError):
                        os.ftruncate(descriptor, size)
                    raise
                inode = os.fstat(descriptor).st_ino
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed(segment, error) from None
        if how:
            self._segment, self._size, self._inode = segment, 0, inode


def _from_last_signature(found: list[Path]) -> list[Path]:
    """The segments from the newest one on in which an entry is signed."""
    for place in range(len(found) - 1, 0, -1):
        if any(looks_signed(line.data) for line in lines(found[place])):
            return found[place:]
    return found


def _last_entry(segment: Path) -> Entry | None:
    last = None
    for line in lines(segment):
        last = line
    try:
        return None if last is None else read_line(last.data)
    except ValueError:
        return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    except OSError as error:
        raise _failed(folder, error) from None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            give_to_folders_owner(descriptor, folder.parent)
        finally:
            os.close(descriptor)
        _sync_folder(folder.parent)
    except OSError as error:
        raise _failed(folder, error) from None


@contextmanager
def _locked(
    file: Path, monotonic_s: Callable[[], float], pause: Callable[[float], None]
) -> Iterator[None]:
    until_s = monotonic_s() + BUSY_S
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(file, flags, 0o600)
    except OSError as error:
        raise _failed(file, error) from None
    try:
        try:
            give_to_folders_owner(descriptor, file.parent)
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if monotonic_s() > until_s:
                        raise AuditError(
                            "another program keeps the audit log busy",
                            where=str(file),
                            fix="see who holds it with fuser",
                        ) from None
                    pause(0.002)
        except OSError as error:
            raise _failed(file, error) from None
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: OSError) -> AuditError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return AuditError(
        f"the audit log cannot be written: {error.strerror}",
        where=str(path),
        fix=_FULL if full else _REFUSED,
    )


def _tampered(path: Path, what: str) -> TamperedError:
    return TamperedError(f"the audit log was tampered with: {what}", where=str(path), fix=_TAMPERED)
