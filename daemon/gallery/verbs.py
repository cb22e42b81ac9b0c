"""Commands about the gallery: reload, list, enrol, rename, groups, delete. For administrators."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping

from oneglance.audit.generations import CREDENTIALS, Generations
from oneglance.config import Config
from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.contract.messages import MAX_REPLY_TEXT
from oneglance.daemon.gallery.enrol import enrol_pictures
from oneglance.daemon.gallery.logged import Log, deletion, logged
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.voice.verbs import (
    MAX_SHOWN,
    CommandRefusedError,
    Sender,
    Verb,
    only,
    text_of,
)
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import Person
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.gallery.vault import load_key

ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
# A small machine takes seconds to read one, and meanwhile nobody watches the gallery.
MAX_PHOTOS = 3


def gallery_verbs(config: Config, watch: GalleryWatch, log: Log) -> dict[str, Verb]:
    """The verbs, for use in the thread that owns `watch`. What they change counts at once.

    Every change is written to `log` before it is made.
    """
    badges = Generations(log, CREDENTIALS)

    def opened() -> Gallery:
        return open_configured(config.gallery, log=Generations(log))

    def reload(args: Args, _sender: Sender) -> str:
        only(args)
        return f"the gallery was read again: {watch.reload()} people count"

    def listed(args: Args, _sender: Sender) -> str:
        only(args, "search")
        wanted = text_of(args, "search").casefold() if "search" in args else ""
        with opened() as gallery:
            lines = [f"{person.person_id}  {person.name}" for person in gallery.list_people()]
        found = [line for line in lines if wanted in line.casefold()]
        return _lines(found) if found or not wanted else "nobody has such a name"

    def rename(args: Args, _sender: Sender) -> str:
        only(args, "id", "name")
        person_id = text_of(args, "id")
        with opened() as gallery, logged(log, gallery, "rename", {}, person_id):
            person = gallery.edit(person_id, name=text_of(args, "name"))
        watch.reload()
        return f"{person.person_id} is now called {person.name}"

    def groups(args: Args, _sender: Sender) -> str:
        only(args, "id")
        with opened() as gallery:
            return _groups(config, gallery, gallery.show(text_of(args, "id")))

    def regroup(args: Args, _sender: Sender) -> str:
        only(args, "id", "group", "member")
        person_id, group, member = text_of(args, "id"), text_of(args, "group"), args.get("member")
        if not isinstance(member, bool):
            raise CommandRefusedError(Code.BAD_ARGUMENTS, "'member' has to be true or false")
        with opened() as gallery:
            held = gallery.show(person_id).groups
            if member and group not in _known_groups(config, gallery):
                raise CommandRefusedError(
                    Code.BAD_ARGUMENTS,
                    f"{group[:MAX_SHOWN]!r} is no group of this door",
                    fix="name it in access.groups",
                )
            held = held | {group} if member else held - {group}
            with logged(log, gallery, "group_change", {}, person_id):
                person = gallery.edit(person_id, groups=held)
            said = _groups(config, gallery, person)
        watch.reload()
        return said

    def delete(args: Args, _sender: Sender) -> str:
        only(args, "id")
        person_id = text_of(args, "id")
        key = load_key(config.gallery.key_file)
        credentials = CredentialFile(config.credentials_file, key, badges)
        try:
            with opened() as gallery:
                # The log must not say that somebody was deleted who was not there.
                gallery.show(person_id)
                with deletion(log, gallery, credentials, {}, [person_id]):
                    gallery.delete(person_id)
        finally:
            # The person is out, but bytes or a badge may remain, and the error says so.
            watch.reload()
        return f"{person_id} was deleted for good"

    def enrol(args: Args, _sender: Sender) -> str:
        only(args, "name", "id", "photos", "consent", "consent_text")
        if args.get("consent") is not True:
            raise CommandRefusedError(
                Code.BAD_ARGUMENTS,
                "nobody is enrolled without having agreed to it",
                fix="send consent=true if this person has",
            )
        person_id = text_of(args, "id") if "id" in args else None
        text = text_of(args, "consent_text", longest=2000) if "consent_text" in args else ""
        person, said = enrol_pictures(
            *(config, text_of(args, "name"), person_id, _photos(args), log),
            consent=hashlib.sha256(text.encode()).hexdigest() if text else "",
        )
        watch.reload()
        return "\n".join([f"{person.name} is enrolled as {person.person_id}", *said])

    verbs: Mapping[str, Callable[[Args, Sender], str]] = {
        "reload": reload,
        "list": listed,
        "rename": rename,
        "groups": groups,
        "regroup": regroup,
        "delete": delete,
        "enrol": enrol,
    }
    return {name: Verb(ADMINISTRATOR, run) for name, run in verbs.items()}


def _known_groups(config: Config, gallery: Gallery) -> set[str]:
    """All groups that the door's policy names, or that somebody belongs to."""
    held = {group for person in gallery.list_people() for group in person.groups}
    return held | set(config.access.groups)


def _groups(config: Config, gallery: Gallery, person: Person) -> str:
    """A line for each known group: "+" before those the person belongs to, "-" before the
    others.
    """
    known = sorted(_known_groups(config, gallery))
    lines = [f"{'+' if group in person.groups else '-'} {group}" for group in known]
    return "\n".join(lines)[:MAX_REPLY_TEXT] or "this door knows no groups"


def _lines(lines: list[str]) -> str:
    """All lines, or as many as fit into an answer and how many more there are."""
    if not lines:
        return "nobody is enrolled"
    text = "\n".join(lines)
    kept = len(lines)
    while len(text) > MAX_REPLY_TEXT:
        kept -= 1
        rest = f"and {len(lines) - kept} more: 'oneglance people list' on the daemon's machine"
        text = "\n".join([*lines[:kept], rest])
    return text


def _photos(args: Args) -> list[bytes]:
    """The photographs in the argument `photos`: base64 of JPEG or PNG files."""
    given = args.get("photos")
    photos = (given,) if isinstance(given, str) else given
    if not isinstance(photos, tuple) or not 0 < len(photos) <= MAX_PHOTOS:
        raise CommandRefusedError(
            Code.BAD_ARGUMENTS,
            f"'photos' has to be 1 to {MAX_PHOTOS} pictures in base64",
            fix="larger ones: 'oneglance people enrol' on the daemon's machine",
        )
    try:
        return [base64.b64decode(photo, validate=True) for photo in photos]
    except (binascii.Error, ValueError):
        raise CommandRefusedError(Code.BAD_ARGUMENTS, "a photo is not base64") from None
