"""Commands of README and docs are run as they stand, in a house as their page supposes it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_doc_commands import PAGES, ROOT, blocks, commands
from typer.testing import CliRunner

from oneglance.cli.main import app

# What is not run here, and why.
NOT_HERE = {
    r"^(setup|top|watch|reader|door|run|kiosk$|kiosk --|collect --person|calibrate)": "goes on",
    r"^(attack-test|camera show)| --camera ": "needs a camera and somebody before it",
    r"^(train|convert|data|evaluate|collect --neg)": "needs data or an hour; see their own tests",
    r"^(command|people sync|home-assistant|doctor)|config check$": "needs a broker or a daemon",
    r"^(backup|restore|people pin|kiosk set-pin)|~/tried|accept-restore": "asks for a secret",
    r"/etc/oneglance|^support-bundle": "is about an installed door",
    r"^audit (verify|snapshot)": "is about what a daemon has signed and kept",
    r"^keys trust": "is for the machine that a key was carried to",
}
# Where somebody is enrolled before the page's first command.
INHABITED = {"access.md", "audit.md", "care.md"}
# Where the house is from before there were keyrings.
OLD = {"keys.md"}
PHOTOGRAPHS = {
    "obama.jpg": ("ada.jpg", "ada1.jpg", "ann.jpg"),
    "obama2.jpg": ("ada2.jpg", "visitor.jpg"),
    "obama3.jpg": ("glasses.jpg",),
}


def reason(line: str) -> str:
    """Why a command is not run here; empty if it is."""
    return next((why for what, why in NOT_HERE.items() if re.search(what, line)), "")


def of_page(page: Path) -> list[list[str]]:
    """The commands of a page that are run here, in order."""
    found = [words for line in blocks(page.read_text()) for words in commands(line)]
    return [words for words in found if not reason(" ".join(words))]


RUN = [page for page in PAGES if of_page(page)]


@pytest.fixture
def house(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """`house("people", "list")`: exit code and output, in the folder of a door just made."""
    door = tmp_path / "door"

    def run(*words: str) -> tuple[int, str]:
        home = [word.replace("~", str(tmp_path)) for word in words]
        result = CliRunner().invoke(app, home, input="y\n")
        return result.exit_code, f"{result.output}{result.exception or ''}"

    assert run("init", "--dir", str(door))[0] == 0
    for photo, names in PHOTOGRAPHS.items():
        for name in names:
            shutil.copy(photos / photo, door / name)
    shutil.copytree(ROOT / "models/mobileface-small", door / "my-model")
    (door / "old.toml").write_text("")
    monkeypatch.chdir(door)
    monkeypatch.setenv("ONEGLANCE_CONFIG", str(door))
    return run


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_work_as_they_stand(
    page: Path, house: Callable[..., tuple[int, str]]
) -> None:
    if page.name in INHABITED:
        assert house("people", "enrol", "Ada Lovelace", "ada.jpg", "--consent")[0] == 0
    if page.name in OLD:
        for old in ("keyring.json", "administrator.key"):
            Path(old).unlink()
    for words in of_page(page):
        if words[0] == "init":
            continue
        code, said = house(*words)
        assert code == 0, f"oneglance {' '.join(words)}: {said}"
