"""A fresh machine has what the tests execute, once `make test` has installed its packages."""

from __future__ import annotations

import re
import subprocess

import pytest
from programs import ALWAYS_THERE, PACKAGE_OF, ROOT


def test_make_test_installs_each_program_that_a_test_executes() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (packages,) = re.findall(r"^TEST_PACKAGES := (.*)$", makefile, re.MULTILINE)
    assert set(PACKAGE_OF.values()) - ALWAYS_THERE - set(packages.split()) == set()


def test_a_test_that_executes_another_program_fails() -> None:
    with pytest.raises(AssertionError, match="env is executed"):
        subprocess.run(["env"], check=True, capture_output=True)
