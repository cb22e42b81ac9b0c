"""A theme from a TOML file: all of its mistakes at once, each with what to do.

```toml
logo = "logo.png"      # may be left out, as may the font
font = "Brand.ttf"
[colours]
background = "#0A0E14"
text = "#F5F8FA"
quiet = "#B9C4CF"
calm = "#9FC0DC"
guide = "#6EC6FF"
yes = "#35D6A0"
no = "#FFAE42"
off = "#A9B4BF"
```
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from oneglance.errors import ConfigError
from oneglance.kiosk_ui.fonts import FontFileError, letters_of
from oneglance.kiosk_ui.palette import TONES, Rgb, Theme, contrast, rgb
from oneglance.kiosk_ui.screen import Kind

COLOURS = ("background", "text", "quiet", "calm", "guide", "yes", "no", "off")
# WCAG 2.2: 7 for text at its strictest level (1.4.6), 4.5 for text (1.4.3), 3 for signs (1.4.11).
TEXT_CONTRAST, QUIET_CONTRAST, SIGN_CONTRAST = 7.0, 4.5, 3.0
_COLOUR = re.compile(r"#([0-9A-Fa-f]{6})")


def load_theme(file: Path) -> Theme:
    """The theme in `file`; ConfigError lists everything that is wrong with it."""
    try:
        body = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the theme cannot be read: {error}", where=str(file)) from None
    mistakes: list[str] = []
    theme = _theme(body, file.parent, mistakes)
    if theme is not None:
        mistakes += unreadable(theme)
    if mistakes or theme is None:
        raise ConfigError("; ".join(mistakes), where=str(file), fix="see docs/kiosk.md, Theme")
    return theme


def unreadable(theme: Theme) -> list[str]:
    """Which of its colours have too little contrast with the background of some screen."""
    worst: dict[str, tuple[float, float, str]] = {}
    for kind in Kind:
        foot = theme.foot(kind)
        behind = {"background": theme.background, "its tint": foot}
        for place, back in behind.items():
            for name, colour, least in (
                ("text", theme.text, TEXT_CONTRAST),
                ("quiet", theme.quiet, QUIET_CONTRAST),
                (TONES[kind].value, theme.accent(kind), SIGN_CONTRAST),
            ):
                found = contrast(colour, back)
                if found < least and found < worst.get(name, (least, 0.0, ""))[0]:
                    worst[name] = (found, least, place)
    return [
        f"colours.{name}: its contrast with {place} is {found:.1f}, at least {least:g} is needed"
        for name, (found, least, place) in worst.items()
    ]


def _theme(body: dict[str, Any], folder: Path, mistakes: list[str]) -> Theme | None:
    colours = body.get("colours")
    given = colours if isinstance(colours, dict) else {}
    mistakes += [f"{key}: there is no such key" for key in body if key not in _KEYS]
    mistakes += [f"colours.{key}: there is no such key" for key in given if key not in COLOURS]
    found: dict[str, Rgb] = {}
    for key in COLOURS:
        match = _COLOUR.fullmatch(str(given.get(key, "")))
        if key not in given:
            mistakes.append(f"colours.{key} is missing")
        elif match is None:
            mistakes.append(f"colours.{key}: {given[key]!r} is no colour such as '#35D6A0'")
        else:
            found[key] = rgb(int(match[1], 16))
    logo = _file(body, "logo", folder, mistakes)
    font = _file(body, "font", folder, mistakes)
    if font is not None:
        try:
            letters_of(font)
        except FontFileError as error:
            mistakes.append(f"font: {error}")
    return None if mistakes else Theme(**found, logo=logo, font=font)


_KEYS = {"logo", "font", "colours"}


def _file(body: dict[str, Any], key: str, folder: Path, mistakes: list[str]) -> Path | None:
    if key not in body:
        return None
    file = folder / str(body[key])
    if not file.is_file():
        mistakes.append(f"{key}: {file} is not there")
    return file
