from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.contract.messages import Hint
from oneglance.daemon.quality import MAX_BRIGHTNESS, MIN_BRIGHTNESS, distance_hint, picture_hint
from oneglance.faces.boxes import Box


@pytest.mark.parametrize(
    ("side", "hint"),
    [(79, Hint.COME_CLOSER), (80, Hint.NONE), (400, Hint.NONE), (409, Hint.STEP_BACK)],
)
def test_distance_is_judged_by_the_size_of_the_face(side: float, hint: Hint) -> None:
    assert distance_hint(Box(0, 0, side, side), 480, 80) is hint


@pytest.mark.parametrize(
    ("sharpness", "brightness", "hint", "remark"),
    [
        (200.0, 120.0, Hint.NONE, "a good picture"),
        (5.0, 120.0, Hint.HOLD_STILL, "blurred"),
        (200.0, 10.0, Hint.MORE_LIGHT, "dark"),
        (200.0, 250.0, Hint.MORE_LIGHT, "washed out"),
        (float("nan"), 120.0, Hint.HOLD_STILL, "no number"),
        (200.0, float("nan"), Hint.MORE_LIGHT, "no number"),
    ],
)
def test_a_picture_is_judged_by_light_and_sharpness(
    sharpness: float, brightness: float, hint: Hint, remark: str
) -> None:
    assert picture_hint(sharpness, brightness) is hint, remark


@settings(deadline=None)
@given(st.floats(), st.floats())
def test_only_a_sharp_and_well_lit_picture_is_usable(sharpness: float, brightness: float) -> None:
    if picture_hint(sharpness, brightness) is Hint.NONE:
        assert sharpness > 0
        assert MIN_BRIGHTNESS <= brightness <= MAX_BRIGHTNESS
