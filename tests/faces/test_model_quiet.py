"""What a load of the model says on standard error, and that nothing else gets lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oneglance.faces.model.quiet import NO_NEWS, without_no_news

USE = (
    "import numpy as np;"
    "from oneglance.faces.model.face_model import load_model;"
    "load_model().encode(np.zeros((1, 112, 112, 3), np.uint8))"
)


def test_loading_and_using_the_model_says_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", USE], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_all_else_comes_out_in_its_order(capfd: pytest.CaptureFixture[str]) -> None:
    with without_no_news():
        os.write(2, b"first\n" + NO_NEWS + b"\n")
        os.write(2, b"second, " + NO_NEWS + b"\nlast, unended")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == f"first\nsecond, {NO_NEWS.decode()}\nlast, unended"


def test_what_was_said_before_something_was_raised_comes_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        os.write(2, b"why\n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), without_no_news():
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "why\nafter\n"


def test_a_process_without_standard_error_can_use_the_model() -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import os; os.close(2); {USE}; print('used')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "used\n")


def test_a_standard_error_that_takes_nothing_stops_no_model() -> None:
    code = (
        "import os;"
        "from oneglance.faces.model.quiet import without_no_news\n"
        "with without_no_news(): os.write(2, b'lost')\n"
        "print('on')"
    )
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (run.returncode, run.stdout) == (0, b"on\n")
