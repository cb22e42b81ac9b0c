"""Fixtures of the audit log's tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from audit_rig import KEY, SEALER, Wall

from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit

SHM = Path("/dev/shm")


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A log's folder, in memory where there is such a place: these tests sync by the thousand."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else tmp_path) as made:
        yield Path(made) / "audit"


@pytest.fixture
def opened(folder: Path, wall: Wall) -> Callable[..., Audit]:
    """`opened()` as the daemon does it, `opened(signer=None)` as another command does."""

    def opened(**options: object) -> Audit:
        given = {"signer": Signer.of(KEY), "keys": [KEY.public_key()], "sealer": SEALER}
        return Audit(folder, wall, **(given | options))  # type: ignore[arg-type]

    return opened
