"""Repeat the tests that wait for something while the machine is busy: none may fail even once.

    python scripts/steady.py --repeat 20 [tests/one_file.py ...]

First each test runs once, and tests/waiting.py records which of them wait for something that a busy
machine can delay: a process, a thread, a socket, a signal, a clock. Those are the candidates,
except tests that compute for more than --longest seconds: they train a network or install an
environment, and would take the time of hundreds of others. Then the candidates run --repeat times
beside stress-ng, spread over workers as in `make test`. Started again with the same code, it goes
on after the last finished repetition.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Test:
    """One test in one run."""

    name: str
    computed_s: float
    waits: str
    outcome: str  # passed, skipped or failed


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tests_in(report: Path) -> list[Test]:
    """Read the report of a run with tests/waiting.py."""
    tests = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  # our own file
        told = {one.get("name"): one.get("value", "") for one in case.iter("property")}
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "passed"
        name = told.get("nodeid") or f"{case.get('file')}::{case.get('name')}"
        tests.append(
            Test(
                name,
                float(told.get("computed_s", 0)),
                told.get("waits", ""),
                "skipped" if "skipped" in tags else outcome,
            )
        )
    return tests


def summary(candidates: set[str], repetitions: list[list[Test]]) -> tuple[str, bool]:
    """The result of all repetitions in words, and whether every candidate passed every time."""
    ran = [test for tests in repetitions for test in tests]
    count = collections.Counter(test.outcome for test in ran)
    failed = collections.Counter(test.name for test in ran if test.outcome == "failed")
    missing = sum(len(candidates - {test.name for test in tests}) for tests in repetitions)
    lines = [
        f"{len(repetitions)} repetitions of {len(candidates)} tests under load: "
        f"{len(ran) - count['skipped']} executions, {count['failed']} failures, "
        f"{count['skipped']} skipped, {missing} that did not run"
    ]
    lines += [f"failed {times} of {len(repetitions)}: {name}" for name, times in failed.items()]
    return "\n".join(lines), not failed and not missing and count["passed"] > 0


def main() -> int:
    """Exit code 0: every test passed each time; 1: one did not; 2: it could not be tried."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="*", default=["tests"])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of computing")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--beside", default="stress-ng --quiet --cpu 2 --io 1", help="the load")
    parser.add_argument("--out", type=Path, default=Path("build/steady"))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too

    out = asked.out / _state(asked.paths)
    out.mkdir(parents=True, exist_ok=True)
    say(f"each run is kept in {out}")

    every = out / "every.xml"
    if not every.exists() and not _run(asked.paths, every, asked.workers):
        return 2
    first = tests_in(every)
    waiting = [test for test in first if test.waits]
    candidates = [test.name for test in waiting if test.computed_s <= asked.longest]
    left_out = [test for test in waiting if test.computed_s > asked.longest]
    chosen = out / "candidates.txt"
    chosen.write_text("".join(f"{name}\n" for name in candidates))
    say(f"{len(waiting)} of {len(first)} tests wait for something; left out as too long:")
    for test in sorted(left_out, key=lambda test: -test.computed_s):
        say(f"  {test.computed_s:5.1f} s  {test.name}")
    broken = [test.name for test in first if test.outcome == "failed"]
    for name in broken:
        say(f"failed in the first run: {name}")
    if not candidates:
        say("no test to repeat")
        return 2

    repetitions = []
    for number in range(1, asked.repeat + 1):
        report = out / f"{number:03d}.xml"
        if not report.exists() and not _under_load(asked.beside, chosen, report, asked.workers):
            return 2
        repetitions.append(tests_in(report))
        say(f"{number}: {summary(set(candidates), repetitions)[0]}")
    words, steady = summary(set(candidates), repetitions)
    say(words)
    return 0 if steady and not broken else 1


def _under_load(beside: str, chosen: Path, report: Path, workers: int) -> bool:
    try:
        load = subprocess.Popen(shlex.split(beside))
    except FileNotFoundError as error:
        say(f"{error.filename} is not installed; sudo apt-get install stress-ng")
        return False
    try:
        if not _run([f"@{chosen}"], report, workers):
            return False
        if load.poll() is not None:
            report.unlink()
            say(f"the load ended before the tests (exit code {load.returncode}): {beside}")
            return False
        return True
    finally:
        load.terminate()
        load.wait()


def _run(arguments: list[str], report: Path, workers: int) -> bool:
    """Run pytest to its end, even if tests fail; only then is there a report."""
    unfinished = report.with_suffix(".part")
    log = report.with_suffix(".log")
    with log.open("w") as told:
        code = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-p", "tests.waiting", "-o", "junit_family=xunit1"),
                *("--junitxml", str(unfinished), "--numprocesses", str(workers)),
                *("--dist", "loadfile", "--no-loadscope-reorder", *arguments),
            ],
            stdout=told,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code not in (0, 1):  # 1: tests failed, and the report says which
        say(f"pytest ended with exit code {code}: see {log}")
        return False
    unfinished.rename(report)
    return True


def _state(paths: list[str]) -> str:
    """A name for this code and these tests: runs of other versions do not count."""
    head, changes = (
        subprocess.run(["git", *words], capture_output=True, check=False).stdout
        for words in (("rev-parse", "HEAD"), ("diff", "HEAD"))
    )
    return hashlib.sha256(head + changes + "\0".join(paths).encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
