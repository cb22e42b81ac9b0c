"""Copies are found by their look, whatever was done to the file, and nothing else is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.training.data.check_copies import exact_copies, near_copies
from oneglance.training.data.check_look import Looked
from oneglance.training.data.perceptual import BITS, close_pairs, dct_hash, groups, look


def scene(seed: int, height: int = 240, width: int = 200) -> NDArray[np.uint8]:
    """A smooth picture of coloured clouds, another for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (9, 8, 3)).astype(np.float32)
    return np.asarray(np.clip(cv2.resize(small, (width, height), None, 0, 0, 2), 0, 255), np.uint8)


def looked(name: str, image: NDArray[np.uint8], sha256: str) -> Looked:
    height, width = image.shape[:2]
    return Looked(name, sha256, "", width, height, dct_hash(image), look(image), 0, 0.0, None)


def recompressed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


CHANGES = {
    "smaller": lambda image: cv2.resize(image, (90, 110), interpolation=cv2.INTER_AREA),
    "recompressed": recompressed,
    "darker": lambda image: np.asarray(image * 0.6, np.uint8),
    "grey": lambda image: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_a_near_copy_of_its_original(change: str) -> None:
    pictures = [scene(seed) for seed in range(12)]
    changed = np.asarray(CHANGES[change](pictures[7]), np.uint8)
    rows = [looked(f"{i}.png", image, str(i)) for i, image in enumerate([*pictures, changed])]
    assert near_copies(rows) == [[7, 12]]
    assert exact_copies(rows) == []


def test_the_same_bytes_are_an_exact_copy_and_not_a_near_one_too() -> None:
    rows = [looked("a", scene(1), "x"), looked("b", scene(2), "y"), looked("c", scene(1), "x")]
    assert exact_copies(rows) == [[0, 2]]
    assert near_copies(rows) == []


def test_unreadable_pictures_are_copies_of_nothing() -> None:
    none = np.zeros(BITS, np.bool_)
    broken = [
        Looked(n, sha, "damaged", 0, 0, none, np.empty(0, np.float32), 0, 0.0, None)
        for n, sha in (("a", ""), ("b", ""), ("c", "z"))
    ]
    assert exact_copies(broken) == []
    assert near_copies(broken) == []


def test_plain_pictures_that_have_nothing_to_compare_are_no_near_copies() -> None:
    grey, white = (np.full((80, 80, 3), level, np.uint8) for level in (90, 255))
    assert near_copies([looked("a", grey, "x"), looked("b", white, "y")]) == []


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(0, 64))
def test_close_pairs_are_those_that_counting_bits_finds(codes: list[int], max_bits: int) -> None:
    hashes = np.array([[code >> bit & 1 for bit in range(BITS)] for code in codes], np.bool_)
    expected = [
        [i, j]
        for i in range(len(codes))
        for j in range(i + 1, len(codes))
        if (codes[i] ^ codes[j]).bit_count() <= max_bits
    ]
    assert sorted(close_pairs(hashes.reshape(-1, BITS), max_bits).tolist()) == expected


def test_close_pairs_are_found_across_the_blocks_in_which_they_are_looked_for() -> None:
    hashes = np.random.default_rng(3).random((1500, BITS)) < 0.5
    hashes[1400] = hashes[10]
    hashes[1499] = hashes[700]
    hashes[1499, :5] ^= True
    assert sorted(close_pairs(hashes, 5).tolist()) == [[10, 1400], [700, 1499]]


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
        )
    )
)
def test_groups_join_whatever_a_chain_of_pairs_joins(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    count, pairs = case
    together = groups(count, np.array(pairs, np.int64).reshape(-1, 2))
    group_of = {item: index for index, group in enumerate(together) for item in group}
    assert len(group_of) == sum(map(len, together))
    assert all(len(group) > 1 and group == sorted(group) for group in together)
    for one, other in pairs:
        assert one == other or group_of[one] == group_of[other]
    # Nobody is in a group with nobody: each has a neighbour of its own group.
    for item in group_of:
        assert any(item in pair and pair[0] != pair[1] for pair in pairs)
