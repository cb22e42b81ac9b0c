"""A virtual environment with the wheel and what the wheel says that it needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def environment_with(wheel: Path, extra: str, folder: Path, *further: str) -> Path:
    """Make it without a network, and return its bin folder.

    What the wheel's extra and `further` need, and what that needs, is linked from the environment
    that runs the tests: `make test` has installed that from the package index by the same
    requirements. Only the wheel itself is installed.
    """
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for needed in _needed(wheel, f"oneglance[{extra}]", *further):
        _link(needed, site)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
    install = subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", wheel],
        capture_output=True,
        text=True,
        check=False,
    )
    assert install.returncode == 0, install.stderr[-2000:]
    return folder / "bin"


def _needed(wheel: Path, *asked: str) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in asked]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == "oneglance":
            declared = _declared(wheel)
        else:
            found[name] = distribution(name)
            assert requirement.specifier.contains(found[name].version, prereleases=True)
            declared = found[name].requires or []
        for extra in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            waiting += [
                one
                for one in map(Requirement, declared)
                if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
    return list(found.values())


def _declared(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(packed.read(name).decode())
    return metadata.get_all("Requires-Dist", [])


def _link(needed: Distribution, site: Path) -> None:
    for file in needed.files or []:
        source = Path(str(file.locate()))
        if ".." in file.parts or not source.is_file():  # a command, or bytecode that was never made
            continue
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, site / file)
        except OSError:  # another file system
            shutil.copy2(source, site / file)
