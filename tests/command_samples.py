"""A keyring with one key for each role, and signed commands by them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.contract.commands import Command, CommandWriter
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.topics import Topics

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {role: Ed25519PrivateKey.generate() for role in Role}
ADMINISTRATOR, KIOSK, READER, ASSISTANT = (
    frozenset({role}) for role in (Role.ADMINISTRATOR, Role.KIOSK, Role.READER, Role.ASSISTANT)
)
# Every verb of the daemon, and whose key may ask for it.
VERB_ROLES = {
    "reload": ADMINISTRATOR,
    "list": ADMINISTRATOR,
    "rename": ADMINISTRATOR,
    "groups": ADMINISTRATOR,
    "regroup": ADMINISTRATOR,
    "delete": ADMINISTRATOR,
    "enrol": ADMINISTRATOR,
    "enrol-begin": ADMINISTRATOR,
    "enrol-look": ADMINISTRATOR,
    "enrol-finish": ADMINISTRATOR,
    "enrol-cancel": ADMINISTRATOR,
    "reset-lockout": ADMINISTRATOR,
    "test-lock": ADMINISTRATOR,
    "system": ADMINISTRATOR,
    "decisions": ADMINISTRATOR,
    "verify-now": KIOSK | ASSISTANT,
    "challenge-shown": KIOSK,
    "preview": KIOSK,
    "claim": KIOSK | READER,
}


def make_ring() -> Keyring:
    """One key a role, whose id is the role's name."""
    return Keyring(
        keys=tuple(entry(role, role, key.public_key(), BEGINNING) for role, key in KEYS.items())
    )


def write(
    topics: Topics,
    role: Role,
    verb: str,
    *,
    reply_to: str = "",
    wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    **args: Any,
) -> bytes:
    """A fresh signed command of the key of a role."""
    return CommandWriter(topics, role, KEYS[role], wall).write(verb, reply_to, **args)


def make_command(issued_at: datetime, **changes: Any) -> Command:
    """An administrator's `reload` to home/front."""
    values: dict[str, Any] = {
        "issued_at": issued_at,
        "expires_at": issued_at + timedelta(seconds=5),
        "site": "home",
        "door": "front",
        "verb": "reload",
        "args": {},
        "key_id": "administrator",
        "nonce": secrets.token_hex(16),
        "reply_to": "",
    }
    return Command(**(values | changes))


def ring_file(folder: Path) -> Path:
    """The keyring as a file in `folder`."""
    path = folder / "keyring.json"
    write_keyring(path, make_ring())
    return path
