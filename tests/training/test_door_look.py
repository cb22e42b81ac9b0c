"""What a door does to a face: each look stays in its range and does what its name says."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.faces.find import align
from oneglance.training.faces import door_look
from oneglance.training.faces.door_look import CHIP_LOOKS, CROP_LOOKS, Image, Look, looked, worn
from oneglance.training.faces.drawn_faces import draw_face, draw_person

LOOKS: tuple[Look, ...] = (
    door_look.box_jitter,
    door_look.tilt,
    door_look.distance,
    door_look.motion_blur,
    door_look.focus_blur,
    door_look.gamma,
    door_look.light,
    door_look.shadow,
    door_look.noise,
    door_look.jpeg,
    door_look.cover,
    door_look.mirror,
)
NOTHING: tuple[Look, ...] = (
    partial(door_look.box_jitter, size=0.0, shift=0.0),
    partial(door_look.tilt, most_deg=0.0),
    partial(door_look.distance, smallest=1.0),
    partial(door_look.motion_blur, longest_px=0.0),
    partial(door_look.focus_blur, most_px=0.0),
    partial(door_look.gamma, most=1.0),
    partial(door_look.light, contrast=(1.0, 1.0), brightness=0.0),
    partial(door_look.shadow, darkest=1.0),
    partial(door_look.noise, most=0.0),
)
seeds = st.integers(0, 2**32 - 1)


def picture(seed: int, colours: bool = True, edge: int = 40) -> Image:
    """Soft blobs, not noise, which everything would change."""
    shape = (edge, edge, 3) if colours else (edge, edge)
    values = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 3.0), np.uint8)


@given(seed=seeds, which=st.sampled_from(LOOKS), colours=st.booleans())
def test_a_look_keeps_shape_and_kind_and_follows_from_the_random_state(
    seed: int, which: Look, colours: bool
) -> None:
    image = picture(seed, colours)
    before = image.copy()
    first, second = (which(image, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)
    assert not np.shares_memory(first, image)


@given(seed=seeds, which=st.sampled_from(NOTHING), colours=st.booleans())
def test_a_look_of_no_strength_does_nothing(seed: int, which: Look, colours: bool) -> None:
    image = picture(seed, colours)
    assert np.array_equal(which(image, np.random.default_rng(seed)), image)


@pytest.mark.parametrize("which", LOOKS)
def test_every_look_does_something(which: Look) -> None:
    image = picture(7)
    assert any(not np.array_equal(which(image, np.random.default_rng(s)), image) for s in range(5))


@given(seed=seeds, longest=st.floats(0.5, 15))
def test_motion_smears_a_dot_along_a_line_no_longer_than_said(seed: int, longest: float) -> None:
    image = np.zeros((41, 41), np.uint8)
    image[20, 20] = 255
    smeared = door_look.motion_blur(image, np.random.default_rng(seed), longest).astype(float)
    # Rounding to whole grey levels moves a little of the light.
    assert smeared.sum() == pytest.approx(255, abs=0.5 * (smeared > 0).sum() + 1)
    y, x = np.nonzero(smeared)
    assert np.hypot(np.ptp(y), np.ptp(x)) <= longest + 2 * np.sqrt(2)
    assert np.array([y.mean(), x.mean()]) == pytest.approx([20, 20], abs=0.6)


def test_motion_goes_in_all_directions() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[20, 20] = 255
    wider = higher = 0
    for seed in range(40):
        y, x = np.nonzero(door_look.motion_blur(image, np.random.default_rng(seed), 20.0))
        wider += np.ptp(x) > np.ptp(y) + 3
        higher += np.ptp(y) > np.ptp(x) + 3
    assert min(wider, higher) > 5


@given(seed=seeds, most=st.floats(1.0, 4.0))
def test_gamma_keeps_black_white_and_the_order_of_levels(seed: int, most: float) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    curve = door_look.gamma(ramp, np.random.default_rng(seed), most)[0].astype(int)
    assert (curve[0], curve[255]) == (0, 255)
    assert (np.diff(curve) >= 0).all()
    exponent = np.log(curve[128] / 255) / np.log(128 / 255)
    assert 1 / most - 0.02 <= exponent <= most + 0.02


@given(seed=seeds, darkest=st.floats(0.05, 1.0))
def test_a_shadow_darkens_by_no_more_than_said_and_leaves_a_lit_side(
    seed: int, darkest: float
) -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    shaded = door_look.shadow(image, np.random.default_rng(seed), darkest)
    assert shaded.max() <= 200
    assert shaded.min() >= 200 * darkest - 1
    assert shaded.max() == 200
    assert np.abs(np.diff(shaded[..., 0].astype(int), axis=1)).max() <= 200 / (60 * 0.02) + 1


@given(seed=seeds, most=st.floats(0, 20))
def test_noise_is_centred_and_no_stronger_than_said(seed: int, most: float) -> None:
    image = np.full((64, 64), 128, np.uint8)
    off = door_look.noise(image, np.random.default_rng(seed), most).astype(float) - 128
    assert abs(off.mean()) < 0.1 + most * 5 / 64
    assert off.std() <= most * 1.06 + 0.4


@given(seed=seeds)
def test_what_covers_a_face_is_a_rectangle_within_its_bounds(seed: int) -> None:
    image = picture(seed, colours=False, edge=100)
    changed = door_look.cover(image, np.random.default_rng(seed)) != image
    y, x = np.nonzero(changed)
    if len(y):
        assert np.ptp(y) < 25
        assert np.ptp(x) < 80


@given(seed=seeds, most=st.floats(0, 30))
def test_a_tilt_turns_about_the_middle_by_no_more_than_said(seed: int, most: float) -> None:
    image = np.zeros((81, 81), np.uint8)
    image[40, 68:73] = 255
    turned = door_look.tilt(image, np.random.default_rng(seed), most).astype(float)
    rows, columns = np.mgrid[-40:41, -40:41]
    x, y = (turned * columns).sum() / turned.sum(), (turned * rows).sum() / turned.sum()
    assert np.hypot(x, y) == pytest.approx(30, abs=0.7)
    assert abs(np.rad2deg(np.arctan2(y, x))) <= most + 1.0


@given(seed=seeds)
def test_distance_takes_detail_and_leaves_the_light(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (48, 48)).astype(np.uint8)
    far = door_look.distance(image, np.random.default_rng(seed), 0.5)
    assert far.std() <= image.std()
    assert far.mean() == pytest.approx(image.mean(), abs=3)


@pytest.mark.parametrize("looks", [CHIP_LOOKS, CROP_LOOKS])
def test_looks_happen_as_often_as_said(looks: tuple[tuple[float, Look], ...]) -> None:
    seen = np.zeros(len(looks))

    def noting(place: int) -> Look:
        def note(image: Image, generator: np.random.Generator) -> Image:
            seen[place] += 1
            return image

        return note

    noted = tuple((chance, noting(place)) for place, (chance, _) in enumerate(looks))
    generator = np.random.default_rng(1)
    for _ in range(1000):
        looked(picture(1, edge=8), generator, noted)
    assert seen / 1000 == pytest.approx([chance for chance, _ in looks], abs=0.06)


def test_a_worn_chip_is_still_the_same_picture() -> None:
    drawn, points, _ = draw_face(draw_person(1, 2), np.random.default_rng(0))
    chip = align.chip_from_points(drawn, points)
    alike = []
    for seed in range(40):
        seen = worn(chip, np.random.default_rng(seed)).astype(float)
        both = [np.corrcoef(seen.ravel(), one.ravel())[0, 1] for one in (chip, chip[:, ::-1])]
        alike.append(max(both))
    assert np.median(alike) > 0.8
