"""scripts/release_check.py: what must not be released is named, each reason in a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOOD = "# Changelog\n\n## [Unreleased]\n\n## [0.3.0] - 2026-12-01\n\n### Added\n\n- A door.\n"


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


def checked(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/release_check.py", "--root", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 0.3.0\n")
    (tmp_path / "CHANGELOG.md").write_text(GOOD)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "All")
    return tmp_path


def test_a_clean_tree_with_its_version_in_the_change_log_may_go(checkout: Path) -> None:
    assert checked(checkout) == (0, "0.3.0: nothing speaks against it\n")


def test_a_stray_file_and_a_tag_that_is_there_are_both_named(checkout: Path) -> None:
    git(checkout, "tag", "v0.3.0")
    (checkout / "stray.txt").touch()
    code, told = checked(checkout)
    assert code == 1
    assert "stray.txt" in told
    assert "v0.3.0 is there already" in told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (GOOD.replace("[Unreleased]\n", "[Unreleased]\n\n- Left over."), "under [Unreleased]"),
        (GOOD.replace("0.3.0", "0.2.0"), "its newest version is 0.2.0"),
        ("# Changelog\n", "its newest version is none"),
        (GOOD.replace(" - 2026-12-01", ""), "lacks its date"),
        (GOOD.replace("2026-12-01", "soon"), "lacks its date"),
        (GOOD.partition("### Added")[0], "nothing stands under [0.3.0]"),
    ],
)
def test_a_change_log_that_does_not_fit_is_named(checkout: Path, wrong: str, told: str) -> None:
    (checkout / "CHANGELOG.md").write_text(wrong)
    git(checkout, "commit", "--quiet", "-a", "-m", "Wrong")
    code, said = checked(checkout)
    assert code == 1
    assert told in said
    assert len(said.splitlines()) == 1
