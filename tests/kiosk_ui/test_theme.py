"""Themes: read from a file, and legible."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from oneglance.config import Config, KioskConfig
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.fonts import CLOCK_FONT
from oneglance.kiosk_ui.palette import DEFAULT, TONES, contrast, mixed
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.stage import theme_of
from oneglance.kiosk_ui.theme_file import (
    QUIET_CONTRAST,
    SIGN_CONTRAST,
    TEXT_CONTRAST,
    load_theme,
    unreadable,
)

OURS = """
[colours]
background = "#0A0E14"
text = "#F5F8FA"
quiet = "#B9C4CF"
calm = "#9FC0DC"
guide = "#6EC6FF"
yes = "#35D6A0"
no = "#FFAE42"
off = "#A9B4BF"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "theme.toml"
    file.write_text(text)
    return file


def test_oneglances_own_colours_meet_wcag_2_2_on_every_screen() -> None:
    assert unreadable(DEFAULT) == []
    for kind in Kind:
        for share in (0.0, 0.4, 1.0):
            back = mixed(DEFAULT.background, DEFAULT.foot(kind), share)
            assert contrast(DEFAULT.text, back) >= TEXT_CONTRAST
            assert contrast(DEFAULT.quiet, back) >= QUIET_CONTRAST
            assert contrast(DEFAULT.accent(kind), back) >= SIGN_CONTRAST
    assert set(TONES) == set(Kind)


def test_no_two_screens_differ_so_much_in_light_that_a_change_is_a_flash() -> None:
    # WCAG 2.2, general flash: a tenth of the largest luminance.
    black = (0.0, 0.0, 0.0)
    luminances = [contrast(DEFAULT.foot(kind), black) * 0.05 - 0.05 for kind in Kind]
    assert max(luminances) - min(luminances) < 0.1


def test_a_theme_is_read_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"a picture, as Kivy will find out")
    (tmp_path / "own.ttf").write_bytes(CLOCK_FONT.read_bytes())
    theme = load_theme(written(tmp_path, 'logo = "logo.png"\nfont = "own.ttf"\n' + OURS))
    assert (theme.logo, theme.font) == (tmp_path / "logo.png", tmp_path / "own.ttf")
    assert load_theme(written(tmp_path, OURS)) == DEFAULT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OURS.replace('yes = "#35D6A0"\n', ""), "colours.yes is missing"),
        (OURS.replace("#35D6A0", "green"), "colours.yes: 'green' is no colour such as '#35D6A0'"),
        (OURS.replace("#F5F8FA", "#555555"), "colours.text: its contrast with "),
        (OURS.replace("#B9C4CF", "#556070"), "at least 4.5 is needed"),
        (OURS.replace("#35D6A0", "#103020"), "colours.yes: its contrast with "),
        (OURS + 'pink = "#FF00FF"\n', "colours.pink: there is no such key"),
        ('fnt = "x"\n' + OURS, "fnt: there is no such key"),
        ('logo = "gone.png"\n' + OURS, "gone.png is not there"),
        ('font = "theme.toml"\n' + OURS, "not a TrueType or OpenType font"),
        ("colours = 3", "colours.background is missing"),
        ("[colours", "the theme cannot be read"),
    ],
)
def test_what_is_wrong_with_a_theme_is_said_and_oneglances_own_serves(
    text: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_theme(file)
    assert said in str(raised.value)
    assert str(file) in str(raised.value)
    with caplog.at_level(logging.WARNING):
        assert theme_of(Config(kiosk=KioskConfig(theme_file=file))) == DEFAULT
    (record,) = caplog.records
    assert said in record.getMessage()
