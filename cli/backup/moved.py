"""The configurations of a door that is restored elsewhere: what each names belongs to the copy.

A copy that reads the old door's gallery, or speaks to its broker with its keys, is that door.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from oneglance.cli.backup.contents import moved_text
from oneglance.config import STATE_DIR, Config, parse_config
from oneglance.errors import ConfigError

# Nothing listens there.
NO_PORT = 1
# What counts at the door, and stands in STATE_DIR where a configuration does not name it.
_COUNTED = (("signing", "sequence_file"), ("gallery", "path"), ("door", "state_file"))


@dataclass(frozen=True, slots=True)
class Places:
    """Where a door went: `moves` old paths to new, `folders` those of which all that is below
    moves too; `to` and `state` are the new folders.
    """

    moves: Mapping[str, str]
    folders: Mapping[str, str]
    to: Path
    state: Path

    def has(self, path: Path) -> bool:
        """Whether a path, taken from the new folder, lies in the restored door."""
        whole = Path(os.path.normpath(self.to / path.expanduser()))
        return whole.is_relative_to(self.to) or whole.is_relative_to(self.state)


def moved_config(text: str, places: Places, *, broker: bool) -> tuple[str, list[str]]:
    """The text of a configuration that has moved, and what it names elsewhere still, in words.

    Unless it is to keep its `broker`, it reaches none. What is no configuration, e.g. a theme, has
    only its paths moved.
    """
    text = moved_text(text, dict(places.moves), dict(places.folders))
    config = _parsed(text)
    if config is None:
        quoted = re.findall(r"""["']([/~][^"'\n]*)["']""", text)
        return text, [path for path in quoted if not places.has(Path(path))]
    for section, key in _COUNTED:
        part = getattr(config, section)
        path: Path = getattr(part, key)
        if path.is_absolute() and not places.has(path):
            below = path.relative_to(STATE_DIR) if path.is_relative_to(STATE_DIR) else None
            new = places.state / (below or Path(section) / path.name)
            text = _with_value(text, section, key, f'"{new}"')
    left = []
    if not broker:
        was = config.mqtt.port
        text = _with_value(text, "mqtt", "port", f"{NO_PORT}  # was {was}: the door's own broker")
        if tomllib.loads(text).get("mqtt", {}).get("port") != NO_PORT:
            left = [f"{config.mqtt.host}:{was}, the broker"]
    moved = _parsed(text)
    named = _named(moved) if moved is not None else ()
    return text, left + [f"{path} ({name})" for name, path in named if not places.has(path)]


def _parsed(text: str) -> Config | None:
    try:
        return parse_config(tomllib.loads(text), "")
    except (ConfigError, tomllib.TOMLDecodeError):
        return None


def _with_value(text: str, section: str, key: str, value: str) -> str:
    """The text with one key set; as it was if it is written in a way that this cannot change."""
    head = re.search(rf"^[ \t]*\[{section}\][^\n]*\n?", text, re.MULTILINE)
    line = f"{key} = {value}\n"
    if head is None:
        new = f"{text.rstrip()}\n\n[{section}]\n{line}"
    else:
        end = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, head.end())
        body = text[head.end() : end.start() if end else len(text)]
        rest = re.sub(rf"^[ \t]*{key}[ \t]*=[^\n]*\n?", "", body, count=1, flags=re.MULTILINE)
        new = f"{text[: head.end()].rstrip()}\n{line}{rest}{text[end.start() :] if end else ''}"
    return new if _differs_only(text, new, section, key) else text


def _differs_only(text: str, new: str, section: str, key: str) -> bool:
    def rest(text: str) -> dict[str, Any]:
        data = tomllib.loads(text)
        part = {name: value for name, value in data.pop(section, {}).items() if name != key}
        return data | ({section: part} if part else {})

    try:
        return rest(text) == rest(new)
    except (tomllib.TOMLDecodeError, AttributeError):
        return False


def _named(section: object, name: str = "") -> Iterator[tuple[str, Path]]:
    """Each path that a configuration names, or counts in, and by which key."""
    if isinstance(section, Path):
        if not section.is_relative_to("/dev"):
            yield name, section
    elif isinstance(section, tuple):
        for item in section:
            yield from _named(item, name)
    elif isinstance(section, BaseModel):
        for key, value in section:
            counts = (name, key) in _COUNTED
            if counts or key in section.model_fields_set:
                yield from _named(value, f"{name}.{key}" if name else key)
