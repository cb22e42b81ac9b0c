"""Feed every parser of tests/hostile/hostile_targets.py hostile input, guided by what it reaches.

`make fuzz MINUTES=n` gives each target its share of the time, in a process of its own. Corpus and
findings stay in build/fuzz/TARGET. Exit code 1 if anything was found.

Atheris (Google's fuzzer for Python, libFuzzer underneath) has wheels for x86-64 only.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = ROOT / "tests" / "hostile"
OUT = ROOT / "build" / "fuzz"
# From these limits on, libFuzzer counts a slow input, or one that takes much memory, as a finding.
SLOW_S, MOST_MB = 20, 2048


def say(text: str, end: str = "\n") -> None:
    """Print at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def child(name: str, seconds: int) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["oneglance", "rfc8785", "tomllib", "json"]):
        from hostile_targets import TARGETS

    target = TARGETS[name]
    corpus, seeds = OUT / name / "corpus", OUT / name / "seeds"
    for folder in (corpus, seeds, OUT / name / "found"):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / str(number)).write_bytes(seed)
    longest = 2 * max(len(seed) for seed in target.seeds())
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={longest}",
        "-verbosity=0",
        f"-timeout={SLOW_S}",
        f"-rss_limit_mb={MOST_MB}",
        f"-artifact_prefix={OUT / name / 'found'}/",
        "-print_final_stats=1",
        str(corpus),
        str(seeds),
    ]
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


def campaign(minutes: float, only: list[str]) -> int:
    """Fuzz all targets, or only some, one after the other; the exit code."""
    sys.path[:0] = [str(HOSTILE), str(ROOT / "tests")]
    from hostile_targets import TARGETS

    names = only or list(TARGETS)
    unknown = set(names) - set(TARGETS)
    if unknown:
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    share_s = max(5, round(60 * minutes / len(names)))
    environment = os.environ | {"PYTHONPATH": f"{HOSTILE}:{ROOT / 'tests'}"}
    total = failed = 0
    for name in names:
        say(f"{name:10} ", end="")
        command = [sys.executable, __file__, "--child", name, "--seconds", str(share_s)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        done = re.search(r"number_of_executed_units: (\d+)", run.stderr)
        cases = int(done[1]) if done else 0
        total += cases
        say(f"{cases:10,} cases in {share_s} s {'' if run.returncode == 0 else 'FOUND'}")
        if run.returncode != 0:
            failed += 1
            say(run.stderr[-3000:])
    say(f"{'all':10} {total:10,} cases, {failed} targets with a finding")
    return 1 if failed else 0


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="only these")
    parser.add_argument("--minutes", type=float, default=10, help="for all together")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seconds)
        return
    try:
        import atheris  # noqa: F401
    except ImportError:
        sys.exit("Atheris is not installed (it has wheels for x86-64): pip install 'atheris>=3'")
    sys.exit(campaign(options.minutes, options.targets))


if __name__ == "__main__":
    main()
