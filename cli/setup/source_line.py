"""Change the camera in a configuration file, leaving comments and order as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.whole_file import rewrite_whole

_TABLE = re.compile(r"^\s*\[")
_CAMERA = re.compile(r"^\s*\[\[\s*camera\s*\]\]")
_SOURCE = re.compile(r"^(\s*source\s*=\s*)")


def with_source(text: str, source: str | int) -> str:
    """The file's text with this source for its first camera.

    Raises ConfigError if there is no such line, or the source cannot be written in one.
    """
    if isinstance(source, str) and not source.isprintable():
        raise ConfigError("control characters cannot stand in a configuration", where="camera")
    value = str(source)
    if isinstance(source, str):
        value = '"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"'
    lines = text.splitlines(keepends=True)
    inside = False
    for number, line in enumerate(lines):
        if _TABLE.match(line):
            if inside:
                break
            inside = bool(_CAMERA.match(line))
        elif inside and (found := _SOURCE.match(line)):
            lines[number] = f"{found[1]}{value}\n"
            changed = "".join(lines)
            if tomllib.loads(changed)["camera"][0]["source"] == source:
                return changed
            break
    raise ConfigError(
        "no line 'source = ...' was found below [[camera]]",
        where="camera",
        fix="write the camera into the file yourself",
    )


def write_source(file: Path, source: str | int) -> None:
    """Change the file; its mode and owner stay. Raises ConfigError, and OSError."""
    rewrite_whole(file, with_source(file.read_text(encoding="utf-8"), source).encode())
