"""Regenerate the figures of docs/: `make bench`, every row of figures.toml that is not fresh.

python benchmarks/bench.py --data DATA [--only NAME ...] [--list] [--out build/bench]

Each row has a folder of its name in --out: stdout.txt, stderr.txt, and the files that it makes. A
row is fresh, and is not run again, while its command, its script (with what that imports from its
folder), the shipped models' manifests and the rows whose files it reads are what they were. What
else of oneglance has changed is not seen: delete its folder to run it anew. A row that was cut
short is run again beside the files that it left, so that scripts that can go on do.

Exit code 0: every row asked for is fresh now. 1: at least one failed. 2: none failed, but at least
one was skipped for lack of something, which is said.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("figures.toml")
_DATA = re.compile(r"(?<![^=])DATA(?=/|$)")


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: the command as docs/`page` names it, the files it makes, why it is run apart."""

    name: str
    page: str
    run: str
    makes: tuple[str, ...] = ()
    apart: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """All rows, where they leave things, and where the data is."""

    figures: tuple[Figure, ...]
    out: Path
    data: Path

    def reads(self, figure: Figure) -> dict[str, Figure]:
        """The rows that make the files which this one reads: the last before it in the list."""
        earlier = self.figures[: self.figures.index(figure)]
        makers = {made: one for one in earlier for made in one.makes}
        words = set(shlex.split(figure.run)) - set(figure.makes)
        return {made: one for made, one in makers.items() if made in words}

    def command(self, figure: Figure) -> list[str]:
        """What is executed, in ROOT."""
        places = {made: one.name for made, one in self.reads(figure).items()}
        places |= dict.fromkeys(figure.makes, figure.name)
        words = [
            str(self.out / places[word] / word)
            if word in places
            else _DATA.sub(lambda _: str(self.data), word)
            for word in shlex.split(figure.run)
        ]
        programs = {
            "python": sys.executable,
            "oneglance": str(Path(sys.executable).with_name("oneglance")),
        }
        return [programs.get(words[0], words[0]), *words[1:]]

    def lack(self, figure: Figure) -> str:
        """What it needs and nobody makes, in words; empty if nothing."""
        for word in self.command(figure)[1:]:
            path = ROOT / word.rpartition("=")[2]
            brought = path.is_relative_to(self.data) or word.startswith(".venv")
            if brought and not path.exists():
                return f"{path} is missing"
        return ""

    def mark(self, figure: Figure) -> str:
        """What its figures depend on, as a hash."""
        told = hashlib.sha256(figure.run.encode())
        scripts = (ROOT / word for word in shlex.split(figure.run) if word.endswith(".py"))
        manifests = (ROOT / "models").glob("*/manifest.json")
        for file in sorted({*_with_imports(scripts), *manifests}):
            told.update(file.read_bytes())
        for one in self.reads(figure).values():
            told.update(self.mark(one).encode())
        return told.hexdigest()

    def begun(self, figure: Figure) -> bool:
        """Whether what lies in its folder is of what it depends on now."""
        file = self.out / figure.name / "mark"
        return file.exists() and file.read_text() == self.mark(figure)

    def fresh(self, figure: Figure) -> bool:
        """Whether it has been run to its end, and nothing has changed since."""
        return self.begun(figure) and (self.out / figure.name / "stdout.txt").exists()

    def measure(self, figure: Figure) -> bool:
        """Run it; whether it succeeded."""
        folder = self.out / figure.name
        if folder.exists() and not self.begun(figure):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mark").write_text(self.mark(figure))
        unfinished = folder / "unfinished.txt"
        with unfinished.open("wb") as told, (folder / "stderr.txt").open("wb") as said:
            done = subprocess.run(
                self.command(figure), cwd=ROOT, stdout=told, stderr=said, check=False
            )
        if done.returncode == 0:
            unfinished.rename(folder / "stdout.txt")
        return done.returncode == 0


def _with_imports(scripts: Iterator[Path]) -> set[Path]:
    """These scripts, and all that they import from their folders."""
    found: set[Path] = set()
    left = [script for script in scripts if script.exists()]
    while left:
        file = left.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module]
            beside = (file.with_name(f"{name}.py") for name in named)
            left += [other for other in beside if other.exists()]
    return found


def read_figures(file: Path = LIST) -> tuple[Figure, ...]:
    """The rows of the list, in its order."""
    rows = tomllib.loads(file.read_text())["figure"]
    return tuple(Figure(**row | {"makes": tuple(row.get("makes", ()))}) for row in rows)


def chosen(bench: Bench, only: Sequence[str]) -> list[Figure]:
    """The rows to be run: all that are not apart, or those named and those that they read."""
    if not only:
        return [figure for figure in bench.figures if not figure.apart]
    if unknown := set(only) - {figure.name for figure in bench.figures}:
        raise SystemExit(f"there is no row {', '.join(sorted(unknown))}; LIST=1 shows all")
    wanted = {figure for figure in bench.figures if figure.name in only}
    while more := {one for row in wanted for one in bench.reads(row).values()} - wanted:
        wanted |= more
    return [figure for figure in bench.figures if figure in wanted]


def show(bench: Bench) -> None:
    """Print each row, whether it is fresh or why it cannot or would not be run."""
    for figure in bench.figures:
        state = "fresh" if bench.fresh(figure) else bench.lack(figure) or "to be run"
        if figure.apart:
            state += f"; only when named: {figure.apart}"
        print(f"{figure.name}: {state}\n    docs/{figure.page}: {figure.run}")


def measure_all(bench: Bench, figures: Sequence[Figure]) -> int:
    """Run what is not fresh, and say what came of each; the exit code."""
    failed, skipped = [], []
    for figure in figures:
        unmade = [one.name for one in bench.reads(figure).values() if not bench.fresh(one)]
        lack = f"it reads what {unmade[0]} makes" if unmade else bench.lack(figure)
        if bench.fresh(figure):
            print(f"{figure.name}: fresh", flush=True)
        elif lack:
            skipped.append(figure.name)
            print(f"{figure.name}: skipped, {lack}", flush=True)
        else:
            print(f"{figure.name}: {shlex.join(bench.command(figure))}", flush=True)
            if not bench.measure(figure):
                failed.append(figure.name)
                print(f"{figure.name}: failed, see {bench.out / figure.name / 'stderr.txt'}")
    done = len(figures) - len(failed) - len(skipped)
    print(f"{done} of {len(figures)} rows are there, in {bench.out}")
    for what, names in (("failed", failed), ("skipped", skipped)):
        if names:
            print(f"{what}: {', '.join(names)}")
    return 1 if failed else 2 if skipped else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the list, or bring its figures up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--figures", type=Path, default=LIST)
    args = parser.parse_args(arguments)
    bench = Bench(read_figures(args.figures), args.out.resolve(), args.data.resolve())
    if args.list:
        show(bench)
        return 0
    return measure_all(bench, chosen(bench, args.only))


if __name__ == "__main__":
    sys.exit(main())
