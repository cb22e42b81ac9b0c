"""A new gallery key: everything is sealed anew, and wherever it is cut short, one key opens it.

The new key is kept beside the old one first; then the gallery is sealed so that both open it, and
what else the old key seals is sealed with the new one; then the new key takes the old one's place;
then the old one opens nothing any more. Run again after a crash, it goes on where it was.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from oneglance.errors import GalleryError
from oneglance.faces.gallery.file import sync_folder
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import KEY_BYTES, TemplateKey, load_key
from oneglance.faces.gallery.witness import Witness
from oneglance.whole_file import write_whole


def rekey(
    gallery_file: Path,
    key_file: Path,
    witness: Witness,
    others: Callable[[TemplateKey, TemplateKey], None] = lambda _former, _successor: None,
) -> None:
    """Give the gallery a new key, in `key_file`. Raises GalleryError; nothing is lost then.

    `others` seals anew whatever else the key file's key seals, given that key and its successor.
    It is called again after a crash, so that it must take what is sealed anew already; what it
    raises leaves the old key in its place, and the gallery open to both.
    """
    key_file = key_file.resolve()
    following = key_file.with_name(f"{key_file.name}.next")
    key = load_key(key_file)
    with Gallery.open(gallery_file, key, witness=witness) as gallery:
        present, former = gallery.keys()
        if not former or not (present or _is_present_key(gallery_file, following)):
            gallery.reseal(next_key(key_file, following))
            present = False
    if not present:
        others(key, load_key(following))
        take_place(following, key_file)
    with Gallery.open(gallery_file, load_key(key_file), witness=witness) as gallery:
        gallery.forget_former_key()


def _is_present_key(gallery_file: Path, key_file: Path) -> bool:
    try:
        with Gallery.open(gallery_file, load_key(key_file)) as gallery:
            return gallery.keys()[0]
    except GalleryError:
        return False


def next_key(key_file: Path, following: Path) -> TemplateKey:
    """The key that comes next, safe in `following`; one that no gallery has yet is replaced."""
    raw = secrets.token_bytes(KEY_BYTES)
    try:
        write_whole(following, raw, 0o600, durable=True)
        if os.geteuid() == 0:
            owner = key_file.stat()
            os.chown(following, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise GalleryError(
            f"cannot write the new key: {error.strerror}",
            where=str(following),
            fix="run this as the user that owns the key's folder; nothing was changed",
        ) from None
    return TemplateKey(raw)


def take_place(following: Path, key_file: Path) -> None:
    """Put the new key in the old one's place, for good. Raises GalleryError."""
    try:
        following.replace(key_file)
        sync_folder(key_file.parent)
    except OSError as error:
        raise GalleryError(
            f"cannot put the new key in place: {error.strerror}",
            where=str(key_file),
            fix=f"both keys open the gallery; run this again, and keep {following}",
        ) from None
