"""Who loads whom: nobody in a circle, and the picture of it is that of the tree."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOT = ROOT / "docs" / "images" / "imports.dot"


def check(root: Path, seed: str = "0") -> list[str]:
    """What the script says to the tree at `root`."""
    result = subprocess.run(
        [sys.executable, str(root / "scripts" / "import_graph.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert result.returncode == bool(result.stderr)
    return result.stderr.splitlines()


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what the script reads of this tree."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    pairs = setup["options"]["package_dir"].strip().splitlines()
    for folder in [*(pair.split(" = ")[1] for pair in pairs), "scripts"]:
        for file in (ROOT / folder).rglob("*.py"):
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "docs" / "images").mkdir(parents=True)
    shutil.copy(DOT, tmp_path / "docs" / "images")
    return tmp_path


def plant(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text()}\n\n{text}\n")


@pytest.mark.parametrize("seed", ["1", "2"])
def test_no_floors_import_each_other_in_a_circle_and_the_picture_is_up_to_date(seed: str) -> None:
    assert check(ROOT, seed) == []


def test_a_copy_of_the_tree_has_the_same_picture(house: Path) -> None:
    assert check(house) == []


PLACES = {
    "top": "from oneglance.{}",
    "function": "def later() -> None:\n    from oneglance.{}",
    "types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from oneglance.{}",
}


@pytest.mark.parametrize("place", PLACES)
def test_floors_in_a_circle_are_named_with_the_imports_that_close_it(
    house: Path, place: str
) -> None:
    plant(
        house / "faces/find/boxes.py", PLACES[place].format("faces.gallery.vault import load_key")
    )
    plant(house / "faces/gallery/gallery.py", "import oneglance.faces.find.boxes")
    assert check(house) == [
        "floors in a circle: "
        "oneglance.faces.find -> oneglance.faces.gallery -> oneglance.faces.find",
        "  oneglance.faces.find.boxes imports oneglance.faces.gallery.vault",
        "  oneglance.faces.gallery.gallery imports oneglance.faces.find.boxes",
    ]


def test_modules_in_a_circle_are_found_on_one_floor(house: Path) -> None:
    plant(house / "oneglance/errors.py", "import oneglance.config")
    assert "modules in a circle: oneglance." in check(house)[0]


def test_rooms_in_a_circle_are_found_where_no_floors_are(house: Path) -> None:
    plant(house / "faces/gallery/vault.py", "import oneglance.training.recipes")
    (said,) = check(house)
    assert said.startswith("rooms in a circle: oneglance.")


@pytest.mark.parametrize("place", PLACES)
def test_an_import_that_is_not_in_the_picture_is_found(house: Path, place: str) -> None:
    plant(house / "faces/find/boxes.py", PLACES[place].format("faces.gallery import vault"))
    assert check(house) == ["docs/images/imports.dot is not that of the tree: run 'make graph'"]


def test_what_is_turned_round_comes_off_the_list_of_what_is_to_be(house: Path) -> None:
    script = house / "scripts" / "import_graph.py"
    listed = 'BACKWARDS.add(("oneglance.door", "oneglance.cli"))\n\n\ndef main('
    script.write_text(script.read_text().replace("def main(", listed))
    assert check(house) == [
        "oneglance.door imports oneglance.cli no more: take that out of BACKWARDS"
    ]


def test_the_drawn_picture_has_the_boxes_and_arrows_of_the_text() -> None:
    text = DOT.read_text()
    arrows = re.findall(r'^  "(\S+)" -> "(\S+)"(?! \[style=invis)', text, re.MULTILINE)
    boxes = re.findall(r'^ +"(\S+)" \[', text, re.MULTILINE)
    drawn = ET.parse(DOT.with_suffix(".svg")).getroot()  # noqa: S314
    titles: dict[str, list[str]] = {}
    for group in drawn.iter("{http://www.w3.org/2000/svg}g"):
        title = group.findtext("{http://www.w3.org/2000/svg}title", "")
        titles.setdefault(group.get("class", ""), []).append(title)
    assert sorted(titles["node"]) == sorted(boxes)
    assert sorted(titles["edge"]) == sorted(f"{low}->{high}" for low, high in arrows)
