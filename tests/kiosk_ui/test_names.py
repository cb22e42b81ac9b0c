"""Names as they may stand on a screen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.kiosk_ui.names import MAX_NAME_LENGTH, clean_name


@pytest.mark.parametrize(
    ("name", "shown", "why"),
    [
        ("Ada Lovelace", "Ada Lovelace", "a plain name stays"),
        ("Zoë Ångström", "Zoë Ångström", "so do its accents"),
        ("Nguyễn Thị Ánh", "Nguyễn Thị Ánh", "two marks on a letter are a name"),
        ("  Ada \t\n Lovelace\u2003", "Ada Lovelace", "spaces of all kinds become one"),
        ("Ada\x1b[31m", "Ada[31m", "no escape sequences"),
        ("Ada\u202eecalevoL", "AdaecalevoL", "no turning of the writing direction"),
        ("A" + "\u0301" * 50, "Á\u0301\u0301", "no towers of marks"),
        ("[b]Ada[/b]", "[b]Ada[/b]", "markup is only text"),
        ("\x00\u200b", "", "nothing may be left"),
    ],
)
def test_names_are_cleaned(name: str, shown: str, why: str) -> None:
    assert clean_name(name) == shown, why


def test_a_long_name_ends_in_an_ellipsis() -> None:
    shown = clean_name("Ada " * 40)
    assert len(shown) <= MAX_NAME_LENGTH
    assert shown.endswith("…")


@given(st.text(max_size=200))
def test_any_text_becomes_one_short_line_of_visible_characters(text: str) -> None:
    shown = clean_name(text)
    assert len(shown) <= MAX_NAME_LENGTH
    assert shown == shown.strip()
    assert not any(unicodedata.category(c).startswith("C") for c in shown)
    assert not any(unicodedata.category(c).startswith("Z") and c != " " for c in shown)
    assert clean_name(shown) == shown
