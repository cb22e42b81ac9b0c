"""`make bench`: its list names every command of the docs, and what is fresh is not run again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bench import Bench, Figure, chosen, main, read_figures

DOCS = Path(__file__).resolve().parents[2] / "docs"
# A line in a code block that measures something; how to measure pictures of one's own is not meant.
MEASURES = re.compile(
    r"(sudo )?(\.venv/bin/)?python benchmarks/(?!.*--help)|make (bench-|attack|soak)"
    r"|.*--one-shot DATA"
)


def one_line(text: str) -> str:
    """Commands as the list writes them: on one line, the data called DATA."""
    return re.sub(r"\\\n\s*", "", text).replace("../shared/data", "DATA")


def test_each_command_of_the_docs_is_in_the_list() -> None:
    listed = [shlex.split(figure.run) for figure in read_figures()]
    for page in DOCS.rglob("*.md"):
        for line in map(str.strip, one_line(page.read_text()).splitlines()):
            if MEASURES.match(line):
                assert shlex.split(line, comments=True) in listed, (
                    f"{page}: not in figures.toml: {line}"
                )


@pytest.mark.parametrize("figure", read_figures(), ids=lambda figure: figure.name)
def test_each_command_of_the_list_is_on_its_page(figure: Figure) -> None:
    page = one_line((DOCS / figure.page).read_text())
    assert figure.run in " ".join(page.split())


LIST = """
[[figure]]
name = "source"
page = "a.md"
run = "python SCRIPT source.txt"
makes = ["source.txt"]

[[figure]]
name = "reader"
page = "a.md"
run = "python SCRIPT copy.txt source.txt"
makes = ["copy.txt"]

[[figure]]
name = "of-data"
page = "a.md"
run = "python SCRIPT other.txt DATA/pictures.zip"
makes = ["other.txt"]

[[figure]]
name = "by-name"
page = "a.md"
run = "python SCRIPT long.txt"
makes = ["long.txt"]
apart = "it takes long"
"""
# Adds a line to the file that it makes, from the one it reads.
SCRIPT = """
import sys
made, *read = sys.argv[1:]
with open(made, "a") as file:
    file.write("|".join(open(name).read() for name in read) + "made\\n")
print("a figure")
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "list.toml").write_text(LIST.replace("SCRIPT", str(tmp_path / "script.py")))
    (tmp_path / "data").mkdir()
    return tmp_path


def run(house: Path, *more: str) -> int:
    """Run `make bench` on the list of this house."""
    places = {"--data": "data", "--out": "out", "--figures": "list.toml"}
    named = [word for option, name in places.items() for word in (option, str(house / name))]
    return main([*named, *more])


def made(house: Path, name: str) -> int:
    """How often a file was made."""
    return len((house / "out" / name).read_text().splitlines())


def test_a_fresh_row_is_not_run_again_and_a_changed_script_is(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(house) == 2
    assert (house / "out/source/stdout.txt").read_text() == "a figure\n"
    assert (house / "out/reader/copy.txt").read_text() == "made\nmade\n"
    assert f"of-data: skipped, {house}/data/pictures.zip is missing" in capsys.readouterr().out
    (house / "data/pictures.zip").write_text("")
    assert run(house) == 0
    assert not (house / "out/by-name").exists()
    assert made(house, "source/source.txt") == 1
    with (house / "script.py").open("a") as file:
        file.write("# changed\n")
    assert run(house, "--only", "source") == 0
    assert made(house, "source/source.txt") == 1  # Anew, not beside what an older script left.


def test_a_row_that_is_named_brings_what_it_reads(house: Path) -> None:
    assert run(house, "--only", "reader", "by-name") == 0
    assert sorted(path.name for path in (house / "out").iterdir()) == [
        "by-name",
        "reader",
        "source",
    ]


def test_a_row_that_fails_is_said_and_goes_on_where_it_stopped(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = house / "script.py"
    sound.write_text(SCRIPT + "raise SystemExit('out of luck')\n")
    assert run(house, "--only", "reader") == 1
    told = capsys.readouterr().out
    assert "source: failed" in told
    assert "reader: skipped, it reads what source makes" in told
    assert "out of luck" in (house / "out/source/stderr.txt").read_text()
    assert run(house, "--only", "source") == 1
    assert made(house, "source/source.txt") == 2  # What the first run left was still there.


def test_the_list_says_what_is_missing_and_runs_nothing(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(house, "--list") == 0
    told = capsys.readouterr().out
    assert f"of-data: {house}/data/pictures.zip is missing" in told
    assert "by-name: to be run; only when named: it takes long" in told
    assert not (house / "out").exists()


def test_an_unknown_row_is_refused(house: Path) -> None:
    with pytest.raises(SystemExit, match="there is no row nothing"):
        run(house, "--only", "nothing")


def test_a_file_of_two_rows_is_that_of_the_last_before_the_reader() -> None:
    rows = tuple(
        Figure(name, "a.md", f"python s.py {more}", makes)
        for name, more, makes in (
            ("one", "x", ("x",)),
            ("two", "x", ("x",)),
            ("reader", "x", ()),
        )
    )
    bench = Bench(rows, Path("/out"), Path("/data"))
    assert bench.command(rows[2])[2] == "/out/two/x"
    assert [row.name for row in chosen(bench, ["reader"])] == ["two", "reader"]
