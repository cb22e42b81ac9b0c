"""The screen's colours: light on dark, and told apart without seeing hue.

Components are sRGB in 0..1. Every accent is far lighter than the background, and symbol and words
carry the meaning: the colour only confirms it. The pair for yes and no (bluish green, orange)
follows Okabe and Ito's colour-blind safe set (Color Universal Design, 2008).
"""

from __future__ import annotations

from oneglance.kiosk_ui.screen import Kind

Rgb = tuple[float, float, float]


def _rgb(code: int) -> Rgb:
    return ((code >> 16) / 255, (code >> 8 & 0xFF) / 255, (code & 0xFF) / 255)


BACKGROUND = _rgb(0x0A0E14)
TITLE = _rgb(0xF5F8FA)
LINE = _rgb(0xB9C4CF)

_SKY = _rgb(0x6EC6FF)
_GREY = _rgb(0xA9B4BF)
ACCENTS: dict[Kind, Rgb] = {
    Kind.STARTING: _GREY,
    Kind.IDLE: _rgb(0x9FC0DC),
    Kind.LOOK_HERE: _SKY,
    Kind.CHECKING: _SKY,
    Kind.CHALLENGE: _SKY,
    Kind.WELCOME: _rgb(0x35D6A0),
    Kind.NOT_RECOGNISED: _rgb(0xFFAE42),
    Kind.WAIT: _rgb(0xFFAE42),
    Kind.PIN_PAD: _SKY,
    Kind.CAMERA_LOST: _GREY,
    Kind.OFFLINE: _GREY,
}

# How light a key of the PIN pad is, and its sign while it cannot be pressed: shares of TITLE.
KEY_BACK, KEY_DIM = 0.11, 0.35

# How much light glows behind the symbol. None where nothing works.
GLOW: dict[Kind, float] = {
    Kind.STARTING: 0.0,
    Kind.IDLE: 0.12,
    Kind.LOOK_HERE: 0.15,
    Kind.CHECKING: 0.15,
    Kind.CHALLENGE: 0.15,
    Kind.WELCOME: 0.22,
    Kind.NOT_RECOGNISED: 0.18,
    Kind.WAIT: 0.12,
    Kind.PIN_PAD: 0.0,
    Kind.CAMERA_LOST: 0.0,
    Kind.OFFLINE: 0.0,
}


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
