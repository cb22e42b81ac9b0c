"""Which messages the broker must hold so that each door gets the people meant for it. Pure."""

from __future__ import annotations

import base64
import hmac
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import AfterValidator, Field, ValidationError

from oneglance.contract.keyring import RawKey
from oneglance.contract.sharing import (
    MAX_ALL_PARTS,
    MAX_GALLERY_BYTES,
    MAX_PARTS,
    Contents,
    GalleryIndex,
    GalleryState,
    Part,
    SharedGallery,
    bucket,
    parts_of,
    seal_contents,
    seal_part,
)
from oneglance.contract.signing import sign
from oneglance.errors import ConfigError, GalleryError, MessageError
from oneglance.faces.gallery.person import checked_groups
from oneglance.faces.gallery.rows import Record
from oneglance.faces.gallery.shared import (
    Templates,
    how_many_parts,
    shareable,
    size_of,
    write_part,
)
from oneglance.section import Section
from oneglance.topic_level import Level

Groups = Annotated[
    tuple[str, ...] | None,
    AfterValidator(lambda groups: groups if groups is None else tuple(sorted(_checked(groups)))),
]


class SharedDoor(Section):
    """A door, the public half of the key that its gallery is sealed to, and whom it gets.

    `groups` are those of the people; None means everybody, and an empty list nobody.
    """

    name: Level
    key: RawKey
    groups: Groups = None


class Doors(Section):
    """The file of doors."""

    door: Annotated[tuple[SharedDoor, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Sharer:
    """Who signs, for which site; `secret` is what the parts' keys and the receipts derive from."""

    site: str
    key_id: str
    key: Ed25519PrivateKey
    secret: bytes

    def receipt(self, door: str, version: int) -> bytes:
        """The proof, by which a door says that it has taken over this version."""
        return hmac.digest(self.secret, b"receipt\0%b\0%d" % (door.encode(), version), "sha256")

    def proves(self, door: str, state: GalleryState) -> bool:
        """Whether it was that door that said so, and nobody else in its name."""
        return hmac.compare_digest(self.receipt(door, state.version).hex(), state.receipt)


@dataclass(frozen=True, slots=True)
class Plan:
    """The retained messages: parts by their ids, one message for each door, and the index."""

    parts: dict[str, bytes]
    doors: dict[str, bytes]
    index: bytes
    people: int


def read_doors(file: Path) -> tuple[SharedDoor, ...]:
    """The doors in a TOML file. Raises ConfigError saying what is wrong in it."""
    fix = "write there what 'oneglance keys door' shows at each door"
    try:
        doors = Doors.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).door
    except OSError as error:
        raise ConfigError(
            f"cannot read the doors: {error.strerror}", where=str(file), fix=fix
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{place}: {first['msg']}", where=str(file), fix=fix) from None
    except ValueError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(file), fix=fix) from None
    for what in ("name", "key"):
        if len({getattr(door, what) for door in doors}) != len(doors):
            raise ConfigError(f"two doors have the same {what}", where=str(file))
    return doors


def plan(
    contents: Sequence[tuple[Record, Templates]],
    doors: Sequence[SharedDoor],
    sharer: Sharer,
    version: int,
    now: datetime,
) -> Plan:
    """The messages of one version, for people as they stand in the house's gallery.

    Whoever came from a shared gallery, or has expired, is not shared. Raises GalleryError for
    templates of several models, MessageError if it is more than the broker accepts.
    """
    own = [(record, rows) for record, rows in contents if not record.person.shared]
    models = sorted({model for record, _ in own for model in record.person.model_ids})
    if len(models) > 1:
        raise GalleryError(
            f"people are enrolled with several models: {', '.join(models)}",
            fix="enrol them all with one, and delete the others",
        )
    payloads: dict[str, bytes] = {}
    cut: dict[tuple[str, ...] | None, tuple[Part, ...]] = {}
    told: dict[str, bytes] = {}
    all_contents = []
    for door in doors:
        if door.groups not in cut:
            groups = None if door.groups is None else frozenset(door.groups)
            sealed = _parts(shareable(own, groups, now), sharer.secret)
            payloads |= {part.id: payload for part, payload in sealed}
            cut[door.groups] = tuple(part for part, _ in sealed)
        parts = cut[door.groups]
        receipt = sharer.receipt(door.name, version)
        inside = Contents(models[0] if parts else "", parts, receipt)
        all_contents.append(inside)
        told[door.name] = _message(door, inside, sharer, version, now)
    ids = parts_of(all_contents)
    if len(ids) > MAX_ALL_PARTS:
        raise MessageError(
            f"the doors' galleries have {len(ids)} parts in all (at most {MAX_ALL_PARTS})",
            fix="give more doors the same groups",
        )
    index = GalleryIndex(
        issued_at=now,
        site=sharer.site,
        key_id=sharer.key_id,
        version=version,
        people=len(shareable(own, None, now)),
        doors=tuple(told),
        parts=tuple(ids),
    )
    return Plan(payloads, told, sign(index, sharer.key), index.people)


def _parts(people: list[tuple[Record, Templates]], secret: bytes) -> list[tuple[Part, bytes]]:
    if not people:
        return []
    number = how_many_parts(size_of(people), MAX_PARTS)
    while True:
        shares: list[list[tuple[Record, Templates]]] = [[] for _ in range(number)]
        for record, rows in people:
            shares[bucket(record.person.person_id, number)].append((record, rows))
        try:
            return [seal_part(write_part(share), secret) for share in shares]
        except MessageError:
            # Chance put many into one.
            if number >= MAX_PARTS:
                raise
            number *= 2


def _message(
    door: SharedDoor, inside: Contents, sharer: Sharer, version: int, now: datetime
) -> bytes:
    about: Any = {"site": sharer.site, "door": door.name, "version": version}
    half, sealed = seal_contents(
        inside, base64.b64decode(door.key), X25519PrivateKey.generate(), **about
    )
    message = SharedGallery(
        issued_at=now,
        key_id=sharer.key_id,
        half=half,
        sealed=sealed,
        **about,
    )
    payload = sign(message, sharer.key)
    if len(payload) > MAX_GALLERY_BYTES:
        raise MessageError(f"a door's message of {len(payload)} bytes")
    return payload


def _checked(groups: tuple[str, ...]) -> frozenset[str]:
    try:
        return checked_groups(groups)
    except GalleryError as error:
        raise ValueError(error.what) from None
