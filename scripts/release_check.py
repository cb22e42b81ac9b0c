"""Whether this checkout can be released as it is: docs/releasing.md, `make release-check`.

    python scripts/release_check.py             the tree, the version, the change log, the tag
    python scripts/release_check.py --built DIR what `make deb` left in DIR, and the wheel tried

Exit code 1 if anything is wrong; each line says what, and what to do.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRA = "demo"
_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?\s*$", re.MULTILINE)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def version_of(root: Path) -> str:
    """The one place where the version is written."""
    parsed = configparser.ConfigParser()
    parsed.read(root / "setup.cfg")
    return parsed["metadata"]["version"]


def changelog_problems(text: str, version: str) -> Iterator[str]:
    """What in the change log does not match this version."""
    sections = list(_SECTION.finditer(text))
    starts = [found.start() for found in sections]
    bodies = {
        found["name"]: text[found.end() : end].strip()
        for found, end in zip(sections, [*starts[1:], len(text)], strict=False)
    }
    if bodies.get("Unreleased"):
        yield f"CHANGELOG.md: move what is under [Unreleased] to [{version}] - {date.today()}"
    released = [found for found in sections if found["name"] != "Unreleased"]
    if not released or released[0]["name"] != version:
        newest = released[0]["name"] if released else "none"
        yield f"CHANGELOG.md: its newest version is {newest}, and setup.cfg says {version}"
    elif not bodies[version]:
        yield f"CHANGELOG.md: nothing stands under [{version}]"
    else:
        try:
            date.fromisoformat(released[0]["date"] or "")
        except ValueError:
            yield f"CHANGELOG.md: [{version}] lacks its date, as in '## [{version}] - 2026-11-29'"


def tree_problems(root: Path, version: str) -> Iterator[str]:
    """What git says against a release: changes, or a tag that is there."""
    if changed := _git(root, "status", "--porcelain"):
        names = ", ".join(line[3:] for line in changed.splitlines()[:5])
        yield f"git: commit or remove what is not committed: {names}"
    tag = f"v{version}"
    if _git(root, "tag", "--list", tag):
        yield f"git: the tag {tag} is there already: choose the next version in setup.cfg"


def built_problems(folder: Path, version: str, scratch: Path) -> Iterator[str]:
    """What is wrong with the wheel, the packages and their papers in `folder`."""
    wheel = folder / f"oneglance-{version}-py3-none-any.whl"
    packages = [f"oneglance_{version}_{machine}" for machine in ("amd64", "arm64")]
    bills = [folder / f"{name}.cdx.json" for name in packages]
    wanted = [wheel, *(folder / f"{name}.deb" for name in packages), *bills]
    if missing := [file.name for file in wanted if not file.is_file()]:
        yield f"{folder}: 'make deb' left no {', '.join(missing)}"
        return
    summed = dict(
        reversed(line.split(maxsplit=1))
        for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    for file in wanted:
        if summed.get(file.name) != hashlib.sha256(file.read_bytes()).hexdigest():
            yield f"{folder}/SHA256SUMS: not the sum of {file.name}"
    for bill in bills:
        held = {
            one["name"]: one.get("version") for one in json.loads(bill.read_text())["components"]
        }
        if held.get("oneglance") != version:
            yield f"{bill}: it does not name oneglance {version}"
    yield from _tried(wheel, version, scratch)


def _tried(wheel: Path, version: str, scratch: Path) -> Iterator[str]:
    """The wheel from the package index, in an environment and a folder of its own."""
    venv.create(scratch / "env", with_pip=True)
    python = str(scratch / "env/bin/python")
    empty = scratch / "empty"
    empty.mkdir()
    steps = {
        f"pip install {wheel.name}[{EXTRA}]": [
            *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            f"{wheel}[{EXTRA}]",
        ],
        "oneglance --version": [str(scratch / "env/bin/oneglance"), "--version"],
        "oneglance demo": [str(scratch / "env/bin/oneglance"), "demo"],
    }
    for name, command in steps.items():
        say(f"{name} ...")
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"{name}: exit code {done.returncode}: {(done.stderr or done.stdout)[-500:]}"
            return
        if name.endswith("--version") and version not in done.stdout:
            yield f"{name}: it says {done.stdout.strip()!r}, not {version}"


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def main() -> int:
    """Print everything that is wrong, or that nothing is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--built", type=Path)
    asked = parser.parse_args()
    version = version_of(asked.root)
    if asked.built is None:
        changelog = (asked.root / "CHANGELOG.md").read_text()
        problems = [
            *tree_problems(asked.root, version),
            *changelog_problems(changelog, version),
        ]
    else:
        with tempfile.TemporaryDirectory(prefix="oneglance-release-") as scratch:
            problems = list(built_problems(asked.built.absolute(), version, Path(scratch)))
    for problem in problems:
        say(problem)
    if not problems:
        say(f"{version}: nothing speaks against it" if asked.built is None else "It works.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
