"""These tests boot a machine of their own: `make test-system`, as root, and not `make test`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import base_root, wheels
from programs import PACKAGE_OF
from reliability import Ledger, write_table
from whole_door import Door

if os.environ.get("ONEGLANCE_SYSTEM"):
    # `make test-system` installs these.
    PACKAGE_OF.update(
        {
            "debootstrap": "debootstrap",
            "dpkg-deb": "dpkg",
            "mkfs.ext4": "e2fsprogs",
            "nsenter": "util-linux",
            "systemd-nspawn": "systemd-container",
            "tar": "tar",
        }
    )
collect_ignore_glob = [] if os.environ.get("ONEGLANCE_SYSTEM") else ["test_*.py"]


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """What was tried and what came of it; written to build/reliability.json at the end."""
    ledger = Ledger()
    yield ledger
    ledger.save(Path("build/reliability.json"))
    if os.environ.get("ONEGLANCE_SYSTEM") == "write":
        write_table(ledger, Path("docs/reliability.md"))


@pytest.fixture(scope="session")
def packages() -> tuple[Path, Path]:
    """The base root, and the folder with all that pip needs there."""
    if os.geteuid() != 0:
        pytest.fail("a machine can only be booted by root: sudo make test-system")
    base = base_root()
    return base, wheels(base)


@pytest.fixture(scope="session")
def installed(packages: tuple[Path, Path], photos: Path) -> Iterator[Door]:
    """A machine with a whole door, installed as a user would."""
    door = Door(*packages, photos)
    try:
        door.install()
        yield door
    finally:
        door.machine.remove()


@pytest.fixture
def door(installed: Door, ledger: Ledger) -> Iterator[Door]:
    """The same, in service; whatever a test has done, the lock opened for valid decisions alone."""
    installed.set_camera("visits")
    installed.wait_open(since=installed.now())
    tried = {row.fault: row.tried for row in ledger.rows.values()}
    yield installed
    ledger.openings, wrong = installed.count_openings()
    for row in ledger.rows.values():
        if row.tried != tried.get(row.fault):
            row.wrong_openings += len(wrong) - ledger.wrong_openings
    ledger.wrong_openings = len(wrong)
    assert wrong == []
