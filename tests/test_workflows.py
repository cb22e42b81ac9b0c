"""Workflows and docs name commands and modules that are there, on the package's own Pythons."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = [file.read_text() for file in sorted((ROOT / ".github/workflows").glob("*.yml"))]
MAKEFILE = (ROOT / "Makefile").read_text()
PHONY = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
TARGETS = set(" ".join(PHONY).replace("\\", " ").split())


def test_a_workflow_runs_what_a_contributor_would_type() -> None:
    steps = [step for text in WORKFLOWS for step in re.findall(r"\brun: (.*)", text)]
    assert {f"make {name}" for name in ("check", "docs", "test", "demo")} == set(steps)
    assert {step.removeprefix("make ") for step in steps} <= TARGETS


def test_the_workflows_try_each_python_that_the_package_names() -> None:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)", parsed["metadata"]["classifiers"])
    tried = [re.findall(r'"(3\.\d+)"', text) for text in re.findall(r"python: \[.*", WORKFLOWS[0])]
    assert tried == [named]
    assert parsed["options"]["python_requires"] == f">={named[0]}"


def test_each_make_target_that_a_page_names_is_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pages = {name: (ROOT / name).read_text() for name in listed.stdout.split()}
    command = re.compile(r"(?:^|`|&& )make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)", re.MULTILINE)
    missing = [
        f"{page}: make {target}"
        for page, text in pages.items()
        for target in command.findall(text)
        if target not in TARGETS
    ]
    assert missing == []
    assert set(re.findall(r"^# make ([a-z0-9-]+)", MAKEFILE, re.MULTILINE)) <= TARGETS


def test_the_reference_holds_each_module_that_an_example_or_a_page_imports() -> None:
    shown = [*(ROOT / "examples").glob("*.py"), *(ROOT / "docs").rglob("*.md")]
    imported = {
        module
        for file in shown
        for module in re.findall(r"^from (oneglance[\w.]*) import", file.read_text(), re.MULTILINE)
    }
    reference = "".join(page.read_text() for page in (ROOT / "docs/reference").glob("*.md"))
    assert "oneglance.contract.gate" in imported
    assert imported - set(re.findall(r"^::: (\S+)$", reference, re.MULTILINE)) == set()
