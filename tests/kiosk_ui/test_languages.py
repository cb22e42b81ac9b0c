"""The languages of the screen and the fonts that draw them."""

from __future__ import annotations

import gettext
import logging
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from oneglance.config import parse_config
from oneglance.kiosk_ui import fonts
from oneglance.kiosk_ui.fonts import CLOCK_FONT, FontBook, FontFileError, letters_of
from oneglance.kiosk_ui.language import DOMAIN, FOLDER, LANGUAGES, language

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TRANSLATED = [code for code in LANGUAGES if code != "en"]
BOOK = FontBook()
OURS = FontBook(system=False)


@pytest.fixture(scope="module")
def marked() -> set[str]:
    """Every message that the screen's sources mark."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        from kiosk_words import gathered
    finally:
        sys.path.remove(str(SCRIPTS))
    return {str(message.id) for message in gathered() if message.id}


def read(code: str) -> dict[str, str]:
    with (FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=code) if m.id}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_message_is_translated_with_its_placeholders(code: str, marked: set[str]) -> None:
    catalogue = read(code)
    assert set(catalogue) == marked, "run 'make words'"
    for message, text in catalogue.items():
        assert text.strip(), f"{message!r} is not translated: see scripts/kiosk_words.py"
        assert placeholders(text) == placeholders(message), message


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_was_compiled_is_what_was_written(code: str) -> None:
    compiled = gettext.translation(DOMAIN, FOLDER, [code])
    for message, text in read(code).items():
        assert compiled.gettext(message) == text, "run 'make words'"


@pytest.mark.parametrize("code", TRANSLATED)
def test_our_own_fonts_draw_every_letter_of_every_language(code: str) -> None:
    for text in read(code).values():
        assert OURS.lacking(text) == []


def test_no_french_line_begins_with_a_colon() -> None:
    for text in read("fr").values():
        assert not re.search(" [:;?!»]|« ", text), f"{text!r}: a no-break space belongs there"


def test_a_message_is_said_with_its_values_and_braces_in_a_name_are_only_text() -> None:
    german = language("de_AT")
    assert german.say("Welcome, {name}", name="{left}") == "Willkommen, {left}"
    assert german.say("a message of no catalogue", name="x") == "a message of no catalogue"
    assert german.say("") == "", "the empty message is a catalogue's own head"


@pytest.mark.parametrize("code", ["tlh", "german", "../de", ""])
def test_a_language_that_is_not_there_is_one_line_and_english(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    configured = parse_config({"kiosk": {"language": code}}, "kiosk.toml").kiosk.language
    assert language(configured).say("Turn left") == "Turn left"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{code!r} is not there, so the screen speaks English" in record.getMessage()
    assert "de, es, fr, vi, ar, zh" in record.getMessage()


@pytest.mark.parametrize("font", sorted(fonts.FOLDER.glob("*.?tf")), ids=lambda file: file.stem)
def test_a_fonts_letters_are_what_fonttools_reads(font: Path) -> None:
    with TTFont(font) as read_font:
        assert set(letters_of(font)) == set(read_font.getBestCmap())


def test_a_file_that_is_no_font_says_so(tmp_path: Path) -> None:
    for content in (b"", b"OTTO", b"\0\1\0\0\0\1" + bytes(20), b"hello, I am no font at all"):
        file = tmp_path / f"{len(content)}.ttf"
        file.write_bytes(content)
        with pytest.raises(FontFileError, match="not a TrueType or OpenType font"):
            letters_of(file)


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("Zoë", "Latn"),
        ("Nguyễn Thị Ánh Tuyết", "Latn"),
        ("Ελένη", "Grek"),
        ("Володимир", "Cyrl"),
        ("فاطمة", "Arab"),
        ("דוד", "Hebr"),
        ("王小明", "Hani"),
        ("さくら", "Hira"),
        ("김민준", "Hang"),
        ("ส้มโอ", "Thai"),
        ("प्रिया", "Deva"),
        ("অরুণ", "Beng"),
        ("அருண்", "Taml"),
        ("Անահիտ", "Armn"),
        ("ნინო", "Geor"),
    ],
)
def test_a_visitors_name_is_drawn_in_one_run_of_its_script(name: str, script: str) -> None:
    (run,) = BOOK.runs(name, bold=True)
    assert (run.text, run.script) == (name, script)
    assert run.right_to_left == (script in ("Arab", "Hebr"))


def test_a_line_of_two_directions_stands_as_it_is_read() -> None:
    runs = BOOK.runs("أهلًا، Ada Lovelace", right_to_left=True)
    assert [(run.text, run.right_to_left) for run in runs] == [
        ("Ada Lovelace", False),
        ("أهلًا، ", True),
    ]
    runs = BOOK.runs("Welcome, דוד בן")
    assert [(run.text, run.right_to_left) for run in runs] == [
        ("Welcome, ", False),
        ("דוד בן", True),
    ]


def test_a_letter_that_no_font_draws_is_left_out_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        assert "".join(run.text for run in OURS.runs("Ada \U0001f600")) == "Ada "
    (record,) = caplog.records
    assert "none draws U+1F600 (grinning face)" in record.getMessage()


def test_a_font_of_ones_own_comes_first_and_the_others_help_it() -> None:
    runs = FontBook(CLOCK_FONT).runs("12 Uhr")
    assert next((run.text, run.font) for run in runs) == ("12 ", CLOCK_FONT)
    assert "".join(run.text for run in runs) == "12 Uhr"


@given(st.text(max_size=30), st.booleans(), st.booleans())
def test_runs_hold_what_can_be_drawn_once_and_nothing_else(
    text: str, bold: bool, right_to_left: bool
) -> None:
    runs = OURS.runs(text, bold=bold, right_to_left=right_to_left)
    drawn = sorted("".join(run.text for run in runs))
    # Control characters and those that turn the writing have no letters.
    known = [c for c in text if any(ord(c) in letters_of(f) for f in fonts.shipped(bold))]
    plain = [c for c in known if unicodedata.category(c)[0] != "C"]
    assert [c for c in drawn if unicodedata.category(c)[0] != "C"] == sorted(plain)
    for run in runs:
        assert all(ord(c) in letters_of(run.font) for c in run.text)
