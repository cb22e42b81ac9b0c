"""Whether all that a door needs can be installed on a 64-bit ARM machine without a compiler.

    python scripts/arm64_wheels.py [3.11] [3.13]

pip resolves daemon, lock, badge reader and screen as a Raspberry Pi would, from wheels alone, for
the Python of Debian 12 (3.11, if none is named) or Debian 13 (3.13). Nothing is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

EXTRAS = ("daemon", "heif", "door", "kiosk")
# Python, and its Debian's C library: wheels for that version and older ones can be loaded.
SYSTEMS = {"3.11": 36, "3.13": 41}


def wanted(python: str) -> Iterator[str]:
    """What our metadata asks for on such a machine; pip would answer for the one it runs on."""
    machine = {"platform_machine": "aarch64", "sys_platform": "linux", "python_version": python}
    left, done = list(EXTRAS), {""}
    while left:
        extra = left.pop()
        done.add(extra)
        for line in requires("oneglance") or ():
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({**machine, "extra": extra}):
                if one.name == "oneglance":
                    left += one.extras - done
                else:
                    one.marker = None
                    yield str(one)


def resolved(python: str, newest: int) -> list[str]:
    """Name and version of each package that pip would install; pip itself says what is missing."""
    platforms = [
        "manylinux2014_aarch64",
        *(f"manylinux_2_{n}_aarch64" for n in range(17, newest + 1)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"),
                *("--disable-pip-version-check", "--ignore-installed", "--target", folder),
                *("--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
                *(word for platform in platforms for word in ("--platform", platform)),
                *("--report", str(report), *sorted(set(wanted(python)))),
            ],
            check=True,
        )
        found = json.loads(report.read_text())["install"]
    return sorted(f"{one['metadata']['name']} {one['metadata']['version']}" for one in found)


def main() -> int:
    """Exit code 0 if each has a wheel."""
    for python in sys.argv[1:] or ["3.11"]:
        try:
            found = resolved(python, SYSTEMS[python])
        except subprocess.CalledProcessError:
            return 1
        sys.stdout.write(f"Python {python}: {len(found)} packages: {', '.join(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
