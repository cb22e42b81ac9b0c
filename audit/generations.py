"""The gallery's generations in the audit log: the memory by which an old copy is noticed."""

from __future__ import annotations

from typing import Any, Protocol

from oneglance.audit.entry import Entry


class Log(Protocol):
    """An `Audit`, or what writes to one."""

    def append(self, kind: str, body: dict[str, Any]) -> Entry:
        """Write one entry. Raises AuditError."""

    def last(self, kind: str) -> Entry | None:
        """The newest entry of a kind. Raises AuditError."""


class Generations:
    """What the gallery's witness asks and tells."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def highest_generation(self) -> int | None:
        """The generation that was noted last; None before the first. Raises AuditError."""
        entry = self._log.last("gallery_generation")
        generation = None if entry is None else entry.body.get("generation")
        return generation if isinstance(generation, int) else None

    def note_generation(self, generation: int) -> None:
        """Keep it, on disk when this returns. Raises AuditError."""
        self._log.append("gallery_generation", {"generation": generation})
