"""Each command line of README, docs and help is one that the real parser takes; some are run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from oneglance.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
# Also what a command says of itself, and errors and units that name a command.
ROOMS = ("oneglance", "cli", "daemon", "door", "faces", "audit", "converter", "training")
SOURCES = (
    *(file for room in ROOMS for file in sorted(ROOT.glob(f"{room}/**/*.py"))),
    *sorted(ROOT.glob("systemd/*.*")),
)


def blocks(text: str) -> Iterator[str]:
    """The lines of the shell blocks of a page, continued ones as one."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """The arguments of each `oneglance` in a line of shell."""
    words: list[str] = []
    for word in (*shlex.split(line, comments=True), "&&"):
        if word in {"&&", "||", "|", ";", "&", ">"}:
            ours = [at for at, one in enumerate(words) if re.search(r"(^|bin/)oneglance$", one)]
            if ours and not {"cd", "git", "systemctl"} & set(words):
                yield words[ours[0] + 1 :]
            words = []
        else:
            words.append(word)


def spans(text: str) -> Iterator[str]:
    """Command lines in running text: `oneglance ...`, or 'oneglance ...' in a message."""
    for span in re.findall(r"`(oneglance [a-z][^`]*)`", " ".join(text.split())):
        yield span
    for span in re.findall(r"'(oneglance [a-z][^'{}]*)'", text):
        yield span


def parse(words: list[str]) -> None:
    """Have the real parser read it, and run nothing."""
    group: Any = typer.main.get_command(app)
    parent = None
    name = "oneglance"
    while hasattr(group, "resolve_command"):
        context = group.make_context(name, words, parent=parent)
        _, rest, _ = group.make_parser(context).parse_args(list(words))
        if not rest and group.invoke_without_command:
            return
        name, command, words = group.resolve_command(context, rest)
        group, parent = command, context
    group.make_context(name, words, parent=parent)


def trouble(words: list[str]) -> str:
    """What the parser does not take."""
    try:
        parse(words)
    except typer.Exit:
        # --help, --version
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_each_command_of_a_page_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        (page.name, *words)
        for page in PAGES
        for line in blocks(page.read_text())
        for words in commands(line)
    }
    assert len(found) > 40
    wrong = {words: problem for words in sorted(found) if (problem := trouble(list(words[1:])))}
    assert wrong == {}


def test_each_command_in_running_text_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        (file.name, *words)
        for file in (*PAGES, *SOURCES)
        for span in spans(file.read_text())
        if "..." not in span
        for words in commands(span)
    }
    assert len(found) > 40
    # There an argument may be left out, and two of these are the text that a signature is of.
    shortened = ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage")
    found -= {("audit.md", "audit", "entry"), ("wire.md", "preview", "1")}
    wrong = {
        words: problem
        for words in sorted(found)
        if (problem := trouble(list(words[1:]))) and not problem.startswith(shortened)
    }
    assert wrong == {}


def test_the_readmes_first_steps_work_as_they_stand(photos: Path, tmp_path: Path) -> None:
    """All lines of "Enrol yourself", in one shell, as a new owner types them."""
    section = (ROOT / "README.md").read_text().partition("## Enrol yourself")[2]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section.partition("\n## ")[0], re.S | re.M)
    shutil.copy(photos / "obama.jpg", tmp_path / "ada.jpg")
    script = "\n".join(line for line in block.splitlines() if "activate" not in line)
    environ = {**os.environ, "HOME": str(tmp_path)}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ada-lovelace" in done.stdout
