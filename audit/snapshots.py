"""Pictures of visitors, sealed, one for each decision, each kept for some days. Off by default."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneglance.audit.pseudonyms import Sealer
from oneglance.errors import AuditError
from oneglance.whole_file import wipe, write_whole

# Beside the segments.
SNAPSHOTS = "snapshots"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{8,64})\.sealed")
# This includes what a process left that was killed while writing one: nobody writes that name
# again.
_TO_GO = re.compile(rf"(?:\.new\d*-)?{_NAME.pattern}")
_TIME = "%Y%m%dT%H%M%SZ"


class Snapshots:
    """A private folder of pictures, each sealed for the event that it shows."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer

    def keep(self, event_id: str, at: datetime, picture: bytes) -> None:
        """Seal and store the picture of an event. Raises AuditError."""
        name = f"{at.astimezone(UTC):{_TIME}}-{event_id}.sealed"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sealed = self._sealer.seal(picture, _context(event_id))
            # Losing a picture in a power cut does no harm; the decision itself is in the log.
            write_whole(self._folder / name, sealed, 0o600, durable=False, for_folders_owner=True)
        except OSError as error:
            raise AuditError(
                f"a snapshot cannot be kept: {error.strerror}", where=str(self._folder)
            ) from None

    def events(self) -> set[str]:
        """The ids of all events of which there is a picture. Raises AuditError."""
        matches = (_NAME.fullmatch(name) for name in _names(self._folder))
        return {match[2] for match in matches if match is not None}

    def picture(self, event_id: str) -> bytes:
        """The picture of an event. Raises AuditError if there is none, or it was changed."""
        for name in _names(self._folder):
            match = _NAME.fullmatch(name)
            if match is not None and match[2] == event_id:
                try:
                    blob = (self._folder / name).read_bytes()
                except OSError as error:
                    raise AuditError(
                        f"it cannot be read: {error.strerror}", where=str(self._folder / name)
                    ) from None
                return self._sealer.open(blob, _context(event_id))
        raise AuditError(
            f"there is no snapshot of event {event_id!r}",
            where=str(self._folder),
            fix="snapshots are kept only with audit.snapshots = true, and not for long",
        )

    def remove_expired(self, now: datetime, keep_days: int) -> None:
        """Remove what is older than so many days. Raises AuditError."""
        try:
            for name in expired(_names(self._folder), now, keep_days):
                with suppress(FileNotFoundError):
                    wipe(self._folder / name)
        except OSError as error:
            raise AuditError(
                f"an old snapshot cannot be removed: {error.strerror}", where=str(self._folder)
            ) from None


def remove_events(folder: Path, event_ids: Collection[str]) -> None:
    """Wipe and remove the pictures of these events. Raises AuditError."""
    try:
        for name in _names(folder):
            match = _TO_GO.fullmatch(name)
            if match is not None and match[2] in event_ids:
                # It may just have expired.
                with suppress(FileNotFoundError):
                    wipe(folder / name)
    except OSError as error:
        raise AuditError(
            f"a snapshot cannot be removed: {error.strerror}", where=str(folder)
        ) from None


def events_in(folder: Path) -> set[str]:
    """The ids of all events of which there is a picture, or a part of it. Raises AuditError."""
    matches = (_TO_GO.fullmatch(name) for name in _names(folder))
    return {match[2] for match in matches if match is not None}


def expired(names: Iterable[str], now: datetime, keep_days: int) -> list[str]:
    """The names of snapshots taken more than `keep_days` before `now`; others are left alone.

    So are those dated in the future: the clock may be wrong.
    """
    before = now - timedelta(days=keep_days)
    found = []
    for name in names:
        match = _TO_GO.fullmatch(name)
        if match is not None and _taken_at(match[1]) < before:
            found.append(name)
    return found


def _taken_at(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        # Its name is not one of ours.
        return datetime.max.replace(tzinfo=UTC)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuditError(
            f"the snapshots cannot be read: {error.strerror}", where=str(folder)
        ) from None


def _context(event_id: str) -> bytes:
    return b"oneglance audit snapshot " + event_id.encode()
