"""Sunglasses and masks are asked off; bare faces are left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from people_on_stage import face_of

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.covered import covered_hint
from oneglance.faces.find.align import CHIP_POINTS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from looks import LOOKS  # the same drawings that the benchmark wears

Chip = NDArray[np.uint8]


@pytest.fixture(scope="module")
def chips(photos: Path) -> list[Chip]:
    """Good photographs of two people."""
    return [face_of(photos / name).chip for name in ("obama.jpg", "biden.jpg")]


def wearing(chip: Chip, look: str, seed: int) -> Chip:
    rng = np.random.default_rng(seed)
    worn = LOOKS[look](np.ascontiguousarray(chip[..., ::-1]), CHIP_POINTS, rng)
    return np.ascontiguousarray(worn[..., ::-1])


@pytest.mark.parametrize(
    ("look", "hint"),
    [
        ("unchanged", Hint.NONE),
        ("thick glasses", Hint.NONE),
        ("beard", Hint.NONE),
        ("grey", Hint.NONE),
        ("sunglasses", Hint.UNCOVER_EYES),
        ("mask", Hint.UNCOVER_MOUTH),
        ("mask below the nose", Hint.UNCOVER_MOUTH),
    ],
)
def test_what_covers_a_face_is_asked_off(chips: list[Chip], look: str, hint: Hint) -> None:
    for seed in range(3):
        assert [covered_hint(wearing(chip, look, seed)) for chip in chips] == [hint, hint]


def test_a_chip_of_one_colour_has_covered_eyes_and_no_error() -> None:
    assert covered_hint(np.full((112, 112, 3), 127, np.uint8)) is Hint.UNCOVER_EYES
    assert covered_hint(np.zeros((112, 112, 3), np.uint8)) is Hint.UNCOVER_EYES
