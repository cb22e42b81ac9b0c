"""Collected pictures of one person on disk: a private folder with a record of each picture.

`FOLDER/<person-id>/anchor_0001.jpg`, `positive_0001.jpg`, `negative_0001.png`..., and
`collection.json`. Folders have mode 0700 and files 0600: these are pictures of people. Each
picture, and the record after it, appears whole or not at all; nothing is ever overwritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneglance.errors import ImageError
from oneglance.whole_file import write_whole

RECORD = "collection.json"
ROLES = ("anchor", "positive", "negative")
_FORMAT = 1
_NUMBERED = re.compile(r"(anchor|positive|negative)_(\d{4,})\.(jpg|png)")
_FULL = "free some space, or choose another --out; what was collected before is whole"


class Collection:
    """One person's pictures. Made by `open_collection`."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder = folder
        self._record = record

    @property
    def pictures(self) -> list[dict[str, Any]]:
        """What is known of each picture, in the order in which they were taken."""
        return list(self._record["pictures"])

    @property
    def sha256s(self) -> set[str]:
        """The hashes of all pictures."""
        return {picture["sha256"] for picture in self._record["pictures"]}

    def count_by(self, key: str) -> dict[str, int]:
        """How many pictures have each value of `key`, e.g. "step" or "role"."""
        counts: dict[str, int] = {}
        for picture in self._record["pictures"]:
            value = str(picture.get(key, ""))
            counts[value] = counts.get(value, 0) + 1
        return counts

    def add(
        self, role: str, data: bytes, suffix: str, taken_at: datetime, facts: Mapping[str, Any]
    ) -> Path:
        """Keep one encoded picture (`suffix` "jpg" or "png") and what is known of it.

        Raises ImageError if it cannot be written.
        """
        if role not in ROLES:
            raise ValueError(f"{role!r} is not one of {ROLES}")
        numbers = [int(m[2]) for m in self._numbered() if m[1] == role]
        name = f"{role}_{max(numbers, default=0) + 1:04d}.{suffix}"
        entry = {
            "file": name,
            "role": role,
            "taken_at": taken_at.isoformat(timespec="milliseconds"),
            "sha256": hashlib.sha256(data).hexdigest(),
            **facts,
        }
        grown = {**self._record, "pictures": [*self._record["pictures"], entry]}
        _write_private(self.folder / name, data)
        _write_private(self.folder / RECORD, _as_bytes(grown))
        self._record = grown
        return self.folder / name

    def discard_if_empty(self) -> None:
        """Remove the folder again if no picture was taken."""
        if not self._record["pictures"] and not self._numbered():
            (self.folder / RECORD).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def _numbered(self) -> list[re.Match[str]]:
        found = (_NUMBERED.fullmatch(path.name) for path in self.folder.iterdir())
        return [match for match in found if match]

    def adopt_unrecorded(self) -> list[str]:
        """Record pictures that a power cut left without a record; returns their files."""
        known = {picture["file"] for picture in self._record["pictures"]}
        lost = sorted(m[0] for m in self._numbered() if m[0] not in known)
        for name in lost:
            data = (self.folder / name).read_bytes()
            at = datetime.fromtimestamp((self.folder / name).stat().st_mtime, UTC)
            entry = {
                "file": name,
                "role": name.split("_")[0],
                "taken_at": at.isoformat(timespec="milliseconds"),
                "sha256": hashlib.sha256(data).hexdigest(),
                "step": "unrecorded",
            }
            self._record["pictures"].append(entry)
        if lost:
            _write_private(self.folder / RECORD, _as_bytes(self._record))
        return lost


def open_collection(parent: Path, person_id: str, about: Mapping[str, Any]) -> Collection:
    """Open or begin the collection of one person under `parent`.

    `about` (who, consent, source) is written when it begins; a later run only adds pictures, and
    only for the same name. Raises ImageError if the folder or its record cannot be used.
    """
    folder = parent / person_id
    try:
        if not parent.is_dir():
            parent.mkdir(mode=0o700, parents=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        record = _read(folder / RECORD)
        if record is None:
            record = {"format": _FORMAT, "person_id": person_id, **about, "pictures": []}
            _write_private(folder / RECORD, _as_bytes(record))
        elif record.get("name") != about.get("name"):
            raise ImageError(
                f"it holds pictures of {record.get('name')!r}, not of {about.get('name')!r}",
                where=str(folder),
                fix="give this person another --id",
            )
        collection = Collection(folder, record)
        collection.adopt_unrecorded()
    except OSError as error:
        raise ImageError(
            f"the collection cannot be used: {error.strerror}",
            where=str(folder),
            fix="choose another --out",
        ) from error
    return collection


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("pictures"), list):
        raise ImageError(
            "the record is damaged", where=str(path), fix="restore it, or move it away"
        )
    if record.get("format") != _FORMAT:
        raise ImageError("this version does not know the record's format", where=str(path))
    return record


def _as_bytes(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()


def _write_private(path: Path, data: bytes) -> None:
    try:
        # Flushed to disk: whoever was photographed has gone by the time the power comes back.
        write_whole(path, data, 0o600, durable=True)
    except OSError as error:
        raise ImageError(
            f"the picture cannot be kept: {error.strerror}", where=str(path), fix=_FULL
        ) from error
