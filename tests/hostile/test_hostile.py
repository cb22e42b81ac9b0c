"""Hostile input: what fuzzing once found, and some more of its kind, each run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

FOUND = Path(__file__).parent / "found"
# Decoders of films and databases take their time.
SLOW = {"gallery", "video", "manifest"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_input_and_all_that_was_ever_found_raise_nothing_unexpected(name: str) -> None:
    found = sorted((FOUND / name).glob("*")) if (FOUND / name).is_dir() else []
    for data in [*TARGETS[name].seeds(), *(file.read_bytes() for file in found)]:
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_neither_does_one_that_was_changed_somewhere(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=20 if name in SLOW else 100)
    @given(
        seed=st.sampled_from(list(target.seeds())),
        part=st.floats(0, 1),
        gone=st.integers(0, 40),
        new=st.binary(max_size=40),
    )
    def changed(seed: bytes, part: float, gone: int, new: bytes) -> None:
        place = int(part * len(seed))
        target.run(seed[:place] + new + seed[place + gone :])

    changed()


def test_what_was_found_belongs_to_a_target() -> None:
    assert {folder.name for folder in FOUND.iterdir() if folder.is_dir()} <= set(TARGETS)
