"""Names as they may appear on a screen: no control characters, no tricks, not too long."""

from __future__ import annotations

import unicodedata

MAX_NAME_LENGTH = 40
# Vietnamese and Hebrew need two marks on a letter; a tower of them would cover the screen.
MAX_MARKS = 2


def clean_name(name: str) -> str:
    """The name in one line of at most MAX_NAME_LENGTH characters; may come out empty.

    Control, format (including bidirectional overrides), surrogate and private-use characters are
    removed, every kind of space becomes one blank, marks beyond MAX_MARKS on a letter are removed,
    and a long name ends in an ellipsis. Cleaning twice changes nothing.
    """
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", name):
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if category.startswith("Z") or character in "\t\n\v\f\r":
            kept.append(" ")
        elif not category.startswith("C") and marks <= MAX_MARKS:
            kept.append(character)
    # What was removed may have separated letters from their marks, so compose again.
    text = unicodedata.normalize("NFC", " ".join("".join(kept).split()))
    if len(text) > MAX_NAME_LENGTH:
        text = text[: MAX_NAME_LENGTH - 1].rstrip() + "…"
    return text
