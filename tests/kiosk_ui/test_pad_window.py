"""The PIN pad in the real Kivy window: what is there can be touched, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.pad_keys import DIGITS, Key
from oneglance.kiosk_ui.palette import ACCENTS
from oneglance.kiosk_ui.screen import Kind

SIZES = [(800, 480), (480, 800), (480, 320)]
# A 7" panel of 800 x 480 has 5.2 pixels a millimetre: 15 mm are more than a finger's tip.
FINGER = 15 * 5.2 / 480

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="Xvfb is not installed (apt install xvfb)"
)


@dataclass(frozen=True)
class Drawn:
    """What the child drew and heard."""

    told: dict[str, Any]
    pictures: dict[str, np.ndarray[Any, Any]]
    size: tuple[int, int]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("pad")
    script = Path(__file__).with_name("draw_pad.py")
    width, height = request.param
    with virtual_display() as environment:
        result = subprocess.run(
            [sys.executable, str(script), str(folder), f"{width}x{height}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    pictures = {file.stem: cv2.imread(str(file)) for file in folder.glob("*.png")}
    return Drawn(json.loads(result.stdout), pictures, request.param)


def test_only_what_is_seen_can_be_touched(drawn: Drawn) -> None:
    shown = {name: set(state["keys"]) for name, state in drawn.told["states"].items()}
    assert (shown.pop("plain"), shown.pop("offered")) == (set(), {Key.OPEN})
    assert len(shown) == 11
    for keys in shown.values():
        assert keys == {*DIGITS, Key.CLOSE, Key.DELETE, Key.SEND}


def test_a_touch_in_the_middle_of_a_key_is_that_key_once(drawn: Drawn) -> None:
    for state in drawn.told["states"].values():
        for key, touched in state["touched"].items():
            assert touched == [key]


def test_between_the_keys_there_is_no_dead_spot_and_no_touch_counts_twice(drawn: Drawn) -> None:
    assert set(drawn.told["grid"]) == {1}


def test_another_button_of_a_mouse_presses_nothing(drawn: Drawn) -> None:
    assert drawn.told["right_click"] == []


def test_a_keyboard_does_the_same(drawn: Drawn) -> None:
    assert drawn.told["typed"] == ["1", "0", Key.DELETE, Key.SEND, Key.CLOSE, None]


def test_keys_are_larger_than_a_finger_and_nothing_overlaps_or_leaves_the_window(
    drawn: Drawn,
) -> None:
    width, height = drawn.size
    for told in drawn.told["states"].values():
        if Key.SEND not in told["keys"]:
            continue
        boxes = [*told["keys"].values(), *told["labels"].values()]
        for x, y, box_width, box_height in boxes:
            assert x >= 0.02 * min(drawn.size)
            assert y >= 0.02 * min(drawn.size)
            assert x + box_width <= width - 0.02 * min(drawn.size) + 0.5
            assert y + box_height <= height - 0.02 * min(drawn.size) + 0.5
        for one, other in combinations(boxes, 2):
            apart_x = one[0] + one[2] <= other[0] + 0.5 or other[0] + other[2] <= one[0] + 0.5
            apart_y = one[1] + one[3] <= other[1] + 0.5 or other[1] + other[3] <= one[1] + 0.5
            assert apart_x or apart_y
        for _, _, key_width, key_height in told["keys"].values():
            assert min(key_width, key_height) >= FINGER * min(drawn.size)


def test_all_that_the_pad_says_is_shown_whole_and_large_enough_for_an_arms_length(
    drawn: Drawn,
) -> None:
    for state in drawn.told["states"].values():
        for part, smallest in (("title", 0.08), ("line", 0.045)):
            text, text_width, text_height, font_px = state["texts"][part]
            _, _, width, height = state["labels"][part]
            assert text_width <= width + 0.5, text
            assert text_height <= height + 0.5, text
            assert font_px >= smallest * min(drawn.size), text


def test_the_button_is_out_of_the_way_of_what_the_screen_says(drawn: Drawn) -> None:
    offered = drawn.told["states"]["offered"]
    x, y, width, height = offered["keys"][Key.OPEN]
    assert min(width, height) >= FINGER * min(drawn.size)
    for label in ("title", "line"):
        _, label_y, _, label_height = offered["labels"][label]
        assert y >= label_y + label_height
    button = np.zeros(drawn.pictures["plain"].shape[:2], bool)
    top = drawn.size[1] - y - height
    button[round(top) - 1 : round(top + height) + 1, round(x) - 1 : round(x + width) + 1] = True
    changed = np.any(drawn.pictures["plain"] != drawn.pictures["offered"], axis=2)
    assert changed[button].mean() > 0.5
    assert not changed[~button].any()


def test_the_key_that_sends_is_lit_only_when_it_sends(drawn: Drawn) -> None:
    green = np.array(ACCENTS[Kind.WELCOME][::-1]) * 255
    x, y, width, height = drawn.told["states"]["full"]["keys"][Key.SEND]
    top = drawn.size[1] - y - height
    lit = {}
    for name in ("empty", "full", "busy"):
        key = drawn.pictures[name][
            round(top) : round(top + height), round(x) : round(x + width)
        ].astype(int)
        lit[name] = (np.abs(key - green).max(axis=2) < 12).mean()
    assert lit["full"] > 0.5
    assert lit["empty"] == lit["busy"] == 0
