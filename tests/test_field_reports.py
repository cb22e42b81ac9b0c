"""docs/field-reports.md names at least fifteen reports, each with a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_each_report_names_its_source_and_a_test_that_exists() -> None:
    text = (ROOT / "docs/field-reports.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert len(rows) >= 15
    for row in rows:
        assert "https://github.com/" in row
        ((file, name),) = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert f"def {name}(" in (ROOT / file).read_text(), row


def test_how_many_photographs_pass_is_what_was_counted_last() -> None:
    (told,) = re.findall(
        r"\((\d+ of \d+) photographs on a screen\)", (ROOT / "docs/field-reports.md").read_text()
    )
    assert f"a photograph on a screen: {told}," in (ROOT / "docs/attacks.md").read_text()
