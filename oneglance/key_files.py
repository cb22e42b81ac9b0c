"""Ed25519 and X25519 keys (RFC 8032, 7748) in PEM files: the private one for its owner alone."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from oneglance.errors import ConfigError, os_fix
from oneglance.secret_file import check_unchangeable, read_secret
from oneglance.whole_file import write_new


def create_key_pair(private_file: Path, public_file: Path) -> None:
    """Make a new key pair: PKCS #8 PEM of mode 0600, and its public PEM of mode 0644.

    Raises ConfigError if either file exists (an old key is never overwritten), or if one cannot be
    written.
    """
    _, private, public = new_key_pair()
    _write_key(private_file, private, 0o600)
    try:
        _write_key(public_file, public, 0o644)
    except BaseException:
        private_file.unlink(missing_ok=True)
        raise


def new_key_pair() -> tuple[Ed25519PublicKey, bytes, bytes]:
    """A new public key, its private key as PKCS #8 PEM, and itself as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key.public_key(), private, public_pem(key.public_key())


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_private_key(private_file: Path, what: str, fix: str) -> Ed25519PrivateKey:
    """Read a private key; ConfigError if missing, readable by others, or no Ed25519 key.

    `what` names it in messages, `fix` says how to get one.
    """
    data = read_secret(private_file, what, fix)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("not an Ed25519 private key in PEM", where=str(private_file), fix=fix)
    return key


def load_public_key(public_file: Path, fix: str) -> Ed25519PublicKey:
    """Read a public key; `fix` says how to get one.

    Raises ConfigError if it is missing, no Ed25519 key, or for everybody to change.
    """
    key: object = None
    try:
        # A FIFO or a device in its place would hang for ever.
        if public_file.exists() and not public_file.is_file():
            raise ConfigError("not a file", where=str(public_file), fix=fix)
        with public_file.open("rb") as file:
            check_unchangeable(file.fileno(), str(public_file))
            key = serialization.load_pem_public_key(file.read())
    except FileNotFoundError:
        raise ConfigError("the public key is missing", where=str(public_file), fix=fix) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}", where=str(public_file), fix=os_fix(error)
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("not an Ed25519 public key in PEM", where=str(public_file), fix=fix)
    return key


def create_sealing_key(private_file: Path) -> bytes:
    """Make an X25519 key (RFC 7748): PKCS #8 PEM of mode 0600; returns its raw public half.

    Raises ConfigError if the file exists (an old key is never overwritten) or cannot be written.
    """
    key = X25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_key(private_file, private, 0o600)
    return key.public_key().public_bytes_raw()


def load_sealing_key(private_file: Path) -> X25519PrivateKey:
    """Read a door's X25519 key; ConfigError if missing, readable by others, or no such key."""
    fix = "make one with 'oneglance keys door'"
    data = read_secret(private_file, "door's key for the shared gallery", fix)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise ConfigError("not an X25519 private key in PEM", where=str(private_file), fix=fix)
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """A short name of a public key, to compare by eye: `SHA256:` and base64, as ssh writes it."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _write_key(path: Path, data: bytes, mode: int) -> None:
    try:
        write_new(path, data, mode)
    except FileExistsError:
        raise ConfigError(
            "there is a key already", where=str(path), fix="move it away first to replace it"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write it: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None
