"""Many pictures by name, from a folder or a zip file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from oneglance.errors import ImageError
from oneglance.faces.decode import read_file

# All that zipfile raises for a damaged, encrypted or unknown member.
_UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm"),
    *(".avif", ".heic", ".heif", ".jp2", ".tif", ".tiff"),
)


class Pictures:
    """The pictures below a folder or in a zip file, by relative name ("Ann/Ann_0001.jpg").

    Raises ImageError if the source is neither, or a name is not in it.
    """

    def __init__(self, source: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
        self.source = source
        self._zip: zipfile.ZipFile | None = None
        if source.is_dir():
            found = (path for path in source.rglob("*") if path.is_file())
            members = [path.relative_to(source).as_posix() for path in found]
        else:
            try:
                self._zip = zipfile.ZipFile(source)
            except FileNotFoundError as error:
                raise ImageError(
                    "no such folder or zip file", where=str(source), fix="check the path"
                ) from error
            except (OSError, zipfile.BadZipFile) as error:
                raise ImageError(
                    "neither a folder nor an intact zip file",
                    where=str(source),
                    fix="name a folder of pictures, or a zip file of them",
                ) from error
            members = self._zip.namelist()
        self.names = sorted(name for name in members if _is_wanted(name, suffixes))
        self._known = frozenset(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def read(self, name: str) -> bytes:
        """The bytes of one picture file."""
        where = f"{self.source}:{name}"
        if name not in self._known:
            raise ImageError("no such picture", where=where, fix="check the name in the list")
        try:
            if self._zip is not None:
                # A few bytes of a zip file can hold gigabytes.
                with self._zip.open(name) as member:
                    return read_file(member, self._zip.getinfo(name).file_size, where)
            with (self.source / name).open("rb") as file:
                return read_file(file, os.fstat(file.fileno()).st_size, where)
        except _UNREADABLE as error:
            raise ImageError(
                "the picture cannot be read", where=where, fix="restore the file"
            ) from error

    def close(self) -> None:
        """Close the zip file."""
        if self._zip is not None:
            self._zip.close()


def _is_wanted(name: str, suffixes: Sequence[str]) -> bool:
    path = PurePosixPath(name)
    # macOS puts a shadow of every file into its zips: __MACOSX/Ann/._Ann_0001.jpg.
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in suffixes and not hidden
