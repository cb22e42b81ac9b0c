"""Strangers' templates that a door keeps until it is calibrated: sealed, anonymous, capped.

The day on which the file was begun, then records of equal length, each sealed separately. There is
no name, no picture and no time of anybody's in it, and no order either: the place of each new one
is drawn by chance. So they grow old together: all of them go when the file is too old.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.vault import NONCE_BYTES, TAG_BYTES, TemplateKey
from oneglance.whole_file import wipe, write_whole_and_wipe

MOST_STRANGERS = 500
_DAY_BYTES = len("2026-01-31")


def delete_strangers(path: Path) -> None:
    """Wipe and remove the file, if there is one, and what is left of one half written.

    Raises OSError.
    """
    for file in (path, *path.parent.glob(f".new*-{path.name}")):
        with suppress(FileNotFoundError):
            wipe(file)


class StrangerFile:
    """The file at `path`, sealed with the gallery's key, for templates of one model.

    A file that was begun `keep_days` ago or more counts as empty; so does one dated in the future,
    because the clock was wrong then or is wrong now. `random` draws places; it need not be secret.
    """

    def __init__(
        self,
        path: Path,
        key: TemplateKey,
        model_id: str,
        template_size: int,
        random: Random,
        *,
        keep_days: int,
        today: Callable[[], date],
    ) -> None:
        self._path = path
        self._key = key
        self._context = f"oneglance stranger 1|{model_id}".encode()
        self._size = template_size
        self._length = NONCE_BYTES + 4 * template_size + TAG_BYTES
        self._random = random
        self._keep_days = keep_days
        self._today = today

    def add(self, template: NDArray[np.float32]) -> None:
        """Keep one more template (d,), unless there are MOST_STRANGERS.

        A file that is too old is begun anew.

        Raises GalleryError if it cannot be written.
        """
        if template.shape != (self._size,):
            raise ValueError(f"expected ({self._size},), got {template.shape}")
        day, records = self._contents()
        if len(records) >= MOST_STRANGERS:
            return
        record = self._key.seal(template.astype("<f4").tobytes(), self._context)
        records.insert(self._random.randint(0, len(records)), record)
        begun = (day or self._today()).isoformat().encode()
        data = begun + b"".join(records)
        try:
            # Somebody who is deleted later must not be found in an earlier version of the file
            # either.
            write_whole_and_wipe(self._path, data, 0o600)
        except OSError as error:
            raise GalleryError(
                f"a stranger's template cannot be kept ({error.strerror})", where=str(self._path)
            ) from error

    def read(self) -> NDArray[np.float32]:
        """All templates (n, d) that are whole and of this model; none of a file that is too old.

        Raises GalleryError if the file cannot be read.
        """
        found = []
        for record in self._contents()[1]:
            try:
                plain = self._key.open(record, self._context)
            except GalleryError:
                # It belongs to another model or key: that only makes one stranger fewer.
                continue
            found.append(np.frombuffer(plain, "<f4"))
        return np.array(found, np.float32).reshape(-1, self._size)

    def delete_if_old(self) -> None:
        """Remove a file that is too old, or does not tell how old it is. Raises as `delete`."""
        if self._contents()[0] is None:
            self.delete()

    def delete(self) -> None:
        """Delete the file as `delete_strangers` does. Raises GalleryError if that fails."""
        try:
            delete_strangers(self._path)
        except OSError as error:
            raise GalleryError(
                f"the strangers' templates cannot be deleted ({error.strerror})",
                where=str(self._path),
                fix="run this as the user of the service, or as root",
            ) from error

    def _contents(self) -> tuple[date | None, list[bytes]]:
        """The day on which the file was begun, and its records; none if it is too old."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None, []
        except OSError as error:
            raise GalleryError(
                f"the strangers' templates cannot be read ({error.strerror})",
                where=str(self._path),
                fix="run this as the user of the service, or as root",
            ) from error
        try:
            day = date.fromisoformat(data[:_DAY_BYTES].decode("ascii"))
        except ValueError:
            return None, []
        if not 0 <= (self._today() - day).days < self._keep_days:
            return None, []
        whole = len(data) - (len(data) - _DAY_BYTES) % self._length
        return day, [data[at : at + self._length] for at in range(_DAY_BYTES, whole, self._length)]
