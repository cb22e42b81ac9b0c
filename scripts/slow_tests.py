"""Write tests/slow.txt: the files of tests that compute too long for `make test-fast`.

    python scripts/slow_tests.py REPORT [--longest 1.0] [--out tests/slow.txt]

REPORT is written by a run of all tests with tests/waiting.py, as in `make slow-tests`, or by the
first run of `make test-steady` (build/steady/*/every.xml). Whole files are listed, since the first
test that uses a fixture pays for it. Files that are not listed are run, so new ones always are.
"""

from __future__ import annotations

import argparse
import collections
from pathlib import Path

from steady import say, tests_in

ROOT = Path(__file__).resolve().parents[1]
# Quick to run, slow to load: they import TensorFlow, and each worker imports all tests.
CONVERTER = "tests/converter"
ALWAYS = (
    CONVERTER,
    "tests/training/test_omniglot_data.py",
    "tests/training/test_texture_files.py",
    "tests/training/test_head_logit.py",
    "tests/training/test_crops.py",
    "tests/training/test_losses.py",
    "tests/training/test_pairs.py",
    "tests/training/test_stream.py",
)


def main() -> None:
    """Sum up each file, list the long ones, and say how many tests are left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds of computing a file")
    parser.add_argument("--out", type=Path, default=ROOT / "tests/slow.txt")
    asked = parser.parse_args()

    tests = tests_in(asked.report)
    computed_s: collections.Counter[str] = collections.Counter()
    for test in tests:
        computed_s[test.name.partition("::")[0]] += test.computed_s
    long = {file for file, seconds in computed_s.items() if seconds > asked.longest}
    slow = {*ALWAYS, *(file for file in long if not file.startswith(f"{CONVERTER}/"))}
    asked.out.write_text("".join(f"{name}\n" for name in sorted(slow)))
    kept = [test for test in tests if not test.name.startswith((f"{CONVERTER}/", *slow))]
    say(
        f"{asked.out}: {len(kept)} of {len(tests)} tests remain, "
        f"which compute for {sum(test.computed_s for test in kept):.0f} s"
    )
    if skipped := sum(test.outcome == "skipped" for test in tests):
        say(f"{skipped} tests were skipped, and what they cost is not known")


if __name__ == "__main__":
    main()
