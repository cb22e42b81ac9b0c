"""The screen's colours: light on dark, and distinguishable without seeing hue.

Components are sRGB in 0..1. Every accent is far from the background, and symbol and words carry
the meaning: the colour only confirms it. The pair for yes and no (bluish green, orange) follows
Okabe and Ito's colour-blind safe set (Color Universal Design, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from oneglance.kiosk_ui.screen import Kind

Rgb = tuple[float, float, float]


def rgb(code: int) -> Rgb:
    """A colour from its hexadecimal number, e.g. 0x35D6A0."""
    return ((code >> 16) / 255, (code >> 8 & 0xFF) / 255, (code & 0xFF) / 255)


_BACKGROUND = rgb(0x0A0E14)
_TEXT = rgb(0xF5F8FA)
_QUIET = rgb(0xB9C4CF)
_CALM = rgb(0x9FC0DC)
_GUIDE = rgb(0x6EC6FF)
_YES = rgb(0x35D6A0)
_NO = rgb(0xFFAE42)
_OFF = rgb(0xA9B4BF)


class Tone(StrEnum):
    """What a screen's colour confirms."""

    CALM = "calm"
    GUIDE = "guide"
    YES = "yes"
    NO = "no"
    OFF = "off"


TONES: dict[Kind, Tone] = {
    Kind.STARTING: Tone.OFF,
    Kind.IDLE: Tone.CALM,
    Kind.LOOK_HERE: Tone.GUIDE,
    Kind.CHECKING: Tone.GUIDE,
    Kind.CHALLENGE: Tone.GUIDE,
    Kind.WELCOME: Tone.YES,
    Kind.NOT_RECOGNISED: Tone.NO,
    Kind.NOT_SURE: Tone.NO,
    Kind.NOT_NOW: Tone.NO,
    Kind.WAIT: Tone.NO,
    Kind.CLAIM: Tone.GUIDE,
    Kind.PIN_PAD: Tone.GUIDE,
    Kind.DOOR_OPEN: Tone.YES,
    Kind.DOOR_FAULT: Tone.OFF,
    Kind.CAMERA_LOST: Tone.OFF,
    Kind.MAINTENANCE: Tone.OFF,
    Kind.OFFLINE: Tone.OFF,
}
# How strongly its tone tints the background at the foot of a screen.
_TINTS = {Tone.CALM: 0.08, Tone.GUIDE: 0.14, Tone.YES: 0.30, Tone.NO: 0.24, Tone.OFF: 0.05}


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours, and optionally a logo and font of your own. The defaults are oneglance's."""

    background: Rgb = _BACKGROUND
    text: Rgb = _TEXT
    quiet: Rgb = _QUIET
    calm: Rgb = _CALM
    guide: Rgb = _GUIDE
    yes: Rgb = _YES
    no: Rgb = _NO
    off: Rgb = _OFF
    logo: Path | None = None
    font: Path | None = None

    def tone(self, tone: Tone) -> Rgb:
        """The colour of a tone."""
        tones: dict[Tone, Rgb] = {
            Tone.CALM: self.calm,
            Tone.GUIDE: self.guide,
            Tone.YES: self.yes,
            Tone.NO: self.no,
            Tone.OFF: self.off,
        }
        return tones[tone]

    def accent(self, kind: Kind) -> Rgb:
        """The colour of a screen's symbol."""
        return self.tone(TONES[kind])

    def foot(self, kind: Kind) -> Rgb:
        """The background at the foot of a screen, where its texts are; it is plain at the top."""
        tone = TONES[kind]
        return mixed(self.background, self.tone(tone), _TINTS[tone])


DEFAULT = Theme()
BACKGROUND, TITLE, LINE = DEFAULT.background, DEFAULT.text, DEFAULT.quiet
ACCENTS: dict[Kind, Rgb] = {kind: DEFAULT.accent(kind) for kind in Kind}

# How light a key of the PIN pad is, and its sign while it cannot be pressed: shares of TITLE.
KEY_BACK, KEY_DIM = 0.11, 0.35


def mixed(back: Rgb, front: Rgb, share: float) -> Rgb:
    """`share` (0..1) of `front` over `back`."""
    r, g, b = (x + (y - x) * share for x, y in zip(back, front, strict=True))
    return (r, g, b)


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Rgb) -> float:
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
