"""A split puts nobody on two sides, whatever the data looks like, and fits its own data only."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.pictures import Pictures
from oneglance.training.data.identities import identities
from oneglance.training.data.split_data import make_split
from oneglance.training.data.splits import (
    SIDES,
    Split,
    load_split,
    parse_fractions,
    save_split,
    split_people,
)

THIRDS = (0.4, 0.3, 0.3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve people with two pictures each, all different."""
    rng = np.random.default_rng(1)
    for person in range(12):
        folder = tmp_path / "data" / f"p{person:02d}"
        folder.mkdir(parents=True)
        for number in range(2):
            clouds = cv2.resize(rng.uniform(0, 255, (9, 8, 3)).astype(np.float32), (120, 140))
            cv2.imwrite(str(folder / f"{number}.png"), clouds)
    return tmp_path / "data"


def split_of(data: Path, seed: int = 1, checked: Path | None = None) -> Split:
    pictures = Pictures(data)
    return make_split(pictures, identities(pictures), THIRDS, seed, checked, lambda *_: None)


def load(path: Path, data: Path) -> Split:
    pictures = Pictures(data)
    return load_split(path, pictures, identities(pictures))


@given(
    st.integers(6, 60).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=n // 3),
        )
    ),
    st.integers(0, 2**31),
)
def test_nobody_is_on_two_sides_and_who_is_tied_stays_together(
    case: tuple[int, list[tuple[int, int]]], seed: int
) -> None:
    count, pairs = case
    tied = [(f"p{a}", f"p{b}") for a, b in pairs]
    try:
        people = split_people({f"p{i}": 1 for i in range(count)}, tied, THIRDS, seed)
    except ConfigError:
        # Only ties can leave too few bundles for the sides.
        assert tied
        return
    everybody = [who for side in SIDES for who in people[side]]
    assert sorted(everybody) == sorted(f"p{i}" for i in range(count))
    side_of = {who: side for side in SIDES for who in people[side]}
    assert all(side_of[a] == side_of[b] for a, b in tied)


@given(st.integers(30, 400), st.integers(0, 1000))
def test_each_side_gets_its_share_of_the_people(count: int, seed: int) -> None:
    people = split_people({str(i): 1 for i in range(count)}, [], (0.8, 0.1, 0.1), seed)
    for side, share in zip(SIDES, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(people[side]) - share * count) <= 2


def test_the_same_seed_gives_the_same_split_and_another_seed_another(data: Path) -> None:
    assert split_of(data) == split_of(data)
    assert split_of(data).people != split_of(data, seed=2).people


def test_the_order_in_which_people_come_does_not_matter() -> None:
    sizes = {f"p{i}": 1 for i in range(30)}
    backwards = dict(reversed(sizes.items()))
    assert split_people(sizes, [], THIRDS, 4) == split_people(backwards, [], THIRDS, 4)


def test_people_who_share_a_photograph_even_resized_stay_on_one_side(data: Path) -> None:
    for seed in range(6):
        before = split_of(data, seed).side_of()
        if before["p00"] != before["p11"]:
            break
    image = cv2.imread(str(data / "p00" / "0.png"))
    cv2.imwrite(str(data / "p11" / "copy.jpg"), cv2.resize(image, (60, 70)))
    after = split_of(data, seed).side_of()
    assert before["p00"] != before["p11"]
    assert after["p00"] == after["p11"]


def test_people_whom_a_check_takes_for_one_stay_on_one_side(data: Path, tmp_path: Path) -> None:
    checked = tmp_path / "check.json"
    pairs = [["p00", "p11"], ["p11", "p05"]]
    found = [{"kind": "identities_alike", "identities": pair} for pair in pairs]
    found.append({"kind": "unlike_its_identity", "identities": ["p01", "p02"]})
    checked.write_text(json.dumps({"findings": found}))
    for seed in range(5):
        side = split_of(data, seed, checked).side_of()
        assert side["p00"] == side["p11"] == side["p05"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", "not the JSON of a data check"),
        ("no json", "not the JSON of a data check"),
        ('{"findings": [{"kind": "identities_alike", "identities": ["p00", "Zoe"]}]}', "'Zoe'"),
    ],
)
def test_a_check_that_does_not_fit_is_refused(
    data: Path, tmp_path: Path, content: str, complaint: str
) -> None:
    checked = tmp_path / "check.json"
    checked.write_text(content)
    with pytest.raises(ConfigError, match=complaint):
        split_of(data, checked=checked)


def test_a_split_comes_back_from_its_file(data: Path, tmp_path: Path) -> None:
    made = split_of(data)
    save_split(made, tmp_path / "splits.json")
    assert load(tmp_path / "splits.json", data) == made
    assert [path.name for path in tmp_path.glob("*split*")] == ["splits.json"]


def rename(data: Path) -> None:
    (data / "p00" / "0.png").rename(data / "p00" / "9.png")


def change(data: Path) -> None:
    (data / "p00" / "0.png").write_bytes((data / "p01" / "0.png").read_bytes())


def add(data: Path) -> None:
    (data / "p00" / "9.png").write_bytes(b"one more")


def move(data: Path) -> None:
    (data / "p00" / "0.png").rename(data / "p01" / "9.png")


@pytest.mark.parametrize("harm", [rename, change, add, move])
def test_a_split_of_other_data_is_refused(
    data: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    save_split(split_of(data), tmp_path / "splits.json")
    harm(data)
    with pytest.raises(ConfigError, match="made of other data"):
        load(tmp_path / "splits.json", data)


def two_sides(split: dict[str, Any]) -> None:
    split["people"]["test"].append(split["people"]["train"][0])


def no_people(split: dict[str, Any]) -> None:
    del split["people"]


def newer(split: dict[str, Any]) -> None:
    split["format"] = 99


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [(two_sides, "on two sides"), (no_people, "not a split"), (newer, "does not know its format")],
)
def test_a_split_that_was_tampered_with_is_refused(
    data: Path, tmp_path: Path, harm: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    path = tmp_path / "splits.json"
    save_split(split_of(data), path)
    content = json.loads(path.read_text())
    harm(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=complaint) as caught:
        load(path, data)
    assert "data split" in caught.value.fix


def test_a_missing_split_is_an_error_that_names_it(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(tmp_path / "none.json", data)
    assert caught.value.where == str(tmp_path / "none.json")


def test_one_person_alone_cannot_be_split(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    cv2.imwrite(str(tmp_path / "Ann" / "a.png"), np.zeros((80, 80, 3), np.uint8))
    with pytest.raises(ConfigError, match="two people or more"):
        split_of(tmp_path)


def test_too_few_people_for_the_sides_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match="nobody is left for test"):
        split_people({"a": 5, "b": 5}, [], (0.8, 0.1, 0.1), 1)
    assert split_people({"a": 5, "b": 5}, [], (0.5, 0.5, 0.0), 1)["test"] == ()


def test_a_picture_that_cannot_be_read_is_named(data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("Ann/a.bmp", bytes(range(256)) * 300)
        file.write(data / "p00" / "0.png", "Joe/b.png")
    damaged = bytearray(archive.read_bytes())
    damaged[60:120] = b"\xff" * 60
    archive.write_bytes(damaged)
    with pytest.raises(ImageError, match="cannot be read") as caught:
        split_of(archive)
    assert caught.value.where == f"{archive}:Ann/a.bmp"


@pytest.mark.parametrize(
    "text", ["", "1", "0.5,0.5", "0.8,0.1,0.2", "a,b,c", "1.2,-0.1,-0.1", "0,1,0"]
)
def test_shares_that_make_no_whole_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no shares") as caught:
        parse_fractions(text)
    assert caught.value.where == "--fractions"


def test_shares_are_read_as_written() -> None:
    assert parse_fractions("0.8, 0.1,0.1") == (0.8, 0.1, 0.1)
    assert parse_fractions("1,0,0") == (1.0, 0.0, 0.0)
