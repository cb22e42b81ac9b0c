"""What the audit log's tests share beside fixtures: keys, and a clock that goes by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.audit.entry import key_id
from oneglance.audit.proof import Proof, prove
from oneglance.faces.gallery.vault import TemplateKey

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
SEALER = TemplateKey(b"k" * 32)


class Wall:
    """A wall clock that goes on by a second with each reading."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def proof_of(folder: Path, **options: object) -> Proof:
    return prove(folder, KEYS, **options)  # type: ignore[arg-type]


def only_segment(folder: Path) -> Path:
    (segment,) = folder.glob("audit-*.jsonl")
    return segment
