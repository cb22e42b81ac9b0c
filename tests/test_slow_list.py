"""tests/slow.txt, what `make test-fast` leaves out: each line is true, and a script writes it."""

from __future__ import annotations

import os
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
    assert out.read_text().split()[:2] == ["tests/a.py", "tests/converter"]
    assert "tests/b/c.py" not in out.read_text()
    assert "1 of 3 tests remain" in told.stdout


def test_the_inner_loop_loads_no_tensorflow() -> None:
    """Each of its workers would, since each imports all tests: it takes as long as a quarter."""
    listed = (ROOT / "tests/slow.txt").read_text().split()
    training = sorted((ROOT / "tests/training").glob("test_*.py"))
    kept = [file.stem for file in training if f"tests/training/{file.name}" not in listed]
    assert "test_samplers" in kept
    code = f"import sys, {', '.join(kept)}; print('keras' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "tests", training[0].parent))),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.split() == ["False"]
