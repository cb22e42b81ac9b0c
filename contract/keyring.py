"""The keys whose signatures count, for what, and for how long. Pure: the time is passed in.

A keyring is public and holds no secret, but anybody who can change it can make themselves an
administrator.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.functional_validators import AfterValidator

from oneglance.contract.messages import M, Time
from oneglance.contract.signing import unpack
from oneglance.errors import ConfigError, MessageError
from oneglance.topic_level import Level

MAX_KEYS = 64
MAX_KEYRING_BYTES = 65_536
KEY_BYTES = 32
# Two machines' clocks differ: a key that was made a moment ago is not from the future.
MAX_SKEW = timedelta(seconds=2)


class Role(StrEnum):
    """What a key may be used for: each key has one purpose."""

    DAEMON = "daemon"
    KIOSK = "kiosk"
    READER = "reader"
    ADMINISTRATOR = "administrator"
    ASSISTANT = "assistant"
    GALLERY = "gallery"


class Standing(StrEnum):
    """Whether a key counts at one moment."""

    VALID = "valid"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    REVOKED = "revoked"


def _one_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != KEY_BYTES or base64.b64encode(raw).decode() != text:
        raise ValueError("the base64 of a raw Ed25519 public key (32 bytes) is expected")
    return text


KeyId = Level
RawKey = Annotated[str, AfterValidator(_one_key)]


class KeyEntry(BaseModel):
    """One public key. Without `not_after` it counts until it is replaced or revoked.

    A revoked key never counts again, whatever `revoked_at` says: that date is for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: KeyId
    role: Role
    public_key: RawKey
    not_before: Time
    not_after: Time | None
    revoked_at: Time | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.not_after is not None and self.not_after <= self.not_before:
            raise ValueError("not_after must lie after not_before")
        return self

    @property
    def key(self) -> Ed25519PublicKey:
        """The public key itself."""
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key))

    def standing(self, now: datetime) -> Standing:
        """Whether it counts at `now`, a time that never runs backwards."""
        if self.revoked_at is not None:
            return Standing.REVOKED
        if self.not_after is not None and now >= self.not_after:
            return Standing.EXPIRED
        return Standing.NOT_YET if now + MAX_SKEW < self.not_before else Standing.VALID


class Keyring(BaseModel):
    """All keys that somebody trusts. Each id and each key occurs once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1
    kind: Literal["keyring"] = "keyring"
    keys: Annotated[tuple[KeyEntry, ...], Field(max_length=MAX_KEYS)] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        for what in ("id", "public_key"):
            if len({getattr(entry, what) for entry in self.keys}) != len(self.keys):
                raise ValueError(f"the same {what} stands twice")
        return self

    @classmethod
    def of(cls, key: Ed25519PublicKey, key_id: str = "signing") -> Keyring:
        """One daemon's key, which counts without limits of time."""
        beginning = datetime(1970, 1, 1, tzinfo=UTC)
        return cls(keys=(entry(key_id, Role.DAEMON, key, beginning),))

    def find(self, key_id: str) -> KeyEntry | None:
        """The entry of that id, if there is one."""
        return next((entry for entry in self.keys if entry.id == key_id), None)

    def of_role(self, role: Role) -> Iterator[KeyEntry]:
        """All entries of one role, in their order, revoked and expired ones too."""
        return (entry for entry in self.keys if entry.role is role)

    def valid(self, role: Role, now: datetime) -> list[KeyEntry]:
        """The entries of one role that count at `now`, in their order."""
        return [entry for entry in self.of_role(role) if entry.standing(now) is Standing.VALID]

    def with_entry(self, new: KeyEntry) -> Keyring:
        """The same with `new`, which replaces an entry with the same id.

        Raises ConfigError if the key is there under another id, or if there is no room.
        """
        kept = [new if entry.id == new.id else entry for entry in self.keys]
        if new not in kept:
            kept.append(new)
        other = next((e for e in kept if e.public_key == new.public_key and e.id != new.id), None)
        if other is not None:
            raise ConfigError(f"this key is in the keyring already, as {other.id!r}")
        if len(kept) > MAX_KEYS:
            raise ConfigError(
                f"a keyring holds at most {MAX_KEYS} keys", fix="begin a new one, without old keys"
            )
        return Keyring(keys=tuple(kept))

    def changed(self, key_id: str, **changes: datetime) -> Keyring:
        """The same with other times for that id's key. Raises ConfigError if there is none."""
        old = self.find(key_id)
        if old is None:
            raise ConfigError(
                f"there is no key {key_id!r} in the keyring",
                fix="see the ids with 'oneglance keys list'",
            )
        return self.with_entry(KeyEntry.model_validate(dict(old) | changes))

    def id_of(self, key: Ed25519PublicKey) -> str | None:
        """The id of this key in the ring; None if it is not there."""
        raw = raw_text(key)
        return next((entry.id for entry in self.keys if entry.public_key == raw), None)

    def to_text(self) -> str:
        """The file's content, for `parse_keyring`."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def entry(
    key_id: str,
    role: Role,
    key: Ed25519PublicKey,
    not_before: datetime,
    not_after: datetime | None = None,
) -> KeyEntry:
    """An entry for a public key. Raises pydantic's ValidationError for an unfit id or time."""
    return KeyEntry(
        id=key_id,
        role=role,
        public_key=raw_text(key),
        not_before=not_before,
        not_after=not_after,
        revoked_at=None,
    )


def check_any(payload: bytes, kind: type[M], ring: Keyring, topic: str = "") -> tuple[M, KeyEntry]:
    """The message of type `kind` in a signed payload, and which daemon's key signed it.

    The key may have expired. Raises MessageError if no key of the ring signed it, or if it is of
    another type.
    """
    signed = unpack(payload, kind, topic)
    for signer in ring.of_role(Role.DAEMON):
        if signed.is_by(signer.key):
            return signed.message(kind, topic), signer
    raise MessageError(
        "the signature does not match",
        where=topic,
        fix="give the consumer the public key of this door's daemon",
    )


def raw_text(key: Ed25519PublicKey) -> str:
    """The base64 of the raw public key, as written in a keyring."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def parse_keyring(data: bytes, where: str = "") -> Keyring:
    """Read a keyring file's content; ConfigError says which field is wrong and why."""
    fix = "make it again from a copy; 'oneglance keys list' shows what is in it"
    if len(data) > MAX_KEYRING_BYTES:
        raise ConfigError("too large to be a keyring", where=where, fix=fix)
    try:
        json.loads(data.decode("utf-8"), object_pairs_hook=_no_repeats)
        ring = Keyring.model_validate_json(data)
        if not {"v", "kind", "keys"} <= ring.model_fields_set:
            raise ConfigError("not a keyring: 'v', 'kind' or 'keys' is missing", where=where)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100] or "the file"
        raise ConfigError(f"not a keyring: {place}: {first['msg']}", where=where, fix=fix) from None
    except (ValueError, RecursionError):
        raise ConfigError("not a keyring: no valid JSON", where=where, fix=fix) from None
    return ring


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a member stands twice")
    return body
