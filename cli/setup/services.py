"""The door's systemd units, which the setup stops and starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.errors import OneglanceError

DAEMON, LOCK = "oneglance", "oneglance-door"


def unit_name(service: str, folder: Path) -> str:
    """The unit of the service whose configuration lies in `folder`."""
    further = folder.parent == Path("/etc/oneglance")
    return f"{service}@{folder.name}.service" if further else f"{service}.service"


def is_installed(unit: str) -> bool:
    """Whether systemd knows this unit."""
    return _systemctl("cat", unit).returncode == 0


@contextmanager
def stopped(unit: str) -> Iterator[None]:
    """Stop the unit while the block runs, so that its camera or pin is free.

    Afterwards it is started again. Raises OneglanceError if it then does not say READY.
    """
    if not is_installed(unit):
        yield
        return
    _systemctl("stop", unit)
    try:
        yield
    finally:
        started = _systemctl("start", unit)
    if started.returncode != 0:
        raise OneglanceError(
            "it does not become ready", where=unit, fix=f"journalctl -u {unit} says why"
        )


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, check=False, timeout=180
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(words, 1, "", "")
