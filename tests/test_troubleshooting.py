"""docs/troubleshooting.md speaks in the program's own words."""

from __future__ import annotations

import re
from pathlib import Path

from oneglance.contract.reasons import find

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ROOMS = ("oneglance", "contract", "door", "cli", "daemon")


def first_cells(section: str) -> list[str]:
    """What the rows of that section's table are about."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")][1:]


def test_each_line_of_a_log_is_one_that_is_logged() -> None:
    texts = (file.read_text() for room in ROOMS for file in (ROOT / room).glob("**/*.py"))
    # A message may be written as several pieces.
    code = re.sub(r'"\s+f?"', "", " ".join(" ".join(texts).split())).replace("%r", "{}")
    said = [
        words
        for section in ("The broker", "The lock", "Home Assistant")
        for cell in first_cells(section)
        for words in re.findall(r'"([^"]+)"', re.sub("'[a-z_]+'", "{}", cell))
    ]
    assert len(said) > 8
    assert [words for words in said if words not in code] == []


def test_each_reason_is_one_that_is_given() -> None:
    wire = (ROOT / "docs/wire.md").read_text(encoding="utf-8")
    cells = " ".join(first_cells("One person is not let in") + first_cells("The camera"))
    words = set(re.findall(r"`([a-z]+_[a-z]+)`", cells))
    assert len(words) > 6
    assert [word for word in words if find(word) is None and f"| `{word}` |" not in wire] == []


def test_the_screens_words_are_its_own() -> None:
    words = (ROOT / "kiosk_ui/reducer.py").read_text() + "".join(
        file.read_text() for file in (ROOT / "kiosk_ui").glob("*words*.py")
    )
    for text in re.findall(r"\*([A-Z][a-z ]+)\*", PAGE):
        assert text in words
