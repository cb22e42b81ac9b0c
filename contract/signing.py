"""Ed25519 signatures over the canonical JSON of a message.

What is signed: the JSON object without its `signature` member, in the JSON Canonicalization
Scheme (RFC 8785). The signature is added as `signature`, base64 without line breaks. A consumer
in any language takes the received object, removes `signature`, canonicalises and checks.
`kind` and `v` are inside, so no message can pass for one of another kind.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from oneglance import key_files
from oneglance.contract.messages import MAX_PAYLOAD_BYTES, Decision, M, Message, parse
from oneglance.errors import MessageError
from oneglance.key_files import create_key_pair, load_private_key


def create_signing_key(private_file: Path, public_file: Path) -> None:
    """Make a new key pair: PKCS #8 PEM of mode 0600, and its public PEM of mode 0644.

    Raises ConfigError if either file exists: an old key is never overwritten.
    """
    create_key_pair(private_file, public_file)


def load_signing_key(private_file: Path) -> Ed25519PrivateKey:
    """Read the daemon's key; ConfigError if missing, readable by others, or not an Ed25519 key."""
    return load_private_key(private_file, "signing key", "make one with 'oneglance init'")


def load_public_key(public_file: Path) -> Ed25519PublicKey:
    """Read the key that a consumer trusts; ConfigError if missing or not an Ed25519 key."""
    return key_files.load_public_key(public_file, "copy the daemon's signing.pub here")


def sign(message: Message, key: Ed25519PrivateKey) -> bytes:
    """The message as a signed JSON payload.

    It is canonical, too, with `signature` in its place: a consumer without a JSON library can cut
    that member out and verify the bytes that are left.
    """
    body: dict[str, Any] = json.loads(message.to_payload())
    # Of those that may come without one, as an answer does.
    body.pop("signature", None)
    body["signature"] = base64.b64encode(key.sign(rfc8785.dumps(body))).decode()
    return rfc8785.dumps(body)


def check(payload: bytes, key: Ed25519PublicKey, topic: str = "") -> Decision:
    """The decision inside a signed payload; MessageError if signature or shape is wrong."""
    return check_as(payload, Decision, key, topic)


def check_as(payload: bytes, kind: type[M], key: Ed25519PublicKey, topic: str = "") -> M:
    """The message of type `kind` inside a signed payload; MessageError as `check`."""
    signed = unpack(payload, kind, topic)
    if not signed.is_by(key):
        raise MessageError(
            "the signature does not match",
            where=topic,
            fix="give the consumer the public key of this door's daemon",
        )
    return signed.message(kind, topic)


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload taken apart. Believe nothing in it before `is_by` has said yes."""

    body: dict[str, Any]
    canonical: bytes
    signature: bytes

    def is_by(self, key: Ed25519PublicKey) -> bool:
        """Whether it was signed with this key."""
        try:
            key.verify(self.signature, self.canonical)
        except InvalidSignature:
            return False
        return True

    def message(self, kind: type[M], topic: str = "", longest: int = MAX_PAYLOAD_BYTES) -> M:
        """The message of type `kind`; MessageError if it is of another kind or shape."""
        if kind is Decision and (self.body.get("kind"), self.body.get("v")) == ("decision", 1):
            raise MessageError(
                "a decision of version 1, which does not say whether the face was alive",
                where=topic,
                fix="bring daemon and consumer to the same version of oneglance",
            )
        return parse(self.canonical, kind, topic, longest)


def unpack(
    payload: bytes, kind: type[Message], topic: str = "", longest: int = MAX_PAYLOAD_BYTES
) -> Signed:
    """Take a signed payload of at most `longest` bytes apart, believing nothing yet.

    Raises MessageError if it is not a signed payload, or not in the one spelling that those have.
    """
    if len(payload) > longest:
        raise MessageError(f"a message of {len(payload)} bytes", where=topic)
    try:
        # Given bytes, json.loads would also take UTF-16, UTF-32 and a byte order mark.
        body = json.loads(payload.decode("utf-8"), object_pairs_hook=_no_repeats)
        signature = _from_base64(body.pop("signature"))
        canonical = rfc8785.dumps(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise MessageError(f"not a signed {kind.__name__.lower()}", where=topic) from None
    return Signed(body, canonical, signature)


def _from_base64(text: str) -> bytes:
    """Decode base64, if it is the one encoding of its bytes: leftover bits are 0."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one base64 of these bytes")
    return data


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a member stands twice")
    return body
