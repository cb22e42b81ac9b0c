"""docs/configuration.md has every key, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from oneglance.config import Config

PAGE = Path(__file__).parent.parent / "docs/configuration.md"


def keys_of(model: type[BaseModel], place: str = "") -> set[str]:
    """Each key as `section.key`; a section in a section is a section of its own."""
    found = set()
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        section = next(iter(get_args(annotation)), annotation)
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= keys_of(section, f"{place}.{name}".strip("."))
        else:
            found.add(f"{place}.{name}")
    return found


def documented() -> set[str]:
    found, section = set(), ""
    for line in PAGE.read_text().splitlines():
        if not line.startswith("| ") or line.startswith("| key "):
            continue
        names = line.split("|")[1].strip()
        head = re.match(r"\*\*\[{1,2}([a-z_.]+)\]{1,2}\*\* ", names)
        if head:
            section, names = head[1], names[head.end() :]
        found |= {f"{section}.{name}" for name in names.split(", ")}
    return found


def test_the_page_has_every_key_and_no_other() -> None:
    assert documented() == keys_of(Config)
