"""Strangers' templates that a door keeps until it is calibrated: sealed, anonymous, capped.

One file of records of one length, each sealed by itself. There is no name, no picture and no time
in it, and no order either: the place of each new one is drawn by chance.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.gallery.vault import NONCE_BYTES, TAG_BYTES, TemplateKey
from oneglance.whole_file import write_whole

MOST_STRANGERS = 500


class StrangerFile:
    """The file at `path`, sealed with the gallery's key, for templates of one model.

    `random` draws places; it need not be secret.
    """

    def __init__(
        self, path: Path, key: TemplateKey, model_id: str, template_size: int, random: Random
    ) -> None:
        self._path = path
        self._key = key
        self._context = f"oneglance stranger 1|{model_id}".encode()
        self._size = template_size
        self._length = NONCE_BYTES + 4 * template_size + TAG_BYTES
        self._random = random

    def add(self, template: NDArray[np.float32]) -> None:
        """Keep one more template (d,), unless there are MOST_STRANGERS.

        Raises GalleryError if it cannot be written.
        """
        if template.shape != (self._size,):
            raise ValueError(f"expected ({self._size},), got {template.shape}")
        records = self._records()
        if len(records) >= MOST_STRANGERS:
            return
        record = self._key.seal(template.astype("<f4").tobytes(), self._context)
        records.insert(self._random.randint(0, len(records)), record)
        try:
            # Not durable: a power cut may cost the strangers, who will come again.
            write_whole(self._path, b"".join(records), 0o600, durable=False, for_folders_owner=True)
        except OSError as error:
            raise GalleryError(
                f"a stranger's template cannot be kept ({error.strerror})", where=str(self._path)
            ) from error

    def read(self) -> NDArray[np.float32]:
        """All templates (n, d) that are whole and of this model; none if there is no file.

        Raises GalleryError if the file cannot be read.
        """
        found = []
        for record in self._records():
            try:
                plain = self._key.open(record, self._context)
            except GalleryError:
                # Another model's, or another key's: it only makes one stranger less.
                continue
            found.append(np.frombuffer(plain, "<f4"))
        return np.array(found, np.float32).reshape(-1, self._size)

    def delete(self) -> None:
        """Remove the file, if there is one. Raises GalleryError if that fails."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(
                f"the strangers' templates cannot be deleted ({error.strerror})",
                where=str(self._path),
                fix="run this as the user of the service, or as root",
            ) from error

    def _records(self) -> list[bytes]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise GalleryError(
                f"the strangers' templates cannot be read ({error.strerror})",
                where=str(self._path),
                fix="run this as the user of the service, or as root",
            ) from error
        whole = len(data) - len(data) % self._length
        return [data[at : at + self._length] for at in range(0, whole, self._length)]
