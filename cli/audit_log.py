"""The audit log, as written by whoever has the gallery's key but not the daemon's."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from oneglance.audit.generations import CREDENTIALS, Generations
from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.audit.segments import entries
from oneglance.audit.snapshots import Snapshots
from oneglance.config import Config
from oneglance.errors import AuditError
from oneglance.faces.gallery import setup
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import TemplateKey, load_key
from oneglance.faces.gallery.witness import Witness


def open_audit(config: Config) -> Audit:
    """Raises AuditError if it cannot be opened, GalleryError without the key."""
    key = load_key(config.gallery.key_file)
    return Audit(config.audit_folder, lambda: datetime.now(UTC), sealer=key)


def configured_witness(config: Config) -> Witness:
    """What the gallery's generation is checked against: its file and the audit log.

    Raises AuditError and GalleryError as `open_audit` does.
    """
    return setup.configured_witness(config.gallery, Generations(open_audit(config)))


def open_gallery(config: Config, *, create: bool = False) -> Gallery:
    """The configured gallery, checked against its witness. Raises GalleryError and AuditError."""
    log = Generations(open_audit(config))
    return setup.open_configured(config.gallery, create=create, log=log)


def credentials_log(config: Config) -> Generations:
    """What the file of badges and PINs is checked against. Raises as `open_audit`."""
    return Generations(open_audit(config), CREDENTIALS)


def held_on(config: Config, person_id: str) -> dict[str, Any]:
    """What the audit log says about a person, under which pseudonym, and pictures of their visits.

    As values ready for JSON, to be handed to that person. Raises AuditError if it cannot be read,
    GalleryError without the key.
    """
    key = load_key(config.gallery.key_file)
    names = Pseudonyms(config.audit_folder / PEOPLE_FILE, key).people()
    pseudonym = next((one for one, known in names.items() if known == person_id), None)
    snapshots = Snapshots(config.snapshot_folder, key)
    kept = snapshots.events()
    said, pictures = [], []
    for entry in entries(config.audit_folder) if pseudonym is not None else ():
        if entry.body.get("person") != pseudonym:
            continue
        at = entry.at.isoformat(timespec="milliseconds")
        said.append({"n": entry.number, "at": at, "kind": entry.kind, "body": entry.body})
        event_id = entry.body.get("event_id")
        if event_id in kept:
            jpeg = base64.b64encode(snapshots.picture(event_id)).decode()
            pictures.append(
                {"event_id": event_id, "at": at, "encoding": "base64 of JPEG", "values": jpeg}
            )
    return {"audit": {"pseudonym": pseudonym, "entries": said}, "pictures": pictures}


def reseal(config: Config, key: TemplateKey) -> None:
    """Seal the pseudonyms with the gallery's next key, unless done already. As `open_audit`."""
    pseudonyms = Pseudonyms(config.audit_folder / PEOPLE_FILE, key)
    try:
        pseudonyms.people()
    except AuditError:
        open_audit(config).reseal(key)
