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

SIZES = ("800x480", "480x800")


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
            timeout=120,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.mark.parametrize("size", SIZES)
def test_nothing_overlaps_leaves_the_screen_or_is_too_small_to_touch(
    told: dict[str, Any], size: str
) -> None:
    width, height = map(int, size.split("x"))
    for page in ("pin", "name", "people", "consent", "told"):
        tiles = told[f"{size} {page}"]["tiles"]
        for key, x, y, wide, tall in tiles:
            assert min(x, y) >= 0, (page, key)
            assert x + wide <= width + 0.5, (page, key)
            assert y + tall <= height + 0.5, (page, key)
            # A finger on the PIN's keys and all buttons; a letter may be as on a telephone.
            least = 0.08 if page == "name" else 0.13
            assert min(wide, tall) >= least * min(width, height), (page, key)
        for one, other in combinations(tiles, 2):
            apart_x = one[1] + one[3] <= other[1] + 0.5 or other[1] + other[3] <= one[1] + 0.5
            apart_y = one[2] + one[4] <= other[2] + 0.5 or other[2] + other[4] <= one[2] + 0.5
            assert apart_x or apart_y, (page, one[0], other[0])


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_cut_off(told: dict[str, Any], size: str) -> None:
    for page in ("pin", "name", "people", "consent", "told"):
        for text, _, y, wide, tall, _, ink_y, ink_wide, ink_tall, font_px in told[f"{size} {page}"][
            "labels"
        ]:
            assert ink_wide <= wide + 1, (page, text)
            assert ink_y >= y - 1, (page, text)
            assert ink_tall <= tall + 1, (page, text)
            assert font_px >= 9, (page, text)


@pytest.mark.parametrize("size", SIZES)
def test_everybody_of_a_long_list_can_be_reached(told: dict[str, Any], size: str) -> None:
    seen = [key for page in told[f"{size} all"] for key in page]
    assert sorted(seen) == sorted(f"person {i}" for i in range(40))
