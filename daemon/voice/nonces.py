"""Which commands were carried out already, kept over restarts for as long as they live.

A nonce is dropped when its command has expired, judged by a time that never runs backwards. That
time is kept too: whatever was dropped is expired for good, even if the clock is set back before
the next start. The audit log knows it as well, so that a file that is damaged, deleted or put back
brings no command back.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneglance.errors import StateError
from oneglance.whole_file import write_whole

# The rates stay far below this; a file that grew beyond it is not ours.
MAX_NONCES = 4096
MAX_BYTES = 1_000_000
_NONCE = re.compile(r"[0-9a-f]{32,64}")


class Nonces:
    """The nonces of commands that have not expired yet. Pure.

    `latest` is the latest time by which any was dropped.
    """

    def __init__(
        self, seen: dict[str, datetime] | None = None, latest: datetime | None = None
    ) -> None:
        self._seen = {} if seen is None else seen
        self.latest = datetime.min.replace(tzinfo=UTC) if latest is None else latest

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, nonce: str) -> bool:
        return nonce in self._seen

    @property
    def full(self) -> bool:
        """Whether no more can be remembered, so that no more commands may be carried out."""
        return len(self._seen) >= MAX_NONCES

    def add(self, nonce: str, expires_at: datetime) -> None:
        """Remember a nonce until its command has expired."""
        self._seen[nonce] = expires_at

    def drop_expired(self, now: datetime) -> None:
        """Forget what has expired at `now`, which never runs backwards."""
        self.latest = max(self.latest, now)
        self._seen = {n: expires for n, expires in self._seen.items() if expires > self.latest}

    def to_bytes(self) -> bytes:
        """The file's content; no beginning of it is a whole one."""
        nonces = {nonce: expires.isoformat() for nonce, expires in self._seen.items()}
        return json.dumps({"v": 1, "latest": self.latest.isoformat(), "nonces": nonces}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Nonces:
        """Read the output of `to_bytes`; ValueError if it is anything else."""
        body: Any = json.loads(data.decode("utf-8"))
        if not isinstance(body, dict) or set(body) != {"v", "latest", "nonces"} or body["v"] != 1:
            raise ValueError("no file of nonces")
        nonces = body["nonces"]
        if not isinstance(nonces, dict) or not all(_NONCE.fullmatch(nonce) for nonce in nonces):
            raise ValueError("no file of nonces")
        return cls({n: _moment(expires) for n, expires in nonces.items()}, _moment(body["latest"]))


class NonceFile:
    """Where nonces are kept, mode 0600. One daemon at a time has it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Nonces | None:
        """What is kept; nothing if there is no file yet, None if it is damaged.

        Raises StateError if the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return Nonces()
        except OSError as error:
            raise StateError(
                f"cannot read the memory of commands: {error.strerror}", where=str(self.path)
            ) from None
        try:
            return Nonces.from_bytes(data) if len(data) <= MAX_BYTES else None
        except (ValueError, TypeError, RecursionError):
            return None

    def save(self, data: bytes) -> None:
        """Keep `Nonces.to_bytes`; when this returns, it survives a power cut.

        Raises StateError if it cannot be kept: then no command may be carried out.
        """
        try:
            write_whole(self.path, data, 0o600, durable=True, for_folders_owner=True)
        except OSError as error:
            raise StateError(
                f"cannot keep the memory of commands: {error.strerror}",
                where=str(self.path),
                fix="free the disk, or let the daemon's user write there",
            ) from None


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError("no time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment
