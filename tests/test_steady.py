"""The command that repeats waiting tests under load finds them, and hides no failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TESTS = """
import subprocess, threading, time
from pathlib import Path

import pytest

@pytest.fixture(scope="module")
def helper():
    threading.Thread(target=int).start()

def test_of_thought(): pass
def test_with_a_helper(helper): pass
def test_with_the_same_helper(helper): pass
def test_of_patience(): time.sleep(0.01)
def test_that_computes(helper):
    began = time.process_time()
    while time.process_time() < began + 0.6: pass

def test_that_fails_in_the_third_run():
    subprocess.run(["true"], check=True)
    runs = Path(__file__).with_name("runs")
    with runs.open("a") as file:
        file.write("x")
    assert runs.stat().st_size != 3
"""


def steady(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, ROOT / "scripts/steady.py", "--workers", "0", "--longest", "0.5"),
            *("--out", "out", *arguments),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_waits_is_repeated_and_one_failure_of_many_is_told(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/waiting.py", tmp_path / "tests")
    (tmp_path / "tests/test_some.py").write_text(TESTS)
    # The third run of the test that fails is its second repetition.
    two = steady(tmp_path, "--beside", "sleep 600", "--repeat", "2")
    assert two.returncode == 1, two.stdout + two.stderr
    assert "5 of 6 tests wait for something" in two.stdout
    assert "0.6 s  tests/test_some.py::test_that_computes" in two.stdout
    assert "1 repetitions of 4 tests under load: 4 executions, 0 failures, 0 skip" in two.stdout
    assert "2 repetitions of 4 tests under load: 8 executions, 1 failures, 0 skip" in two.stdout
    assert "failed 1 of 2: tests/test_some.py::test_that_fails_in_the_third_run" in two.stdout
    # Goes on where it was; a load that ends early was none.
    idle = steady(tmp_path, "--beside", "true", "--repeat", "3")
    assert idle.returncode == 2
    assert (tmp_path / "tests/runs").read_text() == "xxxx"
    assert "the load ended before the tests" in idle.stdout
    assert sorted(file.name for file in tmp_path.glob("out/*/00*.xml")) == ["001.xml", "002.xml"]
