"""The administration's pages as they are drawn: nothing cut off, nothing too small for a finger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.language import LANGUAGES

SIZES = ("800x480", "1280x800", "720x1280")
# As a share of the shorter side: 2 mm on the 7" panel, where the longest names stand.
LEAST_TEXT = 0.027


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt install xvfb)")
    script = Path(__file__).with_name("draw_admin.py")
    with virtual_display() as environment:
        result = subprocess.run(
            [sys.executable, str(script), *SIZES],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def pages(told: dict[str, Any], size: str, code: str) -> dict[str, Any]:
    """Every page of a size in a language, by its name."""
    begins = f"{size} {code} "
    return {at.removeprefix(begins): page for at, page in told.items() if at.startswith(begins)}


@pytest.mark.parametrize("size", SIZES)
def test_nothing_overlaps_leaves_the_screen_or_is_too_small_to_touch(
    told: dict[str, Any], size: str
) -> None:
    width, height = map(int, size.split("x"))
    for code in ("en", "ar"):
        found = pages(told, size, code)
        assert len(found) > 20
        for name, page in found.items():
            tiles = page["tiles"]
            for key, x, y, wide, tall in tiles:
                assert min(x, y) >= 0, (name, key)
                assert x + wide <= width + 0.5, (name, key)
                assert y + tall <= height + 0.5, (name, key)
                # A finger on the PIN's keys and all buttons; a letter may be as on a telephone.
                least = 0.07 if name in ("search", "name", "rename") else 0.13
                if key in ("", "more"):
                    # A line that only tells, and what turns over a list of them: 10 mm at 7".
                    least = 0.11
                assert min(wide, tall) >= least * min(width, height), (name, key)
            for one, other in combinations(tiles, 2):
                apart_x = one[1] + one[3] <= other[1] + 0.5 or other[1] + other[3] <= one[1] + 0.5
                apart_y = one[2] + one[4] <= other[2] + 0.5 or other[2] + other[4] <= one[2] + 0.5
                assert apart_x or apart_y, (name, one[0], other[0])


def test_a_page_leaves_nothing_behind_on_the_next(told: dict[str, Any]) -> None:
    assert told["leaves nothing behind"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_is_cut_off(told: dict[str, Any], size: str, code: str) -> None:
    least_px = LEAST_TEXT * min(map(int, size.split("x")))
    for name, page in pages(told, size, code).items():
        drawn = [" ".join(label[0].split()) for label in page["labels"]]
        for said in page["said"]:
            assert not said or any(_same(said, text) for text in drawn), (name, said)
        for text, x, y, wide, tall, ink_x, ink_y, ink_wide, ink_tall, font_px in page["labels"]:
            assert ink_x >= x - 1, (name, text)
            assert ink_wide <= wide + 1, (name, text)
            assert ink_y >= y - 1, (name, text)
            assert ink_tall <= tall + 1, (name, text)
            assert font_px >= least_px, (name, text)


def _same(said: str, drawn: str) -> bool:
    # Chinese may be broken after any letter.
    return "".join(said.split()) == "".join(drawn.split())


@pytest.mark.parametrize("size", SIZES)
def test_a_page_that_only_says_something_bears_a_sign_above_its_words(
    told: dict[str, Any], size: str
) -> None:
    signed = {name: page for name, page in pages(told, size, "en").items() if page["sign"]}
    assert {"pin-wait", "delete", "deleted", "unanswered", "lock-well"} <= set(signed)
    for name, page in signed.items():
        x, y, wide, tall = page["sign"]
        title, *below = (label for label in page["labels"] if label[0].split() != ["Back"])
        assert y >= title[6] + title[8] - 1, name
        assert y + tall <= int(size.partition("x")[2]), name
        assert abs(x + wide / 2 - (title[5] + title[7] / 2)) <= 2, name
        assert tall >= 0.15 * min(map(int, size.split("x"))), name
        # The words end above the buttons.
        highest = max(top + height for _, _, top, _, height in page["tiles"])
        said = [label for label in below if label[0].replace("\n", " ") in page["said"]]
        assert all(label[6] >= highest for label in said), name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_lines_of_one_list_are_equally_large(told: dict[str, Any], size: str, code: str) -> None:
    for name in ("consent", "photo-consent", "languages", "brightness", "lock"):
        page = pages(told, size, code)[name]
        # The buttons come first, and have a size of their own.
        lines = page["even"][len(page["buttons"]) :]
        assert len(lines) >= 2, name
        assert max(lines) <= min(lines) + 1, name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_buttons_beside_each_other_are_written_alike(
    told: dict[str, Any], size: str, code: str
) -> None:
    for name, page in pages(told, size, code).items():
        buttons = page["buttons"]
        assert not buttons or max(buttons) <= min(buttons) + 1, (name, buttons)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_choices_beside_each_other_are_written_alike(
    told: dict[str, Any], size: str, code: str
) -> None:
    for name in ("menu", "person", "enrol", "screen"):
        page = pages(told, size, code)[name]
        for fonts in (page["titles"], page["prints"]):
            assert len(fonts) > 1, name
            assert max(fonts) <= min(fonts) + 1, (name, fonts)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_small_print_is_no_larger_than_what_it_explains(
    told: dict[str, Any], size: str, code: str
) -> None:
    for name, page in pages(told, size, code).items():
        for title, small in zip(page["titles"], page["prints"], strict=True):
            assert small <= title + 1, (name, title, small)


@pytest.mark.parametrize("size", SIZES)
def test_everybody_of_a_long_list_can_be_reached(told: dict[str, Any], size: str) -> None:
    seen = [key for page in told[f"{size} all"] for key in page]
    assert sorted(seen) == sorted(f"person maximiliane-{i}" for i in range(40))
