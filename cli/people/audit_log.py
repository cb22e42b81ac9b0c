"""The audit log, as who has the gallery's key but not the daemon's writes it."""

from __future__ import annotations

from datetime import UTC, datetime

from oneglance.audit.log import Audit
from oneglance.config import Config
from oneglance.faces.gallery.vault import load_key


def open_audit(config: Config) -> Audit:
    """Raises AuditError if it cannot be read or written, GalleryError without the key."""
    key = load_key(config.gallery.key_file)
    return Audit(config.audit_folder, lambda: datetime.now(UTC), sealer=key)
