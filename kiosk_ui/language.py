"""The screen's language: gettext catalogues from `locale/`, and the direction of writing."""

from __future__ import annotations

import gettext
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("locale")
DOMAIN = "kiosk"
# In the order in which they are offered; each has a catalogue, except English, the ids' own
# language.
LANGUAGES = ("en", "de", "es", "fr", "vi", "ar", "zh")
_RIGHT_TO_LEFT = {"ar"}

# `Language.say`.
Say = Callable[..., str]


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark `message` for translation; the string itself stays English."""
    return message


@dataclass(frozen=True, slots=True)
class Language:
    """One language; English where a catalogue lacks a message."""

    code: str = "en"
    _catalogue: gettext.NullTranslations = field(
        default_factory=gettext.NullTranslations, repr=False, compare=False
    )

    @property
    def right_to_left(self) -> bool:
        """Whether it is written from right to left."""
        return self.code in _RIGHT_TO_LEFT

    def say(self, message: str, **values: str) -> str:
        """`message` in this language, with `values` in their places; "" stays ""."""
        if not message:
            return ""
        text = self._catalogue.gettext(message)
        return text.format(**values) if values and "{" in text else text


def language(code: str) -> Language:
    """The language `code`, e.g. "de"; a country after it ("de_AT") is ignored.

    For a missing language, one line goes to the log and English is used.
    """
    short = code.replace("-", "_").partition("_")[0].lower()
    if short == "en":
        return Language()
    try:
        if short not in LANGUAGES:
            raise FileNotFoundError(short)
        return Language(short, gettext.translation(DOMAIN, FOLDER, [short]))
    except (OSError, ValueError):
        log.warning(
            "kiosk.language: %r is not there, so the screen speaks English (there are %s)",
            code,
            ", ".join(LANGUAGES),
        )
        return Language()
