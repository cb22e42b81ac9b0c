"""The gallery that many doors share, on its way to one door: signed, sealed, numbered.

People travel in parts, each of which holds everything there is to know about some of them. A part
lies retained at the broker under the SHA-256 of its sealed bytes, each sealed with a key of its
own. One message for each door, signed by a key of the role `gallery` and sealed to that door's
X25519 key (RFC 7748), lists the parts that make up the door's whole gallery, with their keys. So
nobody else reads a name or template, and what a door is not told of any more is gone from its
gallery.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, StringConstraints

from oneglance.contract.keyring import KeyId
from oneglance.contract.messages import Message, Text
from oneglance.contract.topics import check_level
from oneglance.errors import MessageError
from oneglance.topic_level import Level

ROOT = "oneglance/parts/v1"
# Less than the broker takes in one message (max_packet_size of the shipped configuration).
MAX_PART_BYTES = 200_000
MAX_GALLERY_BYTES = 131_072
MAX_INDEX_BYTES = 200_000
MAX_PARTS = 1024
MAX_ALL_PARTS = 4096
KEY_BYTES = 32

_CONTEXT = b"oneglance gallery 1"
_PART = b"oneglance gallery part 1"
# A key that seals once needs no number beside it (RFC 8439).
_ONCE = bytes(12)

Version = Annotated[int, Field(ge=1, lt=2**53)]
Number = Annotated[int, Field(ge=0, lt=2**53)]
PartId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class SharedGallery(Message):
    """What makes up one door's shared gallery from now on; retained and signed."""

    v: Literal[1] = 1
    kind: Literal["gallery"] = "gallery"
    site: Level
    door: Level
    key_id: KeyId = Field(description="whose key signed this, as in the daemon's keyring")
    version: Version = Field(description="strictly increasing for one door, whoever signs")
    half: Annotated[str, StringConstraints(max_length=44)] = Field(
        description="base64 of a raw X25519 public key, made for this message"
    )
    sealed: Annotated[str, StringConstraints(max_length=MAX_GALLERY_BYTES)] = Field(
        description="base64 of what only that door can read"
    )


class GalleryState(Message):
    """How far a door's shared gallery has come; retained."""

    v: Literal[1] = 1
    kind: Literal["gallery_state"] = "gallery_state"
    version: Number = Field(description="what the door's gallery is; 0: nothing was shared yet")
    receipt: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = Field(
        description="proves that: it stood in what was sealed to the door; empty at version 0"
    )
    problem: Text = Field(description="why it is not newer: the status's reason, or empty")


class GalleryIndex(Message):
    """What whoever shares has left at the broker, for their next time; retained and signed."""

    v: Literal[1] = 1
    kind: Literal["gallery_index"] = "gallery_index"
    site: Level
    key_id: KeyId
    version: Version
    people: Number
    doors: tuple[Level, ...]
    parts: Annotated[tuple[PartId, ...], Field(max_length=MAX_ALL_PARTS)]


@dataclass(frozen=True, slots=True)
class Part:
    """Where one part lies, and what opens it: the SHA-256 of its sealed bytes, and its key."""

    digest: bytes
    key: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """What it is called in its topic."""
        return self.digest.hex()[:32]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is sealed to a door: its parts in their order, and what proves that it has read this.

    `model_id` made all templates; it is empty where nobody is shared.
    """

    model_id: str
    parts: tuple[Part, ...]
    receipt: bytes = field(repr=False)


def part_topic(site: str, part_id: str) -> str:
    """Retained: one sealed part of the gallery of a site; or `index`."""
    return f"{ROOT}/{check_level(site, 'site')}/{part_id}"


def bucket(person_id: str, parts: int) -> int:
    """In which of so many parts a person is."""
    return int.from_bytes(hashlib.sha256(person_id.encode()).digest()[:8]) % parts


def seal_part(plaintext: bytes, secret: bytes) -> tuple[Part, bytes]:
    """A part and its payload. The same plaintext gives the same, another one another key.

    Without the `secret` nobody can tell what a key would be, though they knew the plaintext's
    every likely form. Raises MessageError if it is too long.
    """
    key = hmac.digest(secret, _PART + plaintext, "sha256")
    payload = ChaCha20Poly1305(key).encrypt(_ONCE, plaintext, _PART)
    if len(payload) > MAX_PART_BYTES:
        raise MessageError(f"a part of {len(payload)} bytes (at most {MAX_PART_BYTES})")
    return Part(hashlib.sha256(payload).digest(), key), payload


def open_part(part: Part, payload: bytes) -> bytes:
    """What is sealed in a payload; MessageError if it is not that part."""
    if not hmac.compare_digest(hashlib.sha256(payload).digest(), part.digest):
        raise MessageError("a part of the gallery was changed, or is another one")
    try:
        return ChaCha20Poly1305(part.key).decrypt(_ONCE, payload, _PART)
    except InvalidTag:
        raise MessageError("a part of the gallery was sealed with another key") from None


def seal_contents(
    contents: Contents,
    door_key: bytes,
    own: X25519PrivateKey,
    *,
    site: str,
    door: str,
    version: int,
) -> tuple[str, str]:
    """`half` and `sealed` of a SharedGallery, to the raw X25519 public key of a door.

    `own` is a key made for this and used for nothing else. Raises MessageError for what is no
    door's key.
    """
    half = own.public_key().public_bytes_raw()
    head = {"model_id": contents.model_id, "receipt": contents.receipt.hex()}
    plaintext = packed(head, b"".join(part.digest + part.key for part in contents.parts))
    cipher = _agreed(own, door_key, half + door_key)
    sealed = cipher.encrypt(_ONCE, plaintext, _about(site, door, version))
    return base64.b64encode(half).decode(), base64.b64encode(sealed).decode()


def open_contents(message: SharedGallery, key: X25519PrivateKey) -> Contents:
    """What was sealed to the door that has `key`; MessageError if it was not, or is malformed."""
    own = key.public_key().public_bytes_raw()
    try:
        half = base64.b64decode(message.half, validate=True)
        sealed = base64.b64decode(message.sealed, validate=True)
    except ValueError:
        # More than binascii.Error: a text that is not ASCII raises its plain parent.
        raise MessageError("what is sealed is no base64") from None
    cipher = _agreed(key, half, half + own)
    about = _about(message.site, message.door, message.version)
    try:
        return read_contents(cipher.decrypt(_ONCE, sealed, about))
    except InvalidTag:
        raise MessageError(
            "it is sealed to another key than this door's",
            fix="give whoever shares the key that 'oneglance keys door' shows",
        ) from None


def read_contents(plaintext: bytes) -> Contents:
    """What was sealed to a door, opened; MessageError if it is malformed."""
    try:
        head, rest = unpacked(plaintext)
        model_id, receipt = head["model_id"], bytes.fromhex(head["receipt"])
    except (KeyError, TypeError, ValueError):
        raise MessageError("what is sealed to this door is malformed") from None
    whole, size = divmod(len(rest), 2 * KEY_BYTES)
    if size or whole > MAX_PARTS or len(receipt) != KEY_BYTES or not isinstance(model_id, str):
        raise MessageError("what is sealed to this door is malformed")
    rows = [rest[at : at + 2 * KEY_BYTES] for at in range(0, len(rest), 2 * KEY_BYTES)]
    parts = tuple(Part(row[:KEY_BYTES], row[KEY_BYTES:]) for row in rows)
    return Contents(model_id, parts, receipt)


def packed(head: dict[str, Any], rest: bytes) -> bytes:
    """A line of JSON, then bytes."""
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n" + rest


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What `packed` packed; ValueError for anything else."""
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(head, dict):
        raise ValueError("no object stands first")
    return head, rest


def parts_of(contents: Sequence[Contents]) -> list[str]:
    """The ids of all parts that these speak of, each once, sorted."""
    return sorted({part.id for one in contents for part in one.parts})


def _agreed(own: X25519PrivateKey, other: bytes, salt: bytes) -> ChaCha20Poly1305:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        raise MessageError("an X25519 key with which nothing can be shared") from None
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_BYTES, salt, _CONTEXT).derive(shared))


def _about(site: str, door: str, version: int) -> bytes:
    return b"%b\0%b\0%b\0%d" % (_CONTEXT, site.encode(), door.encode(), version)
