"""What is done to people is written down for good before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from oneglance.audit import generations
from oneglance.audit.entry import Entry
from oneglance.faces.gallery.gallery import Gallery


class Log(generations.Log, Protocol):
    """An `Audit`, or the daemon's `Scribe`."""

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> Entry:
        """Write one entry. Raises AuditError."""

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else changes people within it. Raises AuditError."""

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Make the pseudonyms of all people whose id is `gone` nobody's. Raises AuditError."""


def logged(
    log: Log, gallery: Gallery, kind: str, body: dict[str, Any], *person_ids: str
) -> AbstractContextManager[None]:
    """Write an entry for each of these people, then let be done what it says: `all_logged`."""
    return all_logged(log, gallery, [(kind, person_id, body) for person_id in person_ids])


@contextmanager
def all_logged(
    log: Log, gallery: Gallery, said: Sequence[tuple[str, str, dict[str, Any]]]
) -> Iterator[None]:
    """Write entries, each of a kind, for a person, with a body; then let be done what they say.

    If that fails, another entry says so. Whoever is not in the gallery afterwards loses the key
    of their pseudonym and their pictures. Nobody else is within `logged` meanwhile: who is being
    enrolled just now has an entry, but is not yet in the gallery. Raises AuditError before
    anything is done if it cannot be written down.
    """
    with log.alone():
        entries = [log.append(kind, body, person_id=person) for kind, person, body in said]
        try:
            yield
        except BaseException:
            for entry in entries:
                log.append(entry.kind, {"failed": entry.number})
            raise
        finally:
            left = {person.person_id for person in gallery.list_people()}
            log.forget(lambda person_id: person_id not in left)
