"""Changes to people are written to the audit log, durably, before they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from oneglance.audit import generations
from oneglance.audit.entry import Entry
from oneglance.errors import GalleryError
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.gallery import Gallery


class Log(generations.Log, Protocol):
    """An `Audit`, or the daemon's `Scribe`."""

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> Entry:
        """Write one entry. Raises AuditError."""

    def append_all(self, said: Sequence[tuple[str, str, dict[str, Any]]]) -> list[Entry]:
        """Write entries (kind, person, body), all or none. Raises AuditError."""

    def alone(self) -> AbstractContextManager[None]:
        """Within it, nobody else changes people. Raises AuditError."""

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Make the pseudonyms of all people whose id is `gone` untraceable. Raises AuditError."""


def logged(
    log: Log, gallery: Gallery, kind: str, body: dict[str, Any], *person_ids: str
) -> AbstractContextManager[None]:
    """Write an entry for each of these people, then make the change: see `all_logged`."""
    return all_logged(log, gallery, [(kind, person_id, body) for person_id in person_ids])


@contextmanager
def all_logged(
    log: Log, gallery: Gallery, said: Sequence[tuple[str, str, dict[str, Any]]]
) -> Iterator[None]:
    """Write entries (kind, person, body), then, within the context, make the changes they describe.

    If that fails, another entry says so. Whoever is not in the gallery afterwards loses the key to
    their pseudonym, and their pictures. Nobody else can be within `logged` meanwhile, since
    somebody who is just being enrolled has an entry but is not yet in the gallery. Raises
    AuditError, before anything is changed, if the entries cannot be written.
    """
    with log.alone():
        entries = log.append_all(said)
        try:
            yield
        except BaseException:
            for entry in entries:
                log.append(entry.kind, {"failed": entry.number})
            raise
        finally:
            left = {person.person_id for person in gallery.list_people()}
            log.forget(lambda person_id: person_id not in left)


@contextmanager
def deletion(
    log: Log,
    gallery: Gallery,
    credentials: CredentialFile,
    body: dict[str, Any],
    person_ids: Sequence[str],
    also: Sequence[tuple[str, str, dict[str, Any]]] = (),
) -> Iterator[None]:
    """As `logged`, for deleting these people; then their badges and PINs are dropped.

    `also` are further entries, as `all_logged` takes them. If badges and PINs cannot be dropped,
    the people are deleted all the same, since a badge that belongs to nobody opens nothing. Then
    the log says `left` for each of them, and GalleryError says what to do. Raises what `all_logged`
    does.
    """
    left: GalleryError | None = None
    said = [("deletion", person_id, body) for person_id in person_ids]
    with all_logged(log, gallery, [*said, *also]):
        try:
            yield
        finally:
            if person_ids:
                left = _left_behind(log, gallery, credentials, person_ids)
    if left is not None:
        raise GalleryError(
            "deleted from the gallery for good, but not from the badges and PINs, where what may"
            f" be left opens nothing and goes once they can be read again: {left.what}",
            where=left.where,
            fix=left.fix,
        ) from left


def _left_behind(
    log: Log, gallery: Gallery, credentials: CredentialFile, person_ids: Sequence[str]
) -> GalleryError | None:
    """Drop what the deleted had; if that fails, returns why it may be left."""
    try:
        credentials.drop_departed(gallery.list_people)
    except GalleryError as error:
        there = {person.person_id for person in gallery.list_people()}
        for person_id in person_ids:
            if person_id not in there:
                log.append("credential_change", {"left": True}, person_id=person_id)
        return error
    return None
