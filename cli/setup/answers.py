"""What the owner of a new door is asked, and the file that answers it in advance."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from oneglance.errors import ConfigError


class Answers(BaseModel):
    """The answers in a file; a step without an answer is skipped.

    `camera` is a source as in `[[camera]]`; `person` is enrolled from `photos`, or, without any,
    from that camera, and only with `consent`; `test_lock` opens the lock once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    camera: str | int | None = None
    person: str | None = None
    consent: bool = False
    photos: tuple[Path, ...] = ()
    test_lock: bool = False


def read_answers(file: Path) -> Answers:
    """Read a TOML file of answers; photographs are looked up beside it. Raises ConfigError."""
    try:
        data: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", where=str(file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(file)) from None
    photos = data.get("photos", [])
    if not (isinstance(photos, list) and all(isinstance(photo, str) for photo in photos)):
        raise ConfigError("photos is a list of files", where=str(file))
    beside = tuple(file.absolute().parent / photo for photo in photos)
    try:
        answers = Answers.model_validate({**data, "photos": beside})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{name}: {first['msg']}", where=str(file)) from None
    if answers.person is not None and not answers.consent:
        raise ConfigError(
            "nobody is enrolled who has not agreed to it",
            where=str(file),
            fix="ask, then write consent = true",
        )
    return answers
