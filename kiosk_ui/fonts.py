"""Which font draws which letter. Pure, except for reading the fonts' tables of letters.

SDL draws a text in a single font. So each text is divided here into runs of one font, script and
direction, in the order in which they stand on the screen. HarfBuzz, inside SDL_ttf, shapes the
letters; python-bidi's bidirectional algorithm (Unicode UAX 9) orders them.
"""

from __future__ import annotations

import logging
import struct
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

from bidi.algorithm import (
    explicit_embed_and_overrides,
    get_embedding_levels,
    get_empty_storage,
    resolve_implicit_levels,
    resolve_neutral_types,
    resolve_weak_types,
)

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("fonts")
CLOCK_FONT = FOLDER / "NotoSans-Light.ttf"
_REGULAR = ("NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf")
_BOLD = ("NotoSans-SemiBold.ttf", "NotoSansArabic-SemiBold.ttf")
_OTHERS = (
    "NotoSansCJK-Regular.otf",
    "NotoSansHebrew-Medium.ttf",
    "NotoSansThai-Medium.ttf",
    "NotoSansDevanagari-Medium.ttf",
    "NotoSansBengali-Medium.ttf",
    "NotoSansTamil-Medium.ttf",
    "NotoSansArmenian-Medium.ttf",
    "NotoSansGeorgian-Medium.ttf",
)
# What Debian's fonts-noto-core and fonts-noto-cjk add if they are installed.
_SYSTEM = Path("/usr/share/fonts")
_SYSTEM_NAMES = ("NotoSansCJK-Regular.ttc", "NotoSans*-Regular.ttf", "NotoEmoji*.ttf")
# The scripts that HarfBuzz shapes differently from Latin, by the names of their Unicode letters.
_SCRIPTS = {
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "THAI": "Thai",
    "DEVANAGARI": "Deva",
    "BENGALI": "Beng",
    "TAMIL": "Taml",
    "ARMENIAN": "Armn",
    "GEORGIAN": "Geor",
    "CJK": "Hani",
    "HIRAGANA": "Hira",
    "KATAKANA": "Kana",
    "HANGUL": "Hang",
    "GREEK": "Grek",
    "CYRILLIC": "Cyrl",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Part of a line that one font draws; its letters are in reading order."""

    text: str
    font: Path
    script: str
    right_to_left: bool


@dataclass(frozen=True, slots=True)
class FontBook:
    """The fonts that are tried for a letter, in order: the theme's own first, then Noto's.

    With `system` those of this machine come last.
    """

    own: Path | None = None
    system: bool = True

    def runs(self, line: str, *, bold: bool = False, right_to_left: bool = False) -> list[Run]:
        """`line` as runs from left to right on the screen; letters that no font has are dropped.

        `right_to_left` says how the line as a whole is read.
        """
        return list(_runs(self, line, bold, right_to_left))

    def draws(self, text: str) -> bool:
        """Whether anything of `text` can be drawn."""
        return any(run.text.strip() for run in self.runs(text))

    def lacking(self, text: str) -> list[str]:
        """The letters of `text` that no font here draws."""
        return [c for c in text if not c.isspace() and self.font_of(c, bold=False) is None]

    def font_of(self, letter: str, *, bold: bool) -> Path | None:
        """The first font that draws `letter`; None if none does."""
        code = ord(letter)
        own: tuple[Path, ...] = () if self.own is None else (self.own,)
        for fonts in (own, shipped(bold), _installed() if self.system else ()):
            for font in fonts:
                if code in letters_of(font):
                    return font
        _tell_of(letter)
        return None


# Fitting a text into a box measures its lines many times.
@lru_cache(maxsize=8192)
def _runs(book: FontBook, line: str, bold: bool, right_to_left: bool) -> tuple[Run, ...]:
    letters = _levels(line, right_to_left)
    fonts = [book.font_of(letter, bold=bold) for letter, _ in letters]
    _inherit(letters, fonts)
    found = [
        (letter, level, font)
        for (letter, level), font in zip(letters, fonts, strict=True)
        if font is not None
    ]
    scripts = _scripts([letter for letter, _, _ in found])
    pieces = [
        (letter, level, font, script)
        for (letter, level, font), script in zip(found, scripts, strict=True)
    ]
    runs = [
        (level, Run("".join(p[0] for p in group), font, script, level % 2 == 1))
        for (level, font, script), group in _grouped(pieces)
    ]
    return tuple(_in_order(runs))


def forget() -> None:
    """Forget every line divided so far: one of them may have been a name."""
    _runs.cache_clear()


@cache
def shipped(bold: bool) -> tuple[Path, ...]:
    """The fonts that come with oneglance, in the order in which they are tried."""
    return tuple(FOLDER / name for name in (*(_BOLD if bold else _REGULAR), *_OTHERS))


@cache
def _installed() -> tuple[Path, ...]:
    return tuple(file for name in _SYSTEM_NAMES for file in sorted(_SYSTEM.rglob(name)))


@cache
def _tell_of(letter: str) -> None:
    name = unicodedata.name(letter, "a letter without a name")
    log.warning(
        "fonts: none draws U+%04X (%s), so it is left out; apt install fonts-noto-core adds more",
        ord(letter),
        name.lower(),
    )


def _levels(line: str, right_to_left: bool) -> list[tuple[str, int]]:
    """Each letter with its level: even levels are read to the right, odd ones to the left.

    Controls, direction marks and unassigned code points are left out.
    """
    line = "".join(c for c in line if unicodedata.category(c)[0] != "C")
    if not right_to_left and not any(
        unicodedata.bidirectional(c) in ("R", "AL", "AN", "RLE", "RLO") for c in line
    ):
        return [(letter, 0) for letter in line]
    storage = get_empty_storage()
    storage["base_level"] = int(right_to_left)
    storage["base_dir"] = "R" if right_to_left else "L"
    get_embedding_levels(line, storage)
    explicit_embed_and_overrides(storage)
    resolve_weak_types(storage)
    resolve_neutral_types(storage, False)
    resolve_implicit_levels(storage, False)
    return [(char["ch"], char["level"]) for char in storage["chars"]]


def _inherit(letters: list[tuple[str, int]], fonts: list[Path | None]) -> None:
    """Spaces and marks take the font of what precedes them: HarfBuzz puts them together."""
    for i in range(1, len(letters)):
        letter, before = letters[i][0], fonts[i - 1]
        joins = letter.isspace() or unicodedata.category(letter).startswith("M")
        if joins and before is not None and ord(letter) in letters_of(before):
            fonts[i] = before


def _scripts(letters: list[str]) -> list[str]:
    """The script of each letter; what has none (a digit, a space) takes its neighbour's."""
    scripts: list[str] = []
    for letter in letters:
        before = scripts[-1] if scripts else ""
        scripts.append(_script(letter) or before)
    first = next((script for script in scripts if script), "Latn")
    return [script or first for script in scripts]


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    if not unicodedata.category(letter).startswith("L"):
        return ""
    return _SCRIPTS.get(unicodedata.name(letter, "").partition(" ")[0], "Latn")


_Piece = tuple[str, int, Path, str]


def _grouped(pieces: list[_Piece]) -> Iterable[tuple[tuple[int, Path, str], list[_Piece]]]:
    for key, group in groupby(pieces, key=lambda piece: piece[1:]):
        yield key, list(group)


def _in_order(runs: list[tuple[int, Run]]) -> list[Run]:
    """From reading order to the order on the screen (UAX 9, rule L2)."""
    ordered = list(runs)
    highest = max((level for level, _ in ordered), default=0)
    for least in range(highest, 0, -1):
        start = 0
        while start < len(ordered):
            end = start
            while end < len(ordered) and ordered[end][0] >= least:
                end += 1
            ordered[start:end] = ordered[start:end][::-1]
            start = max(end, start) + 1
    return [run for _, run in ordered]


class FontFileError(ValueError):
    """The file is not a font whose letters can be read."""


@cache
def letters_of(font: Path) -> frozenset[int]:
    """The code points that a TrueType or OpenType file draws; FontFileError if it is neither."""
    try:
        return frozenset(_read_letters(font.read_bytes()))
    except (struct.error, IndexError, KeyError) as error:
        raise FontFileError(f"{font}: not a TrueType or OpenType font") from error


def _read_letters(data: bytes) -> set[int]:
    begin = struct.unpack_from(">I", data, 12)[0] if data[:4] == b"ttcf" else 0
    if data[begin : begin + 4] not in (b"\0\1\0\0", b"OTTO", b"true"):
        raise KeyError("no font")
    (tables,) = struct.unpack_from(">H", data, begin + 4)
    places = {}
    for i in range(tables):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, begin + 12 + 16 * i)
        places[tag] = offset
    cmap = places[b"cmap"]
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    letters: set[int] = set()
    for i in range(count):
        _, _, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * i)
        (form,) = struct.unpack_from(">H", data, cmap + offset)
        if form == 4:
            letters |= _format_4(data, cmap + offset)
        elif form == 12:
            (groups,) = struct.unpack_from(">I", data, cmap + offset + 12)
            for j in range(groups):
                first, last, _ = struct.unpack_from(">III", data, cmap + offset + 16 + 12 * j)
                letters.update(range(first, last + 1))
    return letters


def _format_4(data: bytes, at: int) -> set[int]:
    (twice,) = struct.unpack_from(">H", data, at + 6)
    ends = struct.unpack_from(f">{twice // 2}H", data, at + 14)
    starts = struct.unpack_from(f">{twice // 2}H", data, at + 16 + twice)
    found: set[int] = set()
    for start, end in zip(starts, ends, strict=True):
        found.update(range(start, end + 1))
    return found - {0xFFFF}
