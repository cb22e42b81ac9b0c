"""Who is enrolled: the types that the gallery takes and gives, and their checks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from anyascii import anyascii
from numpy.typing import ArrayLike, NDArray

from oneglance.errors import GalleryError

if TYPE_CHECKING:
    # Listing people needs no OpenCV.
    from oneglance.faces.gallery.codes import Codes

MAX_NAME_CHARS = 64
MAX_GROUPS = 16
NORM_TOLERANCE = 1e-3

_PERSON_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Zero-width joiners are part of Persian and Indic spelling; all other invisible characters could
# make two names look alike, or turn a line of a log or a screen around.
_JOINERS = "\u200c\u200d"
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


class UnfitTemplatesError(GalleryError):
    """Templates of `person_ids` cannot be compared, so that nobody can be.

    The text itself only says of how many people: it may reach a log, where no names belong.
    """

    def __init__(self, what: str, person_ids: Iterable[str], *, where: str = "", fix: str) -> None:
        super().__init__(what, where=where, fix=f"{fix}; 'oneglance doctor' says who")
        self.person_ids = tuple(sorted(person_ids))
        self.remedy = fix

    def naming(self) -> GalleryError:
        """The same with the first few ids, for people who may see who is enrolled."""
        ids = ", ".join(self.person_ids[:5]) + (", ..." if len(self.person_ids) > 5 else "")
        return GalleryError(f"{self.what} ({ids})", where=self.where, fix=self.remedy)


@dataclass(frozen=True, slots=True)
class Person:
    """One enrolled person, without the templates themselves. All times are UTC.

    The person counts from `valid_from` (None: from enrolment on) until before `expires_at` (None:
    for good). `groups` mean nothing by themselves: who may enter when is the door's policy. Who is
    `shared` came from the gallery that many doors share, and goes with it.
    """

    person_id: str
    name: str
    created_at: datetime
    consent_at: datetime
    expires_at: datetime | None
    templates: int
    model_ids: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    shared: bool = False

    def counts_at(self, moment: datetime) -> bool:
        """Whether the person is valid at `moment`."""
        begun = self.valid_from is None or self.valid_from <= moment
        return begun and (self.expires_at is None or moment < self.expires_at)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All templates that count at one moment, ready to be compared.

    `templates` is float32 (n, d), read-only, one template a row, of length 1 or, where pictures
    were fused, a little more; `person_ids[i]` owns row i; `names` maps each person_id to the name
    to greet. `owners` (n,) has the person of each row, by their `numbers`. `codes` make the search
    of a large gallery fast. `people` has what else is known of those who count, by person_id;
    `changes_at` is when the next person, of all that are enrolled, begins or ceases to count.
    """

    person_ids: tuple[str, ...]
    names: Mapping[str, str]
    templates: NDArray[np.float32]
    codes: Codes | None = None
    people: Mapping[str, Person] = field(default_factory=dict)
    changes_at: datetime | None = None
    owners: NDArray[np.int32] = field(init=False, repr=False)
    numbers: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = self.templates.shape[0]
        if self.templates.ndim != 2 or rows != len(self.person_ids):
            raise ValueError(f"{len(self.person_ids)} ids for templates {self.templates.shape}")
        if self.templates.dtype != np.float32:
            raise ValueError(f"templates are {self.templates.dtype}, not float32")
        if self.codes is not None and len(self.codes) != rows:
            raise ValueError(f"{len(self.codes)} codes for templates {self.templates.shape}")
        self.templates.setflags(write=False)
        numbers: dict[str, int] = {}
        owners = [numbers.setdefault(person, len(numbers)) for person in self.person_ids]
        object.__setattr__(self, "owners", np.array(owners, np.int32))
        object.__setattr__(self, "numbers", MappingProxyType(numbers))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        object.__setattr__(self, "people", MappingProxyType(dict(self.people)))

    @property
    def most_of_one(self) -> int:
        """How many templates one person has at most."""
        return int(np.bincount(self.owners).max(initial=0))

    @classmethod
    def empty(cls, template_size: int) -> Snapshot:
        """Nobody: templates of shape (0, template_size)."""
        return cls((), {}, np.empty((0, template_size), np.float32))

    def only(self, person_id: str) -> Snapshot:
        """The same with nobody but `person_id`, for a claim to be verified; may be empty."""
        rows = np.flatnonzero(self.owners == self.numbers.get(person_id, -1))
        names = {person_id: self.names[person_id]} if len(rows) else {}
        people = {person_id: self.people[person_id]} if person_id in self.people else {}
        return Snapshot((person_id,) * len(rows), names, self.templates[rows], None, people)

    def groups_of(self, person_id: str) -> frozenset[str]:
        """The person's groups; none for somebody who does not count."""
        person = self.people.get(person_id)
        return frozenset() if person is None else person.groups


def checked_name(name: str) -> str:
    """The name in Unicode NFC without outer blanks; GalleryError if it cannot be shown."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise GalleryError("the name is empty", fix="give a name, e.g. 'Ada Lovelace'")
    if len(name) > MAX_NAME_CHARS:
        raise GalleryError(
            f"the name has {len(name)} characters", fix=f"use at most {MAX_NAME_CHARS}"
        )
    for character in name:
        if unicodedata.category(character) in _UNSEEN and character not in _JOINERS:
            raise GalleryError(
                f"the name contains the control character U+{ord(character):04X}",
                fix="write it without",
            )
    return name


def checked_person_id(person_id: str) -> str:
    """The id itself; GalleryError unless it is 1-64 of a-z, 0-9, `_` and `-`."""
    if not _PERSON_ID.fullmatch(person_id):
        raise GalleryError(
            f"{person_id!r} cannot be a person's id",
            fix="use 1 to 64 lower-case letters, digits, '-' or '_', e.g. 'ada-lovelace'",
        )
    return person_id


def person_id_from(name: str) -> str:
    """An id made of the name, in any script: 'Ada Lovelace' -> 'ada-lovelace', '李雷' -> 'lilei'.

    GalleryError if the name has nothing that can be written in a-z and 0-9.
    """
    person_id = re.sub(r"[^a-z0-9]+", "-", anyascii(name).lower()).strip("-")
    if not person_id:
        raise GalleryError(
            f"no id can be made of the name {name!r}", fix="give one, e.g. --id li-lei"
        )
    return checked_person_id(person_id[:64].rstrip("-"))


def checked_templates(templates: ArrayLike) -> NDArray[np.float32]:
    """Templates as float32 (k, d), k and d at least 1, each row finite and of L2 norm 1.

    Raises GalleryError otherwise: a template that is not normal would match everybody or nobody.
    """
    array = np.asarray(templates)
    if array.ndim != 2 or 0 in array.shape or not np.issubdtype(array.dtype, np.floating):
        raise GalleryError(f"not templates: {array.dtype} of shape {array.shape}")
    rows = array.astype(np.float32)
    if not np.isfinite(rows).all():
        raise GalleryError("a template contains NaN or infinity", fix="take another picture")
    off = float(np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1.0).max())
    if off > NORM_TOLERANCE:
        raise GalleryError(
            f"a template is not normalised (its norm is off by {off:.3g})",
            fix="enrol templates as the encoder gives them",
        )
    return rows


def utc(moment: datetime, what: str) -> datetime:
    """The same moment in UTC; GalleryError if it has no time zone."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise GalleryError(f"{what} has no time zone", fix="give it in UTC")
    return moment.astimezone(UTC)


def checked_groups(groups: Iterable[str]) -> frozenset[str]:
    """The groups as a set; GalleryError if one is not named as an id is, or there are too many."""
    found = frozenset(groups)
    for group in found:
        if not _PERSON_ID.fullmatch(group):
            raise GalleryError(
                f"{group!r} cannot be a group",
                fix="use 1 to 64 lower-case letters, digits, '-' or '_', e.g. 'family'",
            )
    if len(found) > MAX_GROUPS:
        raise GalleryError(f"{len(found)} groups are too many", fix=f"use at most {MAX_GROUPS}")
    return found


def checked_consent(consent_at: datetime | None, now: datetime) -> datetime:
    """When the person agreed, in UTC; GalleryError if never, or not yet."""
    if consent_at is None:
        raise GalleryError(
            "this person's consent is missing", fix="ask first, then enrol with --consent"
        )
    consent_at = utc(consent_at, "the date of consent")
    if consent_at > now:
        raise GalleryError("the date of consent lies in the future", fix="check the clock")
    return consent_at


def checked_validity(
    valid_from: datetime | None, expires_at: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Beginning and end, in UTC; GalleryError if the one does not come before the other."""
    valid_from = None if valid_from is None else utc(valid_from, "the first day")
    expires_at = None if expires_at is None else utc(expires_at, "the expiry date")
    if valid_from is not None and expires_at is not None and valid_from >= expires_at:
        raise GalleryError("it expires before it begins", fix="let the expiry date be the later")
    return valid_from, expires_at


def checked_dates(
    consent_at: datetime | None,
    valid_from: datetime | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[datetime, datetime | None, datetime | None]:
    """The dates of a new enrolment, in UTC; GalleryError if they do not fit `now`."""
    consent_at = checked_consent(consent_at, now)
    valid_from, expires_at = checked_validity(valid_from, expires_at)
    if expires_at is not None and expires_at <= now:
        raise GalleryError("the expiry date has passed already", fix="give a later one")
    return consent_at, valid_from, expires_at
