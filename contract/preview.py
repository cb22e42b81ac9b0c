"""Pictures of the camera on their way to one screen, sealed so that no broker sees a face.

For each lease the screen makes an X25519 key (RFC 7748) and asks with its public half in a signed
command. The daemon makes one too, signs both, and from what the two share (HKDF-SHA-256) comes the
key of the lease, with which every frame is sealed (ChaCha20-Poly1305, RFC 8439) under its own
number. Whoever holds neither half reads nothing and can make no frame; a frame that was kept, or
that belongs to another lease, is refused. Neither half is ever on a disk.

A payload, big-endian: 4 bytes `OGp1`, 8 bytes of the lease, 32 of the daemon's public half, 64 of
its signature, 8 of the frame's number, and what is sealed: 8 bytes of time in ms, four times 2 of
the face's box in 1/65535 of the picture (all 0: no face), then a JPEG file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneglance.contract.messages import FaceBox
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

# The verb by which a screen asks, and how long each request is good for.
VERB = "preview"
LEASE_S = 15.0
MAX_FRAME_BYTES = 20_000
HALF_BYTES = 32

_MAGIC = b"OGp1"
_CONTEXT = b"oneglance preview 1"
_HEAD = struct.Struct(">4s8s32s64sQ")
_BODY = struct.Struct(">Q4H")
_TAG_BYTES = 16
_WHOLE = 0xFFFF

MAX_JPEG_BYTES = MAX_FRAME_BYTES - _HEAD.size - _BODY.size - _TAG_BYTES


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame: a JPEG file, and where in it the largest face is.

    `captured_ms` is a clock of the daemon's that only runs forward: differences mean something.
    """

    captured_ms: int
    face: FaceBox | None
    jpeg: bytes = field(repr=False)


class PreviewSender:
    """The daemon's end of one lease. Raises MessageError unless given a screen's half of a key."""

    def __init__(self, topics: Topics, signing: Ed25519PrivateKey, screens_half: bytes) -> None:
        own = X25519PrivateKey.generate()
        self._lease = _lease(screens_half)
        self._own_half = own.public_key().public_bytes_raw()
        self._signature = signing.sign(_said(topics, screens_half, self._own_half))
        self._cipher = _cipher(own, screens_half, screens_half + self._own_half)
        self._number = 0

    def seal(self, picture: Picture) -> bytes:
        """The next frame's payload, at most MAX_FRAME_BYTES long if its JPEG is in its bounds."""
        self._number += 1
        head = _HEAD.pack(
            *(_MAGIC, self._lease, self._own_half, self._signature, self._number),
        )
        body = _BODY.pack(picture.captured_ms, *_box(picture.face)) + picture.jpeg
        return head + self._cipher.encrypt(_nonce(self._number), body, head)


class PreviewReceiver:
    """The screen's end of one lease, with a fresh key. Nothing it opens was opened before."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._own = X25519PrivateKey.generate()
        self._half = self._own.public_key().public_bytes_raw()
        self._lease = _lease(self._half)
        self._daemons_half = b""
        self._cipher: ChaCha20Poly1305 | None = None
        self._number = 0

    @property
    def half(self) -> str:
        """The public half, as it stands in the command."""
        return base64.b64encode(self._half).decode()

    def open(self, payload: bytes, keys: Iterable[Ed25519PublicKey]) -> Picture | None:
        """The picture in a payload; None if it belongs to another lease.

        `keys` are the daemon's that count now. Raises MessageError if it is too long, damaged,
        signed by none of them, or not newer than the last one.
        """
        where = f"{self._topics.base}/preview"
        if len(payload) > MAX_FRAME_BYTES:
            raise MessageError(f"a frame of {len(payload)} bytes", where=where)
        if len(payload) < _HEAD.size + _BODY.size + _TAG_BYTES or payload[:4] != _MAGIC:
            raise MessageError("no frame of a preview", where=where)
        head, sealed = payload[: _HEAD.size], payload[_HEAD.size :]
        _, lease, half, signature, number = _HEAD.unpack(head)
        if lease != self._lease:
            return None
        if self._cipher is None:
            self._cipher = self._agreed(half, signature, keys, where)
            self._daemons_half = half
        elif half != self._daemons_half:
            # A daemon that was restarted: its numbers begin anew, so that what it sent before
            # could be shown once more. The screen asks with a new key.
            raise MessageError("a frame under another key of the daemon's", where=where)
        if number <= self._number:
            raise MessageError("a frame that came before", where=where)
        try:
            body = self._cipher.decrypt(_nonce(number), sealed, head)
        except InvalidTag:
            raise MessageError("a frame that was changed", where=where) from None
        self._number = number
        captured_ms, *box = _BODY.unpack(body[: _BODY.size])
        return Picture(captured_ms, _face(box), body[_BODY.size :])

    def _agreed(
        self, half: bytes, signature: bytes, keys: Iterable[Ed25519PublicKey], where: str
    ) -> ChaCha20Poly1305:
        said = _said(self._topics, self._half, half)
        if not any(_is_by(key, signature, said) for key in keys):
            raise MessageError(
                "a frame that this door's daemon did not sign",
                where=where,
                fix="give the screen the public key of this door's daemon",
            )
        return _cipher(self._own, half, self._half + half)


def half_of(text: str) -> bytes:
    """The bytes of a screen's public half in a command. Raises MessageError if it is not one."""
    try:
        half = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        half = b""
    if len(half) != HALF_BYTES:
        raise MessageError("no base64 of a raw X25519 public key (32 bytes)")
    return half


def _lease(screens_half: bytes) -> bytes:
    return hashlib.sha256(screens_half).digest()[:8]


def _said(topics: Topics, screens_half: bytes, daemons_half: bytes) -> bytes:
    # No message begins like this: they are JSON. No name of a site or door holds a zero.
    names = f"{topics.site}\0{topics.door}\0".encode()
    return _CONTEXT + b"\0" + names + screens_half + daemons_half


def _cipher(own: X25519PrivateKey, other: bytes, salt: bytes) -> ChaCha20Poly1305:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        raise MessageError("an X25519 key with which nothing can be shared") from None
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt, _CONTEXT).derive(shared))


def _is_by(key: Ed25519PublicKey, signature: bytes, said: bytes) -> bool:
    try:
        key.verify(signature, said)
    except InvalidSignature:
        return False
    return True


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _box(face: FaceBox | None) -> tuple[int, ...]:
    if face is None:
        return 0, 0, 0, 0
    return tuple(round(_WHOLE * part) for part in (face.x, face.y, face.width, face.height))


def _face(box: list[int]) -> FaceBox | None:
    x, y, width, height = (part / _WHOLE for part in box)
    return FaceBox(x=x, y=y, width=width, height=height) if width and height else None
