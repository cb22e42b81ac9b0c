"""What staff chose at the screen, beside the administrator's key: its language and its light."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.kiosk_ui.language import LANGUAGES
from oneglance.whole_file import write_whole

log = logging.getLogger(__name__)

# With less light nobody could read the screen to turn it up again.
LEAST_LIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Kept:
    """The language's code, "" for the configuration's; the light from LEAST_LIGHT to 1."""

    language: str = ""
    light: float = 1.0


def kept_file(admin_file: Path | None) -> Path | None:
    """Where it is kept; None without an administration, since nobody can choose then."""
    return None if admin_file is None else admin_file.with_name(f"{admin_file.name}.screen")


def read_kept(file: Path | None) -> Kept:
    """What was kept; if it cannot be read, a line in the log and the configuration's values."""
    if file is None:
        return Kept()
    try:
        with file.open("rb") as opened:
            body = json.loads(opened.read(4096))
        kept = Kept(str(body["language"]), float(body["light"]))
        if kept.language not in ("", *LANGUAGES) or not LEAST_LIGHT <= kept.light <= 1:
            raise ValueError
    except FileNotFoundError:
        return Kept()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        log.warning("%s: damaged, so language and light are the configuration's", file)
        return Kept()
    return kept


def write_kept(file: Path, kept: Kept) -> None:
    """Keep it. Raises ConfigError."""
    try:
        write_whole(file, json.dumps(asdict(kept)).encode(), 0o600, durable=False)
    except OSError as error:
        raise ConfigError(
            f"language and light cannot be kept: {error.strerror}", where=str(file)
        ) from None
