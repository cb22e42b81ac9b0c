"""Omniglot's drawings: what is read, how it is split, drawn and distorted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from drawn_alphabets import png, write_omniglot
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ConfigError, ImageError
from oneglance.training.drawings.compact_training import CharacterPairs, posed
from oneglance.training.drawings.koch_training import draw_pairs
from oneglance.training.drawings.omniglot import (
    Drawings,
    distort,
    draw_runs,
    read_background,
)
from oneglance.training.drawings.threshold import best_threshold
from oneglance.training.engine.progress import silent
from oneglance.training.recipes.drawing_recipes import DistortionSection

STILL = DistortionSection(
    chance=1.0, turn_deg=0.0, shear=0.0, scale_low=1.0, scale_high=1.0, shift_px=0.0
)
LIVELY = DistortionSection(
    chance=0.5, turn_deg=10.0, shear=0.3, scale_low=0.8, scale_high=1.2, shift_px=2.0
)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    path = write_omniglot(tmp_path_factory.mktemp("omniglot") / "omniglot.zip")
    return read_background(path, silent)


def test_only_the_background_alphabets_are_read(drawings: Drawings) -> None:
    assert drawings.names == ("Script_0", "Script_1", "Script_2")
    assert len(drawings.images) == 3 * 6 * 4
    assert len(np.unique(drawings.characters)) == 18
    assert sorted(set(drawings.drawers.tolist())) == [1, 2, 3, 4]


def test_a_character_number_stands_for_one_character_of_one_alphabet(drawings: Drawings) -> None:
    for character in np.unique(drawings.characters):
        rows = drawings.characters == character
        assert len(set(drawings.alphabets[rows].tolist())) == 1
        assert rows.sum() == 4


def test_an_unpacked_folder_reads_like_the_zip(tmp_path: Path, drawings: Drawings) -> None:
    path = write_omniglot(tmp_path / "omniglot.zip")
    with zipfile.ZipFile(path) as file:
        file.extractall(tmp_path / "unpacked")
    unpacked = read_background(tmp_path / "unpacked", silent)
    assert np.array_equal(unpacked.images, drawings.images)
    assert np.array_equal(unpacked.characters, drawings.characters)


def test_held_out_alphabets_share_nothing_with_the_rest(drawings: Drawings) -> None:
    held_out = drawings.of_alphabets(["Script_1"])
    learn, check = drawings.rows(~held_out), drawings.rows(held_out)
    assert set(check.alphabets.tolist()) == {1}
    assert not set(learn.characters.tolist()) & set(check.characters.tolist())


def test_an_unknown_alphabet_is_named_with_those_that_are_there(drawings: Drawings) -> None:
    with pytest.raises(ConfigError, match=r"Scripd_1.*Script_0, Script_1"):
        drawings.of_alphabets(["Scripd_1"])


def test_a_zip_without_background_is_refused(tmp_path: Path) -> None:
    path = write_omniglot(tmp_path / "half.zip", background=0)
    with pytest.raises(ConfigError, match="images_background"):
        read_background(path, silent)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable picture"),
        (b"no picture", "not a readable picture"),
        (png(np.zeros((28, 28), np.uint8)), "28x28, expected 105x105"),
    ],
)
def test_a_drawing_that_is_none_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    place = tmp_path / "images_background" / "Script" / "character01" / "0001_01.png"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_background(tmp_path, silent)
    assert "0001_01.png" in str(caught.value)


def test_a_run_asks_for_each_character_once_and_by_another_drawer(drawings: Drawings) -> None:
    runs = draw_runs(drawings, 5, 4, seed=1)
    assert [run.name for run in runs] == [
        "Script_0",
        "Script_1",
        "Script_2",
        "Script_0",
        "Script_1",
    ]
    where = {image.tobytes(): row for row, image in enumerate(drawings.images)}
    for run in runs:
        probes = [where[image.tobytes()] for image in run.probes]
        gallery = [where[image.tobytes()] for image in run.gallery]
        assert len(set(drawings.characters[probes].tolist())) == 4
        assert np.array_equal(
            drawings.characters[probes], drawings.characters[gallery][run.answers]
        )
        drawers = [set(drawings.drawers[rows].tolist()) for rows in (probes, gallery)]
        assert len(drawers[0]) == len(drawers[1]) == 1
        assert drawers[0] != drawers[1]


def test_no_distortion_leaves_a_drawing_as_it_is(drawings: Drawings) -> None:
    same = distort(drawings.images[0], STILL, np.random.default_rng(0))
    assert np.array_equal(same, drawings.images[0])


@given(st.integers(0, 2**32 - 1))
def test_a_distorted_drawing_keeps_paper_around_and_ink_within(seed: int) -> None:
    drawing = np.full((105, 105), 255, np.uint8)
    drawing[45:60, 45:60] = 0
    moved = distort(drawing, LIVELY, np.random.default_rng(seed))
    assert moved.shape == drawing.shape
    assert np.all(moved[0] == 255)
    assert np.all(moved[:, -1] == 255)
    # Area changes by the scales and the shear, at most 1.2 * 1.2 + 0.3 * 0.3, at least 0.55.
    assert 0.5 < (255 - moved.astype(float)).sum() / (255 * 225) < 1.6


@given(st.integers(0, 2**32 - 1))
def test_a_batch_has_each_character_once_each_by_two_hands(seed: int) -> None:
    characters = np.repeat(np.arange(12), 3)
    drawings = Drawings(
        images=np.zeros((36, 105, 105), np.uint8),
        alphabets=characters // 4,
        characters=characters,
        drawers=np.tile([1, 2, 3], 12),
        names=("a", "b", "c"),
    )
    rows, poses = CharacterPairs(drawings).draw(8, 3, np.random.default_rng(seed))
    assert rows.shape == (8, 2)
    assert np.all(characters[rows[:, 0]] == characters[rows[:, 1]])
    assert np.all(rows[:, 0] != rows[:, 1])
    assert len(set(characters[rows[:, 0]].tolist())) == 8
    # 3 + 3 + 2: neighbours of one alphabet are in one pose, so that they are distractors.
    for part in (slice(0, 3), slice(3, 6), slice(6, 8)):
        assert len(set((characters[rows[part, 0]] // 4).tolist())) == 1
        assert len(set(poses[part].tolist())) == 1


def test_a_batch_larger_than_all_alphabets_is_refused(drawings: Drawings) -> None:
    batches = CharacterPairs(drawings)
    assert len(batches.draw(9, 3, np.random.default_rng(0))[0]) == 9
    with pytest.raises(ConfigError, match="10 pairs needs more characters"):
        batches.draw(10, 3, np.random.default_rng(0))


def test_the_eight_poses_of_a_drawing_are_all_different(drawings: Drawings) -> None:
    poses = {posed(drawings.images[0], pose).tobytes() for pose in range(8)}
    assert len(poses) == 8
    assert posed(drawings.images[0], 0).tobytes() == drawings.images[0].tobytes()


def test_half_of_the_pairs_are_the_same_and_none_crosses_alphabets(drawings: Drawings) -> None:
    rows, same = draw_pairs(drawings, 200, np.random.default_rng(3))
    alike = drawings.characters[rows[:, 0]] == drawings.characters[rows[:, 1]]
    assert np.array_equal(alike, same > 0)
    assert same.sum() == 100
    assert np.all(drawings.alphabets[rows[:, 0]] == drawings.alphabets[rows[:, 1]])
    assert np.all(rows[:, 0] != rows[:, 1])


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_decides_more_pairs_rightly_than_the_best(
    pairs: list[tuple[int, bool]],
) -> None:
    scores = np.array([score for score, _ in pairs], np.float64)
    same = np.array([alike for _, alike in pairs])
    threshold, accuracy = best_threshold(scores, same)
    assert np.isfinite(threshold)
    assert ((scores >= threshold) == same).mean() == accuracy
    others = np.arange(-6, 7) + 0.5
    assert accuracy >= max(((scores >= other) == same).mean() for other in others)
