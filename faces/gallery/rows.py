"""What one row of the gallery means: people, times, and templates sealed to their place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.person import Person, UnfitTemplatesError, checked_templates
from oneglance.faces.gallery.vault import TemplateKey

PERSON_QUERY = """
    SELECT p.id, p.name, p.created_at, p.consent_at, p.expires_at, count(t.id),
           json_group_array(DISTINCT t.model_id) FILTER (WHERE t.model_id IS NOT NULL)
    FROM person p LEFT JOIN template t ON t.person_id = p.id"""


def to_text(moment: datetime) -> str:
    """UTC, always with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_text_or_none(moment: datetime | None) -> str | None:
    """As `to_text`; None stays None."""
    return None if moment is None else to_text(moment)


def from_text(text: str) -> datetime:
    """What `to_text` wrote; ValueError for any other text, since it would not sort as times do."""
    moment = datetime.fromisoformat(text)
    if to_text(moment) != text:
        raise ValueError("not a time in UTC with microseconds")
    return moment


def person_from_row(row: tuple[Any, ...]) -> Person:
    """The person that one row of PERSON_QUERY describes; ValueError if a time is none."""
    person_id, name, created_at, consent_at, expires_at, templates, model_ids = row
    return Person(
        person_id,
        name,
        from_text(created_at),
        from_text(consent_at),
        None if expires_at is None else from_text(expires_at),
        templates,
        tuple(sorted(json.loads(model_ids))),
    )


def seal_template(
    key: TemplateKey,
    template: NDArray[np.float32],
    *,
    person_id: str,
    template_id: str,
    model_id: str,
) -> bytes:
    """Seal float32 (d,) so that it opens only in the row of this person, template and model."""
    values = template.astype("<f4").tobytes()
    return key.seal(values, _context(person_id, template_id, model_id))


def unseal_template(
    key: TemplateKey, sealed: bytes, *, person_id: str, template_id: str, model_id: str
) -> NDArray[np.float32]:
    """The template float32 (d,) again; UnfitTemplatesError if it was changed or moved."""
    try:
        values = key.open(sealed, _context(person_id, template_id, model_id))
        rows = checked_templates(np.frombuffer(values, "<f4")[np.newaxis])
    except (GalleryError, ValueError):
        raise UnfitTemplatesError(
            "a template was tampered with, or is damaged",
            [person_id],
            fix="restore a backup, or delete this person and enrol again",
        ) from None
    template: NDArray[np.float32] = rows[0]
    return template


class Unsealed:
    """Templates of one gallery that were unsealed before, so that reading it again is cheap.

    A template is known by its person, id and model, and by its sealed bytes: one that was changed
    since is unsealed, and so checked, again. It keeps what the last gallery read held, no more.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, NDArray[np.float32]] = {}
        self._next: dict[bytes, NDArray[np.float32]] = {}

    def row(
        self,
        unseal: Callable[[bytes, str, str, str], NDArray[np.float32]],
        sealed: bytes,
        person_id: str,
        template_id: str,
        model_id: str,
    ) -> NDArray[np.float32]:
        """The template float32 (d,), by `unseal` where it is not known; raises as that does."""
        mark = hashlib.sha256(_context(person_id, template_id, model_id) + sealed).digest()
        row = self._rows.get(mark)
        if row is None:
            row = unseal(sealed, person_id, template_id, model_id)
        self._next[mark] = row
        return row

    def keep(self, matrix: NDArray[np.float32]) -> None:
        """The gallery was read to its end: its rows, now in `matrix`, are all that is known."""
        self._rows = {mark: row for mark, row in zip(self._next, matrix, strict=True)}  # noqa: C416
        self._next = {}

    def forget(self) -> None:
        """Nothing is known."""
        self._rows, self._next = {}, {}


def _context(person_id: str, template_id: str, model_id: str) -> bytes:
    """Each part as a hash of fixed length, so that no two contexts can run into each other."""
    parts = (person_id, template_id, model_id)
    return b"template" + b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
