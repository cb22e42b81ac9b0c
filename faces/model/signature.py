"""Ed25519 signatures over a model manifest, as over decisions on the wire.

What is signed: the manifest's JSON object without its `signature` member, in the JSON
Canonicalization Scheme (RFC 8785). The manifest holds the SHA-256 of every file, so one signature
covers the whole folder. `format` is inside: no other signed message can pass for a manifest.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from oneglance.errors import ModelError

_FIX = "use a model folder that the owner of the model key has signed, or that key's own public key"


def signed(document: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The manifest with its signature; an older one is replaced."""
    body = {name: value for name, value in document.items() if name != "signature"}
    return {**body, "signature": base64.b64encode(key.sign(_canonical(body))).decode()}


def check_signature(document: Mapping[str, Any], key: Ed25519PublicKey, where: str) -> None:
    """Raises ModelError unless the manifest carries this key's signature over what it says."""
    body = dict(document)
    signature = body.pop("signature", None)
    if signature is None:
        raise ModelError(
            "the model is not signed, and the model key asks for it", where=where, fix=_FIX
        )
    try:
        key.verify(base64.b64decode(signature, validate=True), _canonical(body))
    except (InvalidSignature, TypeError, ValueError, binascii.Error, RecursionError):
        raise ModelError(
            "the model's signature does not match: it was changed, or signed with another key",
            where=where,
            fix=_FIX,
        ) from None


def _canonical(body: Mapping[str, Any]) -> bytes:
    return rfc8785.dumps(dict(body))
