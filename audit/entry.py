"""One line of the audit log: what it contains, and how lines are chained. Pure.

A line is one JSON object in the JSON Canonicalization Scheme (RFC 8785):

    {"entry":{"at":T,"body":{...},"key":I,"kind":K,"n":N,"prev":P},"signature":S,"sum":H}

`prev` is the SHA-256 of the whole former line without its line feed, so that no earlier line can be
changed unnoticed. `sum` is the SHA-256 of the text of `entry`: a damaged line names itself.
`signature` (base64) is Ed25519 over SIGNED_PREFIX and that text, under the key whose `key_id` is
`key`; both are missing in entries written by somebody without the daemon's key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# The place before the first line.
GENESIS = "0" * 64
# No signature of an entry can pass for that of a decision, which is a JSON object.
SIGNED_PREFIX = b"oneglance audit entry\n"
MAX_LINE_BYTES = 16_384

KINDS = (
    "start",
    "stop",
    "decision",
    "command",
    "enrolment",
    "deletion",
    "rename",
    "expiry_change",
    "group_change",
    "credential_change",
    "policy_change",
    "calibration",
    "lockout",
    "key_change",
    "gallery_generation",
    "credentials_generation",
    "sharing_version",
    "attempts",
    # Entries by which the log describes itself.
    "checkpoint",
    "retention",
    "cut_off",
)
# Entries that only the daemon writes are worth nothing without its signature.
SIGNED_KINDS = frozenset(
    {"start", "stop", "decision", "command", "policy_change", "lockout", "attempts"}
    | {"checkpoint", "retention"}
)
# Of these kinds the newest entry counts, however old it is.
LASTING_KINDS = ("gallery_generation", "credentials_generation", "sharing_version", "attempts")
# Kinds with a number in their body that never falls, and the name of that number.
RISING_KINDS = dict.fromkeys(LASTING_KINDS, "generation")

_LINE = re.compile(
    rb'\{"entry":(\{"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","body":(\{.*\}),'
    rb'(?:"key":"([0-9a-f]{16})",)?'
    rb'"kind":"([a-z_]{1,32})","n":([1-9][0-9]{0,15}),"prev":"([0-9a-f]{64})"\})'
    rb'(?:,"signature":"([A-Za-z0-9+/]{86}==)")?'
    rb',"sum":"([0-9a-f]{64})"\}'
)
_SIGNED_END = re.compile(rb'"signature":"[A-Za-z0-9+/]{86}==","sum":"[0-9a-f]{64}"\}')
_SIGNED_END_BYTES = 180


class Head(NamedTuple):
    """A place in the log: the number of an entry, and the SHA-256 of its line in hex."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


EMPTY = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is in the log. `hash` is that of its line, which the next one carries.

    `key` is the id of the key that signed `text`, "" if nobody did.
    """

    number: int
    at: datetime
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str
    text: bytes
    key: str
    signature: bytes

    @property
    def head(self) -> Head:
        """The entry's place."""
        return Head(self.number, self.hash)

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Whether the entry carries a signature of this key."""
        try:
            key.verify(self.signature, SIGNED_PREFIX + self.text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs entries: `sign` gives an Ed25519 signature under the key with this `key_id`."""

    key_id: str
    sign: Callable[[bytes], bytes]

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> Signer:
        """The signer that holds a private key."""
        return cls(key_id(key.public_key()), key.sign)


def key_id(key: Ed25519PublicKey) -> str:
    """16 hex digits that tell public keys apart: the first of the SHA-256 of the raw key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def make_line(
    after: Head, at: datetime, kind: str, body: dict[str, Any], signer: Signer | None
) -> bytes:
    """The line, with its line feed, that follows the place `after`.

    Raises ValueError if the kind is unknown, or one of SIGNED_KINDS without a signer, if the body
    is not valid JSON, or if the line is too long.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind of entry: {kind!r}")
    if signer is None and kind in SIGNED_KINDS:
        raise ValueError(f"an entry of the kind {kind!r} has to be signed")
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    number, prev = after.number + 1, after.hash
    entry: dict[str, Any] = {"at": moment, "body": body, "kind": kind, "n": number, "prev": prev}
    if signer is not None:
        entry["key"] = signer.key_id
    text = rfc8785.dumps(entry)
    signed = b""
    if signer is not None:
        signed = b',"signature":"%s"' % base64.b64encode(signer.sign(SIGNED_PREFIX + text))
    total = hashlib.sha256(text).hexdigest().encode()
    line = b'{"entry":%s%s,"sum":"%s"}\n' % (text, signed, total)
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"an entry of {len(line)} bytes (at most {MAX_LINE_BYTES})")
    return line


def read_line(line: bytes) -> Entry:
    """The entry in a line without its line feed; ValueError if it is not as it was written."""
    match = _LINE.fullmatch(line) if len(line) < MAX_LINE_BYTES else None
    if match is None:
        raise ValueError("not an entry")
    text, moment, body, key, kind, number, prev, signature, total = match.groups(b"")
    if bool(key) != bool(signature):
        raise ValueError("not an entry: half signed")
    if hashlib.sha256(text).hexdigest().encode() != total:
        raise ValueError("not as it was written")
    try:
        return Entry(
            number=int(number),
            at=datetime.fromisoformat(moment.decode()),
            kind=kind.decode(),
            body=json.loads(body.decode("utf-8")),
            prev=prev.decode(),
            hash=hash_of(line),
            text=text,
            key=key.decode(),
            signature=_from_base64(signature),
        )
    except RecursionError:
        raise ValueError("not an entry: nested too deeply") from None


def rises(entry: Entry, before: Entry | None) -> bool:
    """Whether an entry of RISING_KINDS has a number, and not one below that of the entry before.

    So too each of its `signers`, if there are any. Two may be the same, since what outlives old
    entries is written again.
    """
    name = RISING_KINDS[entry.kind]
    body, known = entry.body, {} if before is None else before.body
    signers, former = body.get("signers", {}), known.get("signers", {})
    if not isinstance(signers, dict) or not isinstance(former, dict):
        return False
    pairs = [(body.get(name), known.get(name) if before is not None else 0)]
    pairs += [(signers.get(one), former.get(one, 0)) for one in {*signers, *former}]
    # JSON's true would count as 1.
    return all(type(now) is int and type(was) is int and was <= now for now, was in pairs)


def looks_signed(line: bytes) -> bool:
    """Whether a line ends as a signed entry does; cheaper than reading it."""
    start = max(0, len(line) - _SIGNED_END_BYTES)
    return any(m.end() == len(line) for m in _SIGNED_END.finditer(line, start))


def hash_of(line: bytes) -> str:
    """The hash of a line without its line feed, as the next one carries it."""
    return hashlib.sha256(line).hexdigest()


def _from_base64(text: bytes) -> bytes:
    """The bytes of a text that is their one encoding: the bits that padding leaves over are 0."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data) != text:
        raise ValueError("not the one base64 of these bytes")
    return data
