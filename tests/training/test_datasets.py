"""Lists of people: both shapes are read, a bad row is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneglance.errors import ConfigError
from oneglance.training.data.datasets import labelled_pictures


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name in ("Ann/1.jpg", "Ann/2.jpg", "Bob/1.jpg", "Eve/1.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def people_csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(text)
    return path


def test_people_of_the_wanted_folds_only_are_read(images: Path, tmp_path: Path) -> None:
    people = people_csv(tmp_path, "person,fold,images\nAnn,1,2\nBob,7,1\nEve,2,1\n")
    found = labelled_pictures(images, people, (1, 2))
    assert [p.name for p in found] == ["Ann/1.jpg", "Ann/2.jpg", "Eve/1.jpg"]
    assert found[0].person == found[1].person != found[2].person


def test_one_row_a_picture_names_the_identity(images: Path, tmp_path: Path) -> None:
    people = people_csv(tmp_path, "image,identity\nAnn/1.jpg,7\nBob/1.jpg,7\nlost.jpg,8\n")
    found = labelled_pictures(images, people)
    assert [(p.name, p.person) for p in found] == [
        ("Ann/1.jpg", "people/7"),
        ("Bob/1.jpg", "people/7"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no rows"),
        ("person,fold\n", "no rows"),
        ("who,where\na,b\n", "unknown columns"),
        ("person,fold\nAnn,first\n", "fold is 'first'"),
        ("person,fold\nAnn\n", "not as many fields"),
        ("person,fold\nZoe,1\n", "names no picture"),
    ],
)
def test_a_bad_list_is_refused(images: Path, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        labelled_pictures(images, people_csv(tmp_path, text), (1,))
    assert told in caught.value.what
    assert "people.csv" in caught.value.where


def test_folds_of_a_list_without_folds_are_refused(images: Path, tmp_path: Path) -> None:
    people = people_csv(tmp_path, "image,identity\nAnn/1.jpg,7\n")
    with pytest.raises(ConfigError, match="no column fold"):
        labelled_pictures(images, people, (1,))
