"""`oneglance data` as a user or a script calls it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oneglance.cli.main import app
from oneglance.errors import ConfigError, ImageError, OneglanceError


@pytest.fixture
def faces(small_photos: Path, tmp_path: Path) -> Path:
    """Two people; one of Biden's pictures is also among Obama's."""
    for person, names in (
        ("Obama", ["obama.jpg", "obama2.jpg", "biden.jpg"]),
        ("Biden", ["biden.jpg"]),
    ):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(small_photos / name, tmp_path / "faces" / person)
    return tmp_path / "faces"


def data(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def error_of(result: Result) -> OneglanceError:
    assert isinstance(result.exception, OneglanceError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def test_findings_are_shown_with_an_example_and_end_with_one(faces: Path) -> None:
    result = data("check", faces)
    assert result.exit_code == 1
    assert "4 pictures, 2 identities" in result.stdout
    assert "One photograph, different people" in result.stdout
    assert "Biden/biden.jpg" in result.stdout
    assert "--report" in result.stdout


def test_a_name_is_never_cut_however_narrow_the_terminal(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    name = "biden-" + "0123456789" * 5 + ".jpg"
    for file in faces.rglob("biden.jpg"):
        file.rename(file.with_name(name))
    lines = data("check", faces).stdout.splitlines()
    assert f"Biden/{name}" in "".join(line[-30:].replace(" ", "") for line in lines)


def test_clean_data_end_with_zero(faces: Path) -> None:
    (faces / "Obama" / "biden.jpg").unlink()
    shutil.rmtree(faces / "Biden")
    result = data("check", faces)
    assert result.exit_code == 0, result.output
    assert "Nothing was found" in result.stdout


def test_json_is_one_object_and_equals_the_one_beside_the_page(faces: Path, tmp_path: Path) -> None:
    result = data("check", faces, "--json", "--report", tmp_path / "check.html")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["clean"] is False
    assert told["counts"]["copy_across_identities"] == 1
    assert json.loads((tmp_path / "check.json").read_text()) == told
    assert "<!doctype html>" in (tmp_path / "check.html").read_text()


def test_identities_may_come_from_a_csv(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text(
        "image,identity\nObama/obama.jpg,1\nObama/obama2.jpg,1\nObama/biden.jpg,2\n"
        "Biden/biden.jpg,2\n"
    )
    result = data("check", faces, "--people", tmp_path / "who.csv", "--json")
    counts = json.loads(result.stdout)["counts"]
    assert (counts["copy"], counts["copy_across_identities"]) == (1, 0)
    assert counts["unlike_its_identity"] == 0


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("empty", "no pictures"), ("text.zip", "neither a folder nor"), ("none", "no such folder")],
)
@pytest.mark.parametrize("verb", ["check", "split"])
def test_bad_input_is_one_clear_line(tmp_path: Path, name: str, complaint: str, verb: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    error = error_of(data(verb, tmp_path / name))
    if (verb, name) == ("split", "empty"):
        assert isinstance(error, ConfigError)
        assert "nothing says who" in str(error)
    else:
        assert isinstance(error, ImageError)
        assert complaint in str(error)
    assert error.where == str(tmp_path / name)


def test_without_jinja2_only_the_page_is_missing_and_nothing_is_read(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "oneglance.page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert data("check", faces).exit_code == 1
    result = data("check", tmp_path / "nowhere", "--report", tmp_path / "new" / "check.html")
    assert isinstance(result.exception, ModuleNotFoundError)
    assert result.exception.name == "jinja2"
    assert not (tmp_path / "new").exists()


def test_a_report_that_is_no_page_is_wrong_usage(faces: Path, tmp_path: Path) -> None:
    result = data("check", faces, "--report", tmp_path / "check.txt")
    assert result.exit_code == 2
    assert ".html" in result.stderr


def test_a_split_is_written_down_and_told(faces: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for person in range(8):
        (faces / f"p{person}").mkdir()
        clouds = cv2.resize(rng.uniform(0, 255, (9, 8, 3)).astype(np.float32), (100, 120))
        cv2.imwrite(str(faces / f"p{person}" / "a.png"), clouds)
    checked = tmp_path / "check.html"
    assert data("check", faces, "--report", checked).exit_code == 1
    out = tmp_path / "splits.json"
    result = data(
        *("split", faces, "--out", out, "--fractions", "0.6,0.2,0.2", "--seed", "3"),
        *("--checked", checked.with_suffix(".json")),
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert "10 people: 6 for train, 2 for validation, 2 for test" in result.stdout
    people = json.loads(out.read_text())["people"]
    together = next(side for side, who in people.items() if "Obama" in who)
    assert "Biden" in people[together]


def test_a_split_without_a_place_to_write_it_is_an_error(faces: Path, tmp_path: Path) -> None:
    (faces / "Obama" / "biden.jpg").unlink()
    out = tmp_path / "none" / "splits.json"
    error = error_of(data("split", faces, "--fractions", "0.5,0.5,0", "--out", out))
    assert "cannot be written" in str(error)
    assert error.where == str(out)
