"""The made lamp lights the side it stands on, and the camera exposes what it sees."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_light import GAMMA, Lamp, relit, shading

from oneglance.faces.find.align import CHIP_POINTS

LEFT_CHEEK, RIGHT_CHEEK = np.s_[72:88, 22:34], np.s_[72:88, 78:90]


@settings(max_examples=10)
@given(st.integers(20, 75), st.integers(-10, 30))
def test_the_cheek_towards_the_lamp_is_the_brighter_one(right_deg: int, up_deg: int) -> None:
    shade = shading(Lamp(right_deg, up_deg, 0.05))
    assert shade.min() >= 0.04
    assert shade.max() <= 1.001
    assert shade[RIGHT_CHEEK].mean() > 2 * shade[LEFT_CHEEK].mean()
    mirrored = shading(Lamp(-right_deg, up_deg, 0.05))[:, ::-1]
    assert np.abs(np.roll(mirrored, 1, axis=1) - shade)[:, 2:-2].mean() < 0.02


def test_the_middle_of_a_lit_face_is_as_bright_as_exposed() -> None:
    chip = np.random.default_rng(0).integers(60, 120, (112, 112, 3), np.uint8)
    lit = relit(chip, CHIP_POINTS, shading(Lamp(0, 0, 0.1)), 0.2)
    linear = (lit[24:104, 24:88] / 255.0) ** GAMMA
    assert abs(linear.mean() - 0.2) < 0.01
    # With the light behind the camera's reach, highlights are clipped.
    bright = relit(chip, CHIP_POINTS, shading(Lamp(70, 0, 0.02)), 0.9)
    assert (bright == 255).mean() > 0.1
