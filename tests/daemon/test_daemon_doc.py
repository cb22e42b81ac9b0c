"""docs/daemon.md names every reason that a status can give, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from oneglance.contract.messages import Hint

REPO = Path(__file__).parents[2]
PAGE = REPO / "docs/daemon.md"
# Texts in the code that look like a reason, and are none.
OTHERS = {"gallery_generation", "credentials_generation", "challenge_id"}
WORDS = "attempts|audit|camera|clock|commands|credentials|far|gallery|liveness|sequence|sharing"


def test_the_page_names_every_reason_of_a_status() -> None:
    code = "\n".join(file.read_text() for file in sorted(REPO.glob("daemon/**/*.py")))
    found = set(re.findall(rf'"((?:{WORDS})_[a-z]+)(?:"|:\{{)', code)) - OTHERS
    assert {"audit_error", "camera_lost", "far_unsupported", "liveness_model"} <= found
    told = set(re.findall(rf"`((?:{WORDS})_[a-z]+)(?:`|:NAME`)", PAGE.read_text()))
    assert found - told == set()
    assert {reason for reason in told - found if not _is_a_key(reason)} == set()


def test_the_page_names_how_a_daemon_begins_and_ends() -> None:
    page = PAGE.read_text()
    assert all(f"`{word}`" in page for word in ("starting", "failed", "vanished"))


def test_the_page_says_when_each_hint_is_given() -> None:
    page = PAGE.read_text()
    assert [hint for hint in Hint if hint is not Hint.NONE and f"`{hint}`" not in page] == []


def _is_a_key(name: str) -> bool:
    return f"    {name}:" in (REPO / "oneglance/config.py").read_text()
