"""docs/security.md: each promise names tests that exist, and each security test has a promise."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
TEXT = (REPO / "docs/security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
HEADER = "| promise | held by | proven by |"
# What these folders and files test is security alone: none may be there without a promise.
ONLY_SECURITY = (
    *("tests/audit/test_*.py", "tests/door/test_lock_*.py", "tests/hostile/test_*.py"),
    *("tests/reader/test_*.py", "tests/faces/test_gallery_sealed.py", "tests/faces/test_vault.py"),
    *("tests/faces/test_gallery_*.py", "tests/faces/test_credentials.py"),
    *("tests/faces/test_model_signature.py", "tests/faces/test_liveness_*.py"),
    *("tests/contract/test_gate.py", "tests/contract/test_signing.py"),
    *("tests/contract/test_keyring.py", "tests/contract/test_wire_vectors.py"),
    *("tests/daemon/test_a[cl]*.py", "tests/daemon/test_attempts.py"),
    *("tests/daemon/test_authority.py", "tests/daemon/test_challenge*.py"),
    *("tests/daemon/test_claims*.py", "tests/daemon/test_commands.py"),
    *("tests/daemon/test_shar*.py", "tests/contract/test_shared_gallery.py"),
    *("tests/daemon/test_audit.py", "tests/daemon/test_promises.py"),
    *("tests/link/test_roles.py", "tests/link/test_mosquitto.py", "tests/test_secret_file.py"),
    *("tests/systemd/test_encrypted_keys.py", "tests/systemd/test_units.py"),
)
# No promise of security: what the door's parts load, and who looks alike at an enrolment.
OTHERS = {"tests/door/test_lock_imports.py", "tests/faces/test_gallery_enrolment.py"}


def promises() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each row of the tables of promises: the promise, and the tests (file, name) it names."""
    section = TEXT.split("\n## Promises\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    lines = [row for row in rows if row not in {HEADER, "|---|---|---|"}]
    return [(line.split("|")[1].strip(), NAMED.findall(line.split("|")[3])) for line in lines]


@cache
def defined_in(file: str) -> Counter[str]:
    """The test functions that pytest collects from a file, and how often each is defined."""
    names: Counter[str] = Counter()
    tree = ast.parse((REPO / file).read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            names[node.name] += not any(
                ast.unparse(mark).startswith("pytest.mark.skip(") for mark in node.decorator_list
            )
    return names


def test_each_table_of_promises_says_who_keeps_them_and_what_proves_them() -> None:
    section = TEXT.split("\n## Promises\n")[1].split("\n## ")[0]
    assert section.count(HEADER) == section.count("\n### ") > 4
    assert len(promises()) > 40
    assert all(line.count("|") == 4 for line in section.splitlines() if line.startswith("|"))


@pytest.mark.parametrize(("promise", "tests"), promises(), ids=[row[0][:40] for row in promises()])
def test_each_promise_names_tests_that_exist_and_run(
    promise: str, tests: list[tuple[str, str]]
) -> None:
    assert tests, f"nothing proves: {promise}"
    # A second definition of one name would hide the first.
    wrong = [f"{file}::{name}" for file, name in tests if defined_in(file)[name] != 1]
    assert wrong == []


def test_no_test_is_named_in_another_form() -> None:
    anywhere = re.findall(r"tests/[\w/]+\.py(?:::\w+)?", TEXT)
    named = {f"{file}::{name}" for file, name in NAMED.findall(TEXT)}
    assert set(anywhere) - named == {"tests/test_security_doc.py"}


def test_no_security_test_is_without_a_promise() -> None:
    files = {str(path.relative_to(REPO)) for glob in ONLY_SECURITY for path in REPO.glob(glob)}
    assert all(list(REPO.glob(glob)) for glob in ONLY_SECURITY)
    proving = {file for _, tests in promises() for file, _ in tests}
    assert files - OTHERS - proving == set()
    assert OTHERS.isdisjoint(proving)


@pytest.mark.parametrize(
    "page", sorted(REPO.glob("docs/**/*.md")), ids=lambda page: str(page.relative_to(REPO))
)
def test_each_test_that_a_page_speaks_of_exists(page: Path) -> None:
    spoken_of = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", page.read_text())
    missing = [
        path
        for path, name in spoken_of
        if not (REPO / path).exists() or (name and defined_in(path)[name] != 1)
    ]
    assert missing == []
