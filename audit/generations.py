"""Generations in the audit log, of the gallery or another file, by which an old copy is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from oneglance.audit.entry import Entry


class Log(Protocol):
    """An `Audit`, or what writes to one."""

    def append_unless(
        self, known: Callable[[dict[str, Any]], bool], kind: str, body: dict[str, Any]
    ) -> None:
        """Write an entry unless the newest of its kind is `known` by its body. AuditError."""

    def last(self, kind: str) -> Entry | None:
        """The newest entry of a kind. Raises AuditError."""


CREDENTIALS = "credentials_generation"
SHARING = "sharing_version"


class Generations:
    """The log as a witness of the generation of the gallery, or of another file."""

    def __init__(self, log: Log, kind: str = "gallery_generation") -> None:
        self._log = log
        self._kind = kind

    def highest_generation(self) -> int | None:
        """The generation that was noted last; None before the first.

        It is the highest one: a log in which it falls is refused. Raises AuditError.
        """
        entry = self._log.last(self._kind)
        return None if entry is None else _generation(entry.body)

    def note_generation(self, generation: int) -> None:
        """Record it, unless a higher one is recorded; on disk when this returns.

        Raises AuditError.
        """
        self._log.append_unless(
            # Asked under the log's lock: a process that was overtaken must not write the lower one.
            lambda body: (_generation(body) or 0) >= generation,
            self._kind,
            {"generation": generation},
        )


def _generation(body: dict[str, Any]) -> int | None:
    generation = body.get("generation")
    return generation if isinstance(generation, int) else None
