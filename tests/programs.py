"""What tests execute, and which Debian package brings it: `make test` installs those."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PACKAGE_OF = {
    "Xvfb": "xvfb",
    "bash": "bash",
    "cc": "gcc",
    "ffmpeg": "ffmpeg",
    "gcc": "gcc",
    "git": "git",
    "journalctl": "systemd",
    "make": "make",
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "mount": "mount",
    "node": "nodejs",
    "openssl": "openssl",
    "sh": "dash",
    "shellcheck": "shellcheck",
    "systemd-analyze": "systemd",
    "systemd-creds": "systemd",
    "systemd-sysusers": "systemd",
    "umount": "mount",
}
# No Debian is without these, and who types `make test` has make.
ALWAYS_THERE = {"bash", "dash", "make", "mount"}


def only_known_programs(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: a test, or our code in it, that executes anything else fails, with the reason.

    Python itself and what a test has made are no programs of a package. What libraries look for
    to do without it is theirs.
    """
    if event != "subprocess.Popen" or not _ours():
        return
    program = Path(os.fsdecode(arguments[0]))  # type: ignore[arg-type]
    found = shutil.which(str(program))
    own = (sys.prefix, str(ROOT), tempfile.gettempdir())
    python = program.name.startswith("python")
    if found is None or python or found.startswith(own) or program.name in PACKAGE_OF:
        return
    raise AssertionError(
        f"{program} is executed, and tests/programs.py names no Debian package that brings it"
    )


def _ours() -> bool:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "subprocess"):
        frame = frame.f_back
    if frame is None:
        return False
    place = Path(frame.f_code.co_filename)
    return place.is_relative_to(ROOT) and not place.is_relative_to(sys.prefix)
