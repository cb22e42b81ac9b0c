"""The audit log, as who has the gallery's key but not the daemon's writes it."""

from __future__ import annotations

from datetime import UTC, datetime

from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.config import Config
from oneglance.errors import AuditError
from oneglance.faces.gallery.vault import TemplateKey, load_key


def open_audit(config: Config) -> Audit:
    """Raises AuditError if it cannot be read or written, GalleryError without the key."""
    key = load_key(config.gallery.key_file)
    return Audit(config.audit_folder, lambda: datetime.now(UTC), sealer=key)


def reseal(config: Config, key: TemplateKey) -> None:
    """Seal the pseudonyms with the gallery's next key, unless they are by now. As `open_audit`."""
    pseudonyms = Pseudonyms(config.audit_folder / PEOPLE_FILE, key)
    try:
        pseudonyms.people()
    except AuditError:
        open_audit(config).reseal(key)
