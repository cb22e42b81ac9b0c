"""Badges and PINs: which person each claims. One small sealed file beside the gallery.

Neither is in it in the clear. A badge's number is kept as its HMAC under a key of the file's own, a
PIN as its scrypt (RFC 7914) under a salt of each person's own; the whole is sealed with the
gallery's key, and while that is being replaced with both the old and the new one. A claim costs the
same work whether or not anybody has that badge or PIN.

Each change raises the file's generation, which a log remembers: an older copy, in which a badge
that was taken away would count again, is refused. If the file is gone, nobody has a badge or PIN.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import is_there
from oneglance.faces.gallery.person import Person
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.gallery.witness import GenerationLog
from oneglance.ownership import give_to_folders_owner
from oneglance.whole_file import write_whole_and_wipe

# A guess costs one scrypt for each person with a PIN; a claim must not hold up the door.
MOST_PINS = 50
# 8 MiB and some 50 ms a guess: the sealed file is the first fence, this the second.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**13, 8, 1
SALT_BYTES = 16
MAX_BYTES = 4 << 20

_MAGIC = b"oneglance credentials 1\n"
_CONTEXT = b"credentials"
_BADGE = re.compile(r"[0-9A-F]{1,32}")
_PIN = re.compile(r"[0-9]{6,12}")
_RESTORE = "restore it from a backup, or move it away and give out badges and PINs anew"


class RestoredCredentialsError(GalleryError):
    """The badges and PINs are an older copy than one that was seen before."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The person whom a badge or PIN claims: nobody if `person_id` is None.

    It counts only for the enrolment of `created_at`, not for a later one under the same id. `mark`
    stands for the badge or PIN wherever tries are counted, and is no help in guessing it.
    """

    person_id: str | None
    created_at: datetime | None
    mark: str


@dataclass(frozen=True, slots=True)
class _Entry:
    created_at: datetime
    badge: bytes | None = None
    salt: bytes = b""
    pin: bytes | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who has which badge and PIN, at one moment.

    `badge_key` and `salt` belong to the file. `generation` counts the changes.
    """

    badge_key: bytes
    salt: bytes
    entries: dict[str, _Entry]
    generation: int = 0

    @classmethod
    def none(cls) -> Self:
        """Credentials of nobody."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(SALT_BYTES), {})

    def claimed_by_badge(self, number: str) -> Claimed:
        """Whom this badge claims; GalleryError if it is not a badge's number."""
        wanted = self._badge(checked_badge(number))
        person_id = None
        for other, entry in self.entries.items():
            if hmac.compare_digest(entry.badge or b"", wanted):
                person_id = other
        return self._claimed(person_id, wanted)

    def claimed_by_pin(self, pin: str) -> Claimed:
        """Whom this PIN claims; GalleryError if it is not a PIN."""
        digits = checked_pin(pin)
        person_id = None
        for other, entry in self.entries.items():
            if entry.pin is not None and hmac.compare_digest(
                entry.pin, _scrypt(digits, entry.salt)
            ):
                person_id = other
        return self._claimed(person_id, _scrypt(digits, self.salt))

    def has(self, person_id: str) -> tuple[bool, bool]:
        """Whether this person has a badge, and whether they have a PIN."""
        entry = self.entries.get(person_id)
        return entry is not None and entry.badge is not None, (
            entry is not None and entry.pin is not None
        )

    def with_badge(self, person_id: str, created_at: datetime, number: str | None) -> Self:
        """The same, but with this badge, or none; GalleryError if another person has it."""
        badge = None
        if number is not None:
            owner = self.claimed_by_badge(number).person_id
            if owner not in (None, person_id):
                raise GalleryError("another person has this badge", fix="take it away there first")
            badge = self._badge(checked_badge(number))
        return self._with(person_id, replace(self._entry(person_id, created_at), badge=badge))

    def with_pin(self, person_id: str, created_at: datetime, pin: str | None) -> Self:
        """The same, but with this PIN, or none; GalleryError if it cannot be this person's."""
        entry = self._entry(person_id, created_at)
        if pin is None:
            return self._with(person_id, replace(entry, salt=b"", pin=None))
        if self.claimed_by_pin(pin).person_id not in (None, person_id):
            raise GalleryError("this PIN cannot be had", fix="choose another one")
        others = sum(e.pin is not None for p, e in self.entries.items() if p != person_id)
        if others >= MOST_PINS:
            raise GalleryError(
                f"{MOST_PINS} people have a PIN already, and no door has more",
                fix="give this person a badge",
            )
        salt = secrets.token_bytes(SALT_BYTES)
        hashed = _scrypt(checked_pin(pin), salt)
        return self._with(person_id, replace(entry, salt=salt, pin=hashed))

    def without(self, person_ids: Sequence[str]) -> Self:
        """The same without anything of these people."""
        kept = {person: e for person, e in self.entries.items() if person not in set(person_ids)}
        return replace(self, entries=kept)

    def _entry(self, person_id: str, created_at: datetime) -> _Entry:
        """What this enrolment has, without what an earlier one under the same id had."""
        entry = self.entries.get(person_id)
        fits = entry is not None and entry.created_at == created_at
        return entry if entry is not None and fits else _Entry(created_at)

    def _with(self, person_id: str, entry: _Entry) -> Self:
        rest = self.without([person_id]).entries
        has_any = entry.badge is not None or entry.pin is not None
        return replace(self, entries=rest | ({person_id: entry} if has_any else {}))

    def _badge(self, number: str) -> bytes:
        return hmac.digest(self.badge_key, number.encode(), "sha256")

    def _claimed(self, person_id: str | None, mark: bytes) -> Claimed:
        created_at = None if person_id is None else self.entries[person_id].created_at
        return Claimed(person_id, created_at, mark.hex()[:32])


def checked_badge(number: str) -> str:
    """The number as it is compared: hexadecimal in capitals, without leading zeros.

    Raises GalleryError unless it is 1 to 32 of 0-9 and A-F.
    """
    plain = number.strip().upper()
    if not _BADGE.fullmatch(plain):
        raise GalleryError(
            "this is no badge's number",
            fix="write the 1 to 32 digits (0-9, A-F) that 'oneglance reader --learn' shows",
        )
    return plain.lstrip("0") or "0"


def checked_pin(pin: str) -> str:
    """The PIN itself; GalleryError unless it is 6 to 12 digits."""
    if not _PIN.fullmatch(pin):
        raise GalleryError("a PIN has 6 to 12 digits", fix="choose such a one")
    return pin


class CredentialFile:
    """The file as it is at the moment of each claim, checked against `log`."""

    def __init__(self, path: Path, key: TemplateKey, log: GenerationLog | None = None) -> None:
        self._path = path
        self._key = key
        self._log = log

    def badge(self, number: str) -> Claimed:
        """Whom a badge claims; raises as `read_credentials`; GalleryError if it is malformed."""
        return read_credentials(self._path, self._key, self._log).claimed_by_badge(number)

    def pin(self, pin: str) -> Claimed:
        """Whom a PIN claims; raises as `read_credentials`; GalleryError if it is malformed."""
        return read_credentials(self._path, self._key, self._log).claimed_by_pin(pin)

    def check(self) -> None:
        """Raises as `read_credentials`; `log` learns of a generation that it once did not take.

        Else an older copy would count that is no older than what the log knows.
        """
        held = read_credentials(self._path, self._key, self._log)
        if self._log is not None and held.generation > (self._log.highest_generation() or 0):
            self._log.note_generation(held.generation)

    def drop_departed(self, enrolled: Callable[[], Sequence[Person]]) -> int:
        """Remove what people have who are no longer `enrolled`; returns how many had any.

        Somebody enrolled anew under the same id has nothing from before. `enrolled` is asked while
        nobody changes the file. Raises as `changing`, and what `enrolled` raises: then, and for an
        older copy, nothing is changed.
        """
        if not is_there(self._path):
            return 0
        with changing(self._path, self._key, self._log) as held:
            there = {(person.person_id, person.created_at) for person in enrolled()}
            departed = [
                person_id
                for person_id, entry in held[0].entries.items()
                if (person_id, entry.created_at) not in there
            ]
            held[0] = held[0].without(departed)
        return len(departed)


def read_credentials(path: Path, key: TemplateKey, log: GenerationLog | None = None) -> Credentials:
    """What the file holds; nobody has any if there is no file.

    Raises GalleryError if it is damaged, open to others or sealed with another key,
    RestoredCredentialsError if it is older than `log` knows, and what that raises.
    """
    # Before the file is read, as others may change it meanwhile.
    seen = 0 if log is None else log.highest_generation() or 0
    held = _read(path, key)
    if held is None:
        return replace(Credentials.none(), generation=seen)
    if held.generation < seen:
        raise RestoredCredentialsError(
            f"an older copy of the badges and PINs (generation {held.generation}, {seen} was seen)",
            where=str(path),
            fix="put the newer one back; if you restored it on purpose: oneglance people"
            " accept-restore",
        )
    return held


def _read(path: Path, key: TemplateKey) -> Credentials | None:
    where = str(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise GalleryError(
                    "the credentials are open to other users",
                    where=where,
                    fix=f"run: chmod 600 {path}",
                )
            data = file.read(MAX_BYTES + 1)
            if os.fstat(file.fileno()).st_nlink == 0:
                # Replaced, and wiped, while it was read.
                return _read(path, key)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GalleryError(
            f"cannot read the credentials: {error.strerror}",
            where=where,
            fix="run this as the user that owns them",
        ) from None
    if not data.startswith(_MAGIC) or len(data) > MAX_BYTES:
        raise GalleryError("not a file of credentials, or a damaged one", where=where, fix=_RESTORE)
    for line in data[len(_MAGIC) :].splitlines():
        with suppress(GalleryError, ValueError, KeyError, TypeError, AttributeError):
            return _from_json(json.loads(key.open(base64.b64decode(line, validate=True), _CONTEXT)))
    raise GalleryError(
        "the credentials were changed, or sealed with another key", where=where, fix=_RESTORE
    )


@contextmanager
def changing(
    path: Path, key: TemplateKey, log: GenerationLog | None = None
) -> Iterator[list[Credentials]]:
    """The credentials as a list of one, to be replaced in it; one process at a time.

    When the block ends, what the list then holds is on disk. Raises as `read_credentials`, and
    GalleryError if it cannot be kept; then, and if the block raises, the file is as it was. Only
    if `log` does not take the new generation, the file is changed already.
    """
    with _locked(path):
        held = [read_credentials(path, key, log)]
        before = held[0]
        yield held
        if held[0] != before:
            _write_next(path, key, replace(held[0], generation=before.generation + 1), log)


def accept_credentials(path: Path, key: TemplateKey, log: GenerationLog) -> None:
    """Let this copy count although `log` knows a later one, which is refused from then on.

    Raises as `changing`.
    """
    with _locked(path):
        held, seen = _read(path, key), log.highest_generation() or 0
        if held is not None and held.generation < seen:
            _write_next(path, key, replace(held, generation=seen + 1), log)


def _write_next(
    path: Path, key: TemplateKey, credentials: Credentials, log: GenerationLog | None
) -> None:
    write_credentials(path, key, credentials)
    # After the file: cut short in between, the file is the newer one, which is no harm.
    if log is not None:
        log.note_generation(credentials.generation)


def seal_again(path: Path, key: TemplateKey, *, also: TemplateKey | None = None) -> None:
    """Seal what is there anew, so that `key` opens it, and `also` does, but no other.

    Raises GalleryError if `key` does not open it, or if it cannot be kept.
    """
    if path.exists():
        with _locked(path):
            write_credentials(path, key, read_credentials(path, key), also=also)


def write_credentials(
    path: Path, key: TemplateKey, credentials: Credentials, *, also: TemplateKey | None = None
) -> None:
    """Replace the file as a whole, mode 0600; GalleryError if it cannot be kept."""
    body = json.dumps(_to_json(credentials)).encode()
    keys = (key,) if also is None else (key, also)
    lines = [base64.b64encode(one.seal(body, _CONTEXT)) + b"\n" for one in keys]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A badge or PIN that was taken away must not be found in the file that was replaced.
        write_whole_and_wipe(path, _MAGIC + b"".join(lines), 0o600)
    except OSError as error:
        raise GalleryError(
            f"cannot keep the credentials: {error.strerror}",
            where=str(path),
            fix="make room on the disk, or run this as the user that owns the folder",
        ) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_to_folders_owner(descriptor, lock.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise GalleryError(
            f"cannot lock the credentials: {error.strerror}",
            where=str(lock),
            fix="run this as the user that owns the folder",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _scrypt(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, dklen=32)


def _to_json(credentials: Credentials) -> dict[str, Any]:
    return {
        "generation": credentials.generation,
        "badge_key": _text(credentials.badge_key),
        "salt": _text(credentials.salt),
        "people": {
            person_id: {
                "created_at": entry.created_at.isoformat(),
                "badge": None if entry.badge is None else _text(entry.badge),
                "salt": _text(entry.salt),
                "pin": None if entry.pin is None else _text(entry.pin),
            }
            for person_id, entry in credentials.entries.items()
        },
    }


def _from_json(body: Any) -> Credentials:
    people = {
        person_id: _Entry(
            datetime.fromisoformat(entry["created_at"]),
            None if entry["badge"] is None else _bytes(entry["badge"]),
            _bytes(entry["salt"]),
            None if entry["pin"] is None else _bytes(entry["pin"]),
        )
        for person_id, entry in body["people"].items()
    }
    # Files from before generations were counted have none.
    generation = body.get("generation", 0)
    if type(generation) is not int or generation < 0:
        raise ValueError("no generation")
    return Credentials(_bytes(body["badge_key"]), _bytes(body["salt"]), people, generation)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
