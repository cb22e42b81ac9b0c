"""tests/slow.txt, what `make test-fast` leaves out: each line is true, and a script writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_what_the_inner_loop_leaves_out_is_there() -> None:
    listed = (ROOT / "tests/slow.txt").read_text().split()
    assert listed == sorted(set(listed))
    assert [name for name in listed if not (ROOT / name).exists()] == []


def test_a_file_is_slow_when_all_of_it_together_is(tmp_path: Path) -> None:
    seconds = {"tests/a.py::one": 0.8, "tests/a.py::two[x::y]": 0.3, "tests/b/c.py::three": 0.9}
    report, out = tmp_path / "tests.xml", tmp_path / "slow.txt"
    cases = "".join(
        f'<testcase><properties><property name="nodeid" value="{name}"/>'
        f'<property name="computed_s" value="{s}"/></properties></testcase>'
        for name, s in seconds.items()
    )
    report.write_text(f"<testsuite>{cases}</testsuite>")
    told = subprocess.run(
        [sys.executable, ROOT / "scripts/slow_tests.py", report, "--out", out],
        check=True,
        capture_output=True,
        text=True,
    )
    assert out.read_text().split() == ["tests/a.py", "tests/converter"]
    assert "1 of 3 tests remain" in told.stdout
