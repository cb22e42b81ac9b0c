"""What is done to people is written down for good before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from oneglance.audit import generations
from oneglance.audit.entry import Entry
from oneglance.faces.gallery.gallery import Gallery


class Log(generations.Log, Protocol):
    """An `Audit`, or the daemon's `Scribe`."""

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> Entry:
        """Write one entry. Raises AuditError."""

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Make the pseudonyms of all people whose id is `gone` nobody's. Raises AuditError."""


@contextmanager
def logged(
    log: Log, gallery: Gallery, kind: str, body: dict[str, Any], *person_ids: str
) -> Iterator[None]:
    """Write an entry for each of these people, then let be done what it says.

    If that fails, another entry says so. Whoever is not in the gallery afterwards loses the key
    of their pseudonym. Raises AuditError before anything is done if it cannot be written down.
    """
    entries = [log.append(kind, body, person_id=person_id) for person_id in person_ids]
    try:
        yield
    except BaseException:
        for entry in entries:
            log.append(kind, {"failed": entry.number})
        raise
    finally:
        left = {person.person_id for person in gallery.list_people()}
        log.forget(lambda person_id: person_id not in left)
