"""Generations in the audit log, of the gallery or another file, by which an old copy is noticed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from oneglance.audit.entry import Entry


class Log(Protocol):
    """An `Audit`, or what writes to one."""

    def append_after(
        self, kind: str, body: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> None:
        """Append what `body` makes of the newest entry's body, unless that is None. AuditError."""

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
        self._log.append_after(
            self._kind,
            # Asked under the log's lock: a process that was overtaken must not write the lower one.
            lambda body: (
                None
                if body and (_generation(body) or 0) >= generation
                else {"generation": generation}
            ),
        )


class Versions:
    """The log as a witness of the shared gallery's versions, by the key that signed each.

    Whoever stole a key can sign the highest number that there is: once that key is revoked, its
    numbers are to bind nobody.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def highest(self, signers: Collection[str]) -> int:
        """The highest version by any of these keys; 0 before the first. Raises AuditError."""
        return highest(self._newest(), signers)

    def newest(self) -> int:
        """The highest version by any key at all; 0 before the first. Raises AuditError."""
        return _generation(self._newest()) or 0

    def people(self) -> int | None:
        """How many people were shared with the last version, where this log says it."""
        people = self._newest().get("people")
        return people if isinstance(people, int) else None

    def note(self, signer: str, version: int, people: int | None = None) -> None:
        """Record a version, unless a higher one of this key is recorded; then it is on disk.

        Raises AuditError.
        """
        self._log.append_after(SHARING, lambda body: noted(body, signer, version, people))

    def _newest(self) -> dict[str, Any]:
        entry = self._log.last(SHARING)
        return {} if entry is None else entry.body


def highest(body: dict[str, Any], signers: Collection[str]) -> int:
    """The highest version that an entry's body has of any of these keys. Pure."""
    known: dict[str, int] = body.get("signers", {})
    return max((version for signer, version in known.items() if signer in signers), default=0)


def noted(
    body: dict[str, Any], signer: str, version: int, people: int | None = None
) -> dict[str, Any] | None:
    """The body after the newest one's; None if that has as high a version of this key. Pure."""
    known: dict[str, int] = body.get("signers", {})
    if known.get(signer, 0) >= version:
        return None
    said: dict[str, Any] = {
        # What stands in this field of any entry never falls.
        "generation": max(_generation(body) or 0, version),
        "signers": {**known, signer: version},
    }
    return said if people is None else {**said, "people": people}


def _generation(body: dict[str, Any]) -> int | None:
    generation = body.get("generation")
    return generation if isinstance(generation, int) else None
