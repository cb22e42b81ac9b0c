"""How a command ends that is interrupted, or that nobody listens to: quietly, with a code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Stops the process by a signal when it imports a certain module: a moment that can be repeated.
_PROBE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
name, number, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class InFinaliser:
    def __del__(self):
        signal.raise_signal(number)
class Stopper:
    def find_spec(self, wanted, path=None, target=None):
        if wanted != name:
            return None
        sys.meta_path.remove(self)
        if how == "finaliser":
            InFinaliser()
        else:
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                if how == "plain":
                    raise
                # As an extension module may do that asks for another in C.
                raise ImportError("could not be imported") from None
sys.meta_path.insert(0, Stopper())
sys.argv[1:] = sys.argv[4:]
from oneglance.cli.start import main
main()
"""


@pytest.mark.parametrize(
    ("at", "number", "how"),
    [
        ("typer", signal.SIGINT, "plain"),
        ("typer", signal.SIGTERM, "plain"),
        ("oneglance.cli.run", signal.SIGINT, "plain"),
        ("cv2", signal.SIGINT, "plain"),
        ("cv2", signal.SIGTERM, "plain"),
        ("cv2", signal.SIGINT, "other error"),
        ("numpy", signal.SIGINT, "finaliser"),
    ],
)
def test_a_signal_while_a_command_starts_ends_it_quietly(
    tmp_path: Path, at: str, number: signal.Signals, how: str
) -> None:
    command = ("run", "--source", str(tmp_path / "none.mp4"))
    result = subprocess.run(
        [sys.executable, "-c", _PROBE, at, str(int(number)), how, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (128 + number, "", "")


def test_who_ignores_ctrl_c_from_the_beginning_goes_on(tmp_path: Path) -> None:
    probe = _PROBE.replace("signal.default_int_handler", "signal.SIG_IGN")
    arguments = ["cv2", str(int(signal.SIGINT)), "plain", "run", "--source", "none.mp4"]
    result = subprocess.run(
        [sys.executable, "-c", probe, *arguments], capture_output=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 66


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_a_reader_that_left_is_no_error(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-m", "oneglance.cli.start", command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, "")
