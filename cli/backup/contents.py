"""Which files make up a door, what each is called in a backup, and where it is restored to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from oneglance.config import Config
from oneglance.faces.model.setup import choice_file

# What a door's folder holds besides what the configuration names: public halves, other files.
_BESIDE = {".toml", ".key", ".pub", ".json", ".password", ".pem", ".crt", ".credentials"}
_MOST_BESIDE = 1_048_576
CONFIG, STATE, ELSEWHERE = "config", "state", "elsewhere"


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its name in the backup, and its path on this machine."""

    name: str
    path: Path


def door_parts(config: Config, file: Path) -> list[Part]:
    """All files of the door configured by `file`, except the gallery itself, in order.

    Whatever others are checked against comes after them: a log may know more than the gallery, but
    never less. The lock's memory is left out: an older one would accept again what the lock has
    already acted on.
    """
    folder, state = file.parent, config.gallery.path.parent
    found: dict[str, Path] = {}
    for path in (*_beside(folder), *_named(config), *_kept(config)):
        whole = path.absolute()
        if whole in (config.gallery.path.absolute(), config.door.state_file.absolute()):
            continue
        for each in _files(whole):
            found.setdefault(name_of(each, folder, state), each)
    return [Part(name, path) for name, path in found.items()]


def name_of(path: Path, folder: Path, state: Path) -> str:
    """What a file is called in the backup of a door with these folders."""
    # The state often lies within the configuration's folder.
    for root, name in ((state, STATE), (folder, CONFIG)):
        if path.is_relative_to(root):
            return str(PurePosixPath(name) / path.relative_to(root).as_posix())
    return str(PurePosixPath(ELSEWHERE) / path.relative_to(path.anchor).as_posix())


def place_of(name: str, folder: Path, state: Path) -> Path:
    """Where a backed-up file belongs in a door with these folders. ValueError for an unknown name.

    Files that were in other folders go to `elsewhere` in the configuration's folder.
    """
    parts = PurePosixPath(name).parts
    roots = {STATE: state, CONFIG: folder, ELSEWHERE: folder / ELSEWHERE}
    if len(parts) < 2 or ".." in parts or parts[0] not in roots:
        raise ValueError(f"a file called {name!r}")
    return roots[parts[0]].joinpath(*parts[1:])


def moved_text(text: str, moves: dict[str, str], folders: dict[str, str]) -> str:
    """The configuration's text with its quoted paths replaced as in `moves`, old to new.

    Of `folders` all that is below them moves as well, also what was not there when it was backed
    up: else two doors would count in one file.
    """

    def moved(path: str) -> str:
        if path in moves:
            return moves[path]
        for old in map(str, PurePosixPath(path).parents):
            if old in folders:
                return folders[old] + path.removeprefix(old)
        return path

    def new(match: re.Match[str]) -> str:
        mark, path = match[1], match[2]
        return f"{mark}{moved(path)}{mark}"

    return re.sub(r"""(["'])([^"'\n]*)\1""", new, text)


def _beside(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix in _BESIDE and path.is_file() and path.stat().st_size <= _MOST_BESIDE:
            yield path


def _named(section: object) -> Iterator[Path]:
    """Every file and folder that a configuration names."""
    if isinstance(section, Path):
        # Devices, and folders of the whole machine, are none of a door's files.
        if not section.is_relative_to("/dev"):
            yield section
    elif isinstance(section, tuple):
        for item in section:
            yield from _named(item)
    elif isinstance(section, BaseModel):
        for _, value in section:
            yield from _named(value)


def _kept(config: Config) -> Iterator[Path]:
    """Files in places that the configuration need not name; the audit log last."""
    beside = config.gallery.path.with_name("gallery-generation")
    generation = config.gallery.generation_file or beside
    yield config.keyring_file
    yield config.command_key_file
    yield config.nonce_file
    yield config.attempts_file
    yield config.calibration_file
    yield config.strangers_file
    yield choice_file(config)
    yield config.credentials_file
    yield generation
    yield generation.with_name(f"{generation.name}-logged")
    yield config.audit_folder


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                each = Path(folder) / name
                # Drafts of what is just being written have a dot in front.
                if each.is_file() and not each.is_symlink() and not name.startswith("."):
                    yield each
