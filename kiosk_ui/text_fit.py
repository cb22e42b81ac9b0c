"""Text as large as its box allows, broken into lines of even length. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, pairwise

MAX_LINES = 3
# Breaking a text must make it clearly larger, as one line is read faster than two.
BREAK_GAIN = 1.15
# Where no spaces separate words, a line may end after any letter, but none begins with closing
# punctuation.
_CLOSING = {"Pe", "Pf", "Po", "Pd"}
# Where whoever reads pauses anyway. Full-width ones count as what they stand for.
_PAUSES = set(",;:.!?،؛؟、。")


@dataclass(frozen=True, slots=True)
class Fit:
    """The text with its line breaks, and the largest font size, in whole pixels, that fits."""

    text: str
    font_px: int


def fit(
    text: str,
    width_em: Callable[[str], float],
    line_height_em: float,
    box_px: tuple[float, float],
    max_font_px: float,
) -> Fit:
    """Lay out `text` in a box of (width, height) pixels.

    `width_em` measures one line and `line_height_em` one line's height, both for a font of one
    pixel. Words are never broken, but Chinese and Japanese may be after any letter. Lines end at a
    comma or the like where that costs no size.
    """
    words = _words(text)
    best = Fit(text, 1)
    for lines in range(1, min(MAX_LINES, max(1, len(words))) + 1):
        most_px = min(max_font_px, box_px[1] / (lines * line_height_em))
        broken, widest_em = _balanced(words, lines, width_em, box_px[0] / max(most_px, 1e-6))
        font_px = min(most_px, box_px[0] / max(widest_em, 1e-6))
        if lines == 1 or font_px >= BREAK_GAIN * best.font_px:
            best = Fit(broken, max(1, math.floor(font_px)))
    return best


def _words(text: str) -> list[str]:
    """The parts that stay together, each with the blank after it, if any."""
    words: list[str] = []
    # No line ends at a no-break space, which French has before a colon.
    for i, word in enumerate(re.split(r"[ \t\n]+", text.strip())):
        if i:
            words[-1] += " "
        part = ""
        for letter in word:
            breaks = part and (_is_wide(letter) or _is_wide(part[-1]))
            if breaks and unicodedata.category(letter) not in _CLOSING:
                words.append(part)
                part = ""
            part += letter
        words.append(part)
    return words


def _is_wide(letter: str) -> bool:
    # Korean is wide too, but has spaces.
    return unicodedata.east_asian_width(letter) in "WF" and not "가" <= letter <= "힣"


def _balanced(
    words: list[str], lines: int, width_em: Callable[[str], float], room_em: float
) -> tuple[str, float]:
    """The words in `lines` lines whose widest is as narrow as possible, and its width.

    Of those that are no wider than `room_em`, or equally wide, those with most pauses at line ends.
    """
    candidates = []
    for breaks in combinations(range(1, len(words)), lines - 1):
        edges = (0, *breaks, len(words))
        rows = ["".join(words[a:b]).rstrip() for a, b in pairwise(edges)]
        widest_em = max(width_em(row) for row in rows)
        pauses = sum(_pauses_at_end(row) for row in rows[:-1])
        candidates.append((max(widest_em, room_em), -pauses, widest_em, "\n".join(rows)))
    *_, widest_em, broken = min(candidates)
    return broken, widest_em


def _pauses_at_end(row: str) -> bool:
    return unicodedata.normalize("NFKC", row)[-1:] in _PAUSES
