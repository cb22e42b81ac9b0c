"""Ed25519 signatures over the canonical JSON of a decision.

What is signed: the JSON object without its `signature` member, in the JSON Canonicalization
Scheme (RFC 8785). The signature is added as `signature`, base64 without line breaks. A consumer
in any language takes the received object, removes `signature`, canonicalises and checks.
`kind` and `v` are inside, so no other message can pass for a decision.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from oneglance.contract.messages import MAX_PAYLOAD_BYTES, Decision, parse
from oneglance.errors import ConfigError, MessageError
from oneglance.secret_file import read_secret


def create_signing_key(private_file: Path, public_file: Path) -> None:
    """Make a new key pair: PKCS #8 PEM of mode 0600, and its public PEM of mode 0644.

    Raises ConfigError if either file exists: an old key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    _write_new(
        private_file,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        0o600,
    )
    _write_new(
        public_file,
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        0o644,
    )


def load_signing_key(private_file: Path) -> Ed25519PrivateKey:
    """Read the daemon's key; ConfigError if missing, readable by others, or no Ed25519 key."""
    data = read_secret(private_file, "signing key", "make one with 'oneglance init'")
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            "not an Ed25519 private key in PEM",
            where=str(private_file),
            fix="make one with 'oneglance init'",
        )
    return key


def load_public_key(public_file: Path) -> Ed25519PublicKey:
    """Read the key that a consumer trusts; ConfigError if missing or no Ed25519 key."""
    fix = "copy the daemon's signing.pub here"
    key: object = None
    try:
        # A FIFO or a device in its place would hang for ever.
        if public_file.exists() and not public_file.is_file():
            raise ConfigError("not a file", where=str(public_file), fix=fix)
        key = serialization.load_pem_public_key(public_file.read_bytes())
    except FileNotFoundError:
        raise ConfigError("the public key is missing", where=str(public_file), fix=fix) from None
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", where=str(public_file)) from None
    except (ValueError, TypeError):
        pass
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("not an Ed25519 public key in PEM", where=str(public_file), fix=fix)
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """A short name of a public key, to compare by eye: `SHA256:` and base64, as ssh writes it."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def sign(decision: Decision, key: Ed25519PrivateKey) -> bytes:
    """The decision as a signed JSON payload."""
    body: dict[str, Any] = json.loads(decision.to_payload())
    body["signature"] = base64.b64encode(key.sign(rfc8785.dumps(body))).decode()
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def check(payload: bytes, key: Ed25519PublicKey, topic: str = "") -> Decision:
    """The decision inside a signed payload; MessageError if signature or shape is wrong."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MessageError(f"a message of {len(payload)} bytes", where=topic)
    try:
        body = json.loads(payload, object_pairs_hook=_no_repeats)
        signature = base64.b64decode(body.pop("signature"), validate=True)
        canonical = rfc8785.dumps(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise MessageError("not a signed decision", where=topic) from None
    try:
        key.verify(signature, canonical)
    except InvalidSignature:
        raise MessageError(
            "the signature does not match",
            where=topic,
            fix="give the consumer the public key of this door's daemon",
        ) from None
    return parse(canonical, Decision, topic)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ConfigError(
            "there is a key already", where=str(path), fix="move it away first to replace it"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot write it: {error.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a member stands twice")
    return body
