"""Remembers how far a gallery had come, so that an older copy of it is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from oneglance.errors import GalleryError
from oneglance.number_file import read_number, write_number
from oneglance.whole_file import write_whole

_ACCEPT = "if you restored it on purpose: oneglance people accept-restore"


class RestoredGalleryError(GalleryError):
    """The gallery is an older copy of one that was seen later."""


class StaleLogError(GalleryError):
    """The log of generations is older than the gallery, or gone."""


class GenerationLog(Protocol):
    """A second memory that cannot be altered unnoticed, e.g. a signed and chained log."""

    def highest_generation(self) -> int | None:
        """The highest generation recorded; None before the first. Raises OneglanceError."""

    def note_generation(self, generation: int) -> None:
        """Record it, on disk when this returns. Raises OneglanceError if that cannot be done."""


class Witness:
    """A number file beside or away from the gallery, and, where there is one, a log.

    Whoever writes the gallery notes the new generation here afterwards, the log before the file:
    so the log never knows less than the file, but for a log that was put back. An empty file of
    the same name and `-logged` says that there was a log, so that none is not taken for a first
    one. Either all who open a gallery have its log, or none.
    """

    def __init__(self, file: Path, log: GenerationLog | None = None) -> None:
        self._file = file
        self._begun_file = file.with_name(f"{file.name}-logged")
        self._log = log

    def floor(self) -> int:
        """What a gallery must have reached: ask before it is read, as others may write meanwhile.

        Raises StaleLogError, GalleryError if the file is damaged or cannot be read, and what the
        log raises.
        """
        try:
            number = read_number(self._file)
            # Before the log is asked: another process may begin it now.
            begun = self._begun_file.exists()
        except ValueError:
            raise GalleryError(
                "what the gallery's generation is held against is damaged",
                where=str(self._file),
                fix=f"restore the file; {_ACCEPT}",
            ) from None
        except OSError as error:
            raise GalleryError(
                f"cannot read the gallery's generation: {error.strerror}", where=str(self._file)
            ) from None
        logged = self._logged()
        if self._log is not None and logged is None and begun:
            raise StaleLogError(
                "the gallery's log is gone, or was begun anew",
                where=str(self._file),
                fix=f"restore the log; {_ACCEPT}",
            )
        if logged is not None and logged < number:
            raise StaleLogError(
                f"the gallery is newer than its log (generation {number}, the log ends at"
                f" {logged})",
                where=str(self._file),
                fix=f"restore the log; {_ACCEPT}",
            )
        return max(number, logged or 0)

    def highest(self) -> int:
        """The higher number of the two, whatever is wrong with the other."""
        try:
            number = read_number(self._file)
        except (OSError, ValueError):
            number = 0
        return max(number, self._logged() or 0)

    def check(self, generation: int, floor: int, where: Path) -> None:
        """Hold a gallery against what was `floor` before it was read; RestoredGalleryError."""
        if generation < floor:
            raise RestoredGalleryError(
                f"an older copy of the gallery (generation {generation}, {floor} was seen)",
                where=str(where),
                fix=f"put the newer one back; {_ACCEPT}",
            )

    def check_first(self, where: Path) -> None:
        """A gallery without a generation may only be the first; RestoredGalleryError."""
        seen = self.highest()
        if seen:
            raise RestoredGalleryError(
                f"an older copy of the gallery (without a generation, {seen} was seen)",
                where=str(where),
                fix=f"put the newer one back; {_ACCEPT}",
            )

    def note(self, generation: int) -> None:
        """Remember it, if it is higher. Raises GalleryError, and what the log raises."""
        if self._log is not None and generation > (self._logged() or 0):
            self._log.note_generation(generation)
        try:
            if self._log is not None and generation and not self._begun_file.exists():
                write_whole(self._begun_file, b"", 0o600, durable=True, for_folders_owner=True)
            if generation > self._number():
                write_number(self._file, generation)
        except OSError as error:
            raise GalleryError(
                f"cannot keep the gallery's generation: {error.strerror}",
                where=str(self._file),
                fix="make room on the disk, or name another gallery.generation_file",
            ) from None

    def _number(self) -> int:
        try:
            return read_number(self._file)
        except ValueError:
            return 0

    def _logged(self) -> int | None:
        return None if self._log is None else self._log.highest_generation()
