"""The administrator's key on the screen's machine: sealed, and useless without the PIN.

The sealing key is the PIN's Argon2id (RFC 9106); no other hash of the PIN exists. Whoever has this
file can still guess: all of eight digits at the cost below are 250 days of one x86-64 core (0.22 s
each), or two and a half of a hundred. A badly chosen PIN is found sooner.
"""

from __future__ import annotations

import base64
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from oneglance.errors import ConfigError
from oneglance.secret_file import read_secret
from oneglance.whole_file import write_whole_and_wipe

FEWEST_DIGITS, MOST_DIGITS = 8, 12
_PIN = re.compile(f"[0-9]{{{FEWEST_DIGITS},{MOST_DIGITS}}}")
_FIX = "make it again at this machine: oneglance kiosk set-pin"
_CONTEXT = b"oneglance kiosk administrator 1"
_NONCE_BYTES, _SALT_BYTES = 12, 16
# A file that asks for more would only stop the screen.
_MOST_KIB, _MOST_PASSES, _MOST_LANES = 1 << 18, 16, 16


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs: RFC 9106's second choice, 64 MiB and some tenths of a second."""

    kib: int = 1 << 16
    passes: int = 3
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class AdminKey:
    """What an administrator at the screen acts with: a key, and a user name at the broker."""

    key_id: str
    key: Ed25519PrivateKey = field(repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def check_pin(pin: str) -> str:
    """Return the PIN if it is acceptable. Raises ConfigError otherwise."""
    soon_guessed = len(set(pin)) < 3 or pin in "0123456789876543210" or _is_date(pin)
    if not _PIN.fullmatch(pin) or soon_guessed:
        raise ConfigError(
            f"a PIN here has {FEWEST_DIGITS} to {MOST_DIGITS} digits, not all alike, in a row or a"
            " date"
        )
    return pin


def _is_date(pin: str) -> bool:
    """Whether these digits are a date: all dates of two centuries are soon tried."""
    if len(pin) != 8 or not pin.isdecimal():
        return False
    end, start = pin[4:], pin[:4]
    for year, month, day in (
        (end, pin[2:4], pin[:2]),
        (end, pin[:2], pin[2:4]),
        (start, pin[4:6], pin[6:]),
    ):
        with suppress(ValueError):
            if 1900 <= date(int(year), int(month), int(day)).year < 2100:
                return True
    return False


def sealed(key: AdminKey, pin: str, cost: Cost | None = None) -> bytes:
    """The file's content: `key` sealed under `pin`. Raises ConfigError for an unacceptable PIN."""
    cost = cost or Cost()
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    body = {
        "key_id": key.key_id,
        "key": base64.b64encode(key.key.private_bytes_raw()).decode(),
        "user": key.user,
        "password": key.password,
    }
    box = _cipher(check_pin(pin), salt, cost).encrypt(nonce, json.dumps(body).encode(), _CONTEXT)
    return json.dumps(
        {
            "v": 1,
            "kib": cost.kib,
            "passes": cost.passes,
            "lanes": cost.lanes,
            "salt": base64.b64encode(salt).decode(),
            "sealed": base64.b64encode(nonce + box).decode(),
        }
    ).encode()


def opened(data: bytes, pin: str, where: str = "") -> AdminKey | None:
    """The key unsealed with `pin`; None for a wrong PIN. Raises ConfigError for any other file."""
    try:
        body = json.loads(data)
        cost = Cost(*(int(body[name]) for name in ("kib", "passes", "lanes")))
        salt = base64.b64decode(body["salt"], validate=True)
        box = base64.b64decode(body["sealed"], validate=True)
        fits = (
            body["v"] == 1
            and 8 * cost.lanes <= cost.kib <= _MOST_KIB
            and 1 <= cost.passes <= _MOST_PASSES
            and 1 <= cost.lanes <= _MOST_LANES
            and len(salt) == _SALT_BYTES
            and len(box) > _NONCE_BYTES
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise ConfigError("not a sealed administrator's key", where=where, fix=_FIX)
    try:
        cipher = _cipher(pin, salt, cost)
        inner = json.loads(cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _CONTEXT))
    except InvalidTag:
        return None
    raw = base64.b64decode(inner["key"])
    key = Ed25519PrivateKey.from_private_bytes(raw)
    return AdminKey(inner["key_id"], key, inner["user"], inner["password"])


def read(path: Path) -> bytes:
    """The file's content. Raises ConfigError if it is missing or readable by others."""
    return read_secret(path, "sealed administrator's key", _FIX)


def write(path: Path, data: bytes) -> None:
    """Replace the file, mode 0600, durably, and overwrite the old one. Raises ConfigError."""
    try:
        write_whole_and_wipe(path, data, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the sealed key cannot be written: {error.strerror}", where=str(path)
        ) from None


def _cipher(pin: str, salt: bytes, cost: Cost) -> ChaCha20Poly1305:
    derive = Argon2id(
        salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.kib
    )
    return ChaCha20Poly1305(derive.derive(pin.encode()))
