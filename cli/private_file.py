"""Write files that show people: only the owner may read them, and they are complete or absent."""

from __future__ import annotations

from pathlib import Path

from oneglance.errors import OneglanceError
from oneglance.whole_file import write_whole


def private_folder(folder: Path, option: str) -> None:
    """Make a folder that only its owner may enter, unless it exists.

    Raises OneglanceError, naming the command's `option`, if that is impossible.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, option, error) from error


def write_private(path: Path, data: bytes, option: str) -> None:
    """Replace a file by these bytes, mode 0600.

    Raises OneglanceError, naming the command's `option`, if it cannot be written.
    """
    try:
        # Not durable: what shows people here was drawn from files, and can be drawn again.
        write_whole(path, data, 0o600, durable=False)
    except OSError as error:
        raise _refused(path, option, error) from error


def _refused(path: Path, option: str, error: OSError) -> OneglanceError:
    return OneglanceError(
        f"it cannot be written: {error.strerror}", where=str(path), fix=f"choose another {option}"
    )
