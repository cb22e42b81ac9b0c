"""`oneglance evaluate --report`, and every picture against every other."""

from __future__ import annotations

import base64
import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from oneglance.cli.evaluate.command import evaluate
from oneglance.errors import OneglanceError

APP = typer.Typer()
APP.command()(evaluate)


@pytest.fixture(scope="module")
def album(small_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, one with two pictures, and a picture with no face on it; quick to search."""
    folder = tmp_path_factory.mktemp("album")
    for person, files in {
        "obama": ["obama.jpg", "obama2.jpg"],
        "biden": ["biden.jpg"],
        "<collins>": ["astronaut.png"],
    }.items():
        (folder / person).mkdir()
        for file in files:
            image = cv2.imread(str(small_photos / file))
            if person == "obama":
                image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / person / file), image)
    cv2.imwrite(str(folder / "biden" / "wall.png"), np.full((90, 90, 3), 70, np.uint8))
    (folder / "people.csv").write_text("person,fold\nobama,1\nbiden,1\n<collins>,2\n")
    (folder / "pairs.csv").write_text(
        "fold,image_a,image_b,same\n"
        "1,obama/obama.jpg,obama/obama2.jpg,1\n"
        "1,obama/obama.jpg,<collins>/astronaut.png,0\n"
        "1,biden/biden.jpg,biden/wall.png,1\n"
    )
    # The two smallest, for what is not about their figures.
    (folder / "quick.csv").write_text(
        "fold,image_a,image_b,same\n"
        "1,obama/obama.jpg,obama/obama2.jpg,1\n"
        "1,obama/obama.jpg,biden/wall.png,0\n"
    )
    return folder


def run(*arguments: str | Path) -> str:
    words = [str(word) for word in arguments]
    result = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_report_is_one_private_page_with_curves_and_worst_pairs(
    album: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "evaluation"
    arguments = ["--images", album, "--pairs", album / "pairs.csv", "--report", folder, "--json"]
    said = json.loads(run(*arguments))
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    written = json.loads((folder / "figures.json").read_text())
    worst = written.pop("worst_pairs")
    assert written == said
    assert worst["genuine"][0]["image_a"] == "obama/obama.jpg"
    assert worst["impostor"][0]["image_b"] == "<collins>/astronaut.png"
    for name, kind in (("tilt_deg", "pairs"), ("shorter_side_px", "pictures")):
        rows = written["slices"][kind][name]
        count = "genuine_pairs" if kind == "pairs" else "pictures"
        assert sum(row[count] for row in rows) == {"pairs": 1, "pictures": 5}[kind]
    page = (folder / "report.html").read_text()
    for title in ("Pairs by their worse picture", "distance between the eyes", "320 to 640"):
        assert title in page
    # Of these two one is the wall, and has no face.
    wall = re.search(r"<td>80 to 160</td>.*", page)
    assert wall is not None
    assert re.findall(r'class="n">([^<]*)<', wall[0]) == ["2", "1", "50.00%"]
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    shapes = [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR).shape
        for data in pictures
    ]
    assert shapes[-4:] == [(112, 112, 3)] * 4
    assert len(shapes) == 4 + 4
    assert page.count("src=") == len(pictures)
    assert "http" not in page
    # A name is text, never markup.
    assert "&lt;collins&gt;/astronaut.png" in page
    assert "<collins>" not in page
    assert "<li>biden/wall.png</li>" in page


def test_all_pictures_are_compared_with_each_other(album: Path) -> None:
    figures = json.loads(
        run("--images", album, "--people", album / "people.csv", "--folds", "1,2", "--json")
    )
    assert figures["protocol"] == "all pairs"
    assert (figures["genuine_pairs"], figures["impostor_pairs"]) == (2, 8)
    assert figures["not_acquired"] == ["biden/wall.png"]
    assert (figures["recall"], figures["precision"]) == (0.5, 1.0)
    # Five impostor pairs of eight have two faces, and one genuine pair of two.
    assert figures["accuracy"] == pytest.approx((1 / 2 + 5 / 8) / 2)


def test_the_table_shows_precision_and_recall_with_their_bounds(album: Path) -> None:
    said = run("--images", album, "--pairs", album / "pairs.csv")
    assert re.search(r"precision +│ +100.00% \(\d", said)
    assert re.search(r"recall +│ +50.00% \(\d", said)


@pytest.mark.parametrize(
    "options",
    [
        ["--pairs", "p", "--people", "q"],
        ["--pairs", "p", "--folds", "1"],
        ["--people", "q", "--folds", "one"],
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(options: list[str]) -> None:
    assert CliRunner().invoke(APP, ["--images", "x", *options]).exit_code == 2


@pytest.mark.parametrize("option", ["--pairs", "--people"])
def test_a_folder_without_pictures_is_said_to_be_so(
    album: Path, tmp_path: Path, option: str
) -> None:
    with pytest.raises(OneglanceError, match="there is no picture in it") as caught:
        run("--images", tmp_path, option, album / f"{option[2:]}.csv")
    assert caught.value.where == str(tmp_path)
    assert caught.value.exit_code == 65


def test_a_report_folder_that_cannot_be_made_is_refused_before_any_picture_is_read(
    album: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OneglanceError, match="cannot be written") as caught:
        run("--images", "nowhere", "--pairs", album / "pairs.csv", "--report", tmp_path / "file")
    assert "--report" in caught.value.fix


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_a_package_of_it_only_the_report_is_missing_and_says_how_to_get_it(
    album: Path, tmp_path: Path, package: str
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\nfrom oneglance.cli.start import main; main()"
    )
    pairs = ["evaluate", "--images", album, "--pairs", album / "quick.csv"]

    def without(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert without(*pairs, "--json").returncode == 0
    refused = without(*pairs, "--report", tmp_path / "evaluation")
    assert refused.returncode == 70
    assert "oneglance[report]" in refused.stderr
    assert not (tmp_path / "evaluation").exists()
