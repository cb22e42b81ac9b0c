"""The names that people have in the audit log, while they are enrolled and afterwards.

A person's pseudonym is `person-` and 8 hex digits of HMAC-SHA-256(key, id), with a random key for
each person. The keys are in one sealed file beside the log. Once a person's key is forgotten
nobody can tell whose pseudonym it was, and the log itself stays as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from oneglance.errors import AuditError, OneglanceError, os_fix
from oneglance.whole_file import write_whole_and_wipe

# Beside the segments.
PEOPLE_FILE = "people.sealed"
KEY_BYTES = 32
_CONTEXT = b"oneglance audit pseudonyms"
_RESTORE = "restore the gallery's key, or move the file away: who was whom is then forgotten"


class Sealer(Protocol):
    """An authenticated cipher, e.g. the gallery's key; `open` raises an OneglanceError."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt; `context` is authenticated with it but not stored."""

    def open(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` made under the same context."""


class Pseudonyms:
    """The people's keys in one sealed file; to write it, hold the log's lock.

    All methods raise AuditError if the file cannot be read, opened with this sealer, or written.
    """

    def __init__(self, file: Path, sealer: Sealer) -> None:
        self._file = file
        self._sealer = sealer
        self._read_of: tuple[int, ...] | None = None
        self._keys: dict[str, bytes] = {}

    def of(self, person_id: str) -> str:
        """A person's pseudonym; a new key is made, and kept on disk, if there is none."""
        return self.of_all([person_id])[person_id]

    def of_all(self, person_ids: Iterable[str]) -> dict[str, str]:
        """These people's pseudonyms, by id; new keys are made as of `of`."""
        self._refresh()
        wanted = set(person_ids)
        taken = {_pseudonym(key, known) for known, key in self._keys.items()}
        made: dict[str, bytes] = {}
        for person_id in sorted(wanted - self._keys.keys()):
            key = secrets.token_bytes(KEY_BYTES)
            while _pseudonym(key, person_id) in taken:
                key = secrets.token_bytes(KEY_BYTES)
            made[person_id] = key
            taken.add(_pseudonym(key, person_id))
        if made:
            self._write({**self._keys, **made})
            self._refresh()
        return {person_id: _pseudonym(self._keys[person_id], person_id) for person_id in wanted}

    def people(self) -> dict[str, str]:
        """The ids of all people whose key is still there, by pseudonym."""
        self._refresh()
        return {_pseudonym(key, person_id): person_id for person_id, key in self._keys.items()}

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Forget the keys of all people whose id is `gone`."""
        self._refresh()
        kept = {person_id: key for person_id, key in self._keys.items() if not gone(person_id)}
        if kept != self._keys:
            self._write(kept)

    def reseal(self, sealer: Sealer) -> None:
        """Seal the file with another key, and open it with that one from now on."""
        self._refresh()
        self._write(self._keys, sealer)
        self._sealer = sealer

    def _refresh(self, tries: int = 3) -> None:
        """Read the file if another process has replaced it."""
        version = self._version()
        if version == self._read_of:
            return
        try:
            blob = self._file.read_bytes()
        except FileNotFoundError:
            self._keys, self._read_of = {}, None
            return
        except OSError as error:
            raise self._failed(f"cannot be read: {error.strerror}", os_fix(error)) from None
        try:
            stored = json.loads(self._sealer.open(blob, _CONTEXT))
            self._keys = {person_id: bytes.fromhex(key) for person_id, key in stored.items()}
        except (OneglanceError, ValueError, TypeError, AttributeError):
            # Readers hold no lock: the file may have been replaced, and wiped, meanwhile.
            if tries and self._version() != version:
                self._refresh(tries - 1)
                return
            raise self._failed("were changed, or sealed with another key", _RESTORE) from None
        self._read_of = version

    def _version(self) -> tuple[int, ...] | None:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(f"cannot be read: {error.strerror}", os_fix(error)) from None
        # Many kernels' times stand still for some milliseconds: within these the size may tell.
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _write(self, keys: dict[str, bytes], sealer: Sealer | None = None) -> None:
        plain = json.dumps({person_id: key.hex() for person_id, key in keys.items()}).encode()
        try:
            # People who were forgotten must not be found in the file that was replaced.
            write_whole_and_wipe(self._file, (sealer or self._sealer).seal(plain, _CONTEXT), 0o600)
        except OSError as error:
            raise self._failed(f"cannot be written: {error.strerror}", os_fix(error)) from None
        # Read again before it is used.
        self._read_of = None

    def _failed(self, what: str, fix: str) -> AuditError:
        return AuditError(f"the pseudonyms of the audit log {what}", where=str(self._file), fix=fix)


def _pseudonym(key: bytes, person_id: str) -> str:
    return f"person-{hmac.new(key, person_id.encode(), hashlib.sha256).hexdigest()[:8]}"
