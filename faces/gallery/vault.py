"""The key that seals people and templates, and how it does so."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from oneglance.errors import GalleryError, os_fix
from oneglance.secret_file import read_secret
from oneglance.whole_file import write_new

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
PSEUDONYM_BYTES = 16


class TemplateKey:
    """An AES-256-GCM key (NIST SP 800-38D) that never shows itself.

    One key may seal 2**32 blobs before random 96-bit nonces become a risk: far more templates
    than a gallery holds.
    """

    __slots__ = ("_cipher", "_lookup")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise GalleryError(f"a template key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        # A key for each use (RFC 5869): what HMAC gives away tells nothing about what is sealed.
        self._lookup = HKDFExpand(SHA256(), KEY_BYTES, b"oneglance lookup").derive(key)

    def __repr__(self) -> str:
        return "TemplateKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a template key is never pickled")

    def pseudonym(self, text: str) -> bytes:
        """16 bytes that stand for `text`: always the same, and no use without the key."""
        return hmac.digest(self._lookup, text.encode(), "sha256")[:PSEUDONYM_BYTES]

    def secret(self, use: bytes) -> bytes:
        """32 bytes for one use, named by `use`: always the same, and no help in guessing others."""
        return hmac.digest(self._lookup, b"secret " + use, "sha256")

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt; `context` is authenticated but not stored. Returns nonce + ciphertext + tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, context)

    def open(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` made under the same key and context.

        Raises GalleryError if the key or the context is another, or a byte was changed.
        """
        if len(blob) < NONCE_BYTES + TAG_BYTES:
            raise GalleryError(f"a sealed blob of only {len(blob)} bytes")
        try:
            return self._cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
        except InvalidTag:
            raise GalleryError(
                "a sealed blob was changed, moved, or made with another key"
            ) from None


def load_key(path: Path) -> TemplateKey:
    """Read the key file; GalleryError if it is missing, readable by others, or not a key.

    A systemd credential is taken with the mode that systemd gave it.
    """
    key = read_secret(
        path,
        "template key",
        "restore it from its backup, or make one for a new gallery with 'oneglance init'",
        GalleryError,
    )
    if len(key) != KEY_BYTES:
        raise GalleryError(
            f"not a template key: {len(key)} bytes instead of {KEY_BYTES}",
            where=str(path),
            fix="restore it from its backup, or move it away and run 'oneglance init'",
        )
    return TemplateKey(key)


def create_key(path: Path) -> None:
    """Make a new random key file of mode 0600; its folder too (0700) if it is missing.

    Raises GalleryError if the file exists: an old key is never overwritten, since what it sealed
    would be lost.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path, secrets.token_bytes(KEY_BYTES), 0o600)
    except FileExistsError:
        raise GalleryError(
            "there is a template key already",
            where=str(path),
            fix="keep it: without it the gallery is lost. Move it away only to begin anew",
        ) from None
    except OSError as error:
        raise GalleryError(
            f"cannot write the template key: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None
