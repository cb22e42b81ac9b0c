"""Threads share the heaps that they are told to share: any process's, and the daemon's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COUNT = """
import ctypes, sys, threading
from oneglance.heap import share_heaps

if sys.argv[1] == "shared":
    assert share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(6)

def take():
    together.wait()
    for _ in range(100):
        libc.malloc(1000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
# A dry run of the daemon: `run` is what the command calls.
RUN = """
import ctypes, sys
from oneglance.cli.run import run

run(source=[sys.argv[1]], pace="every")
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
"""
TELL = """
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(script: str, argument: str | Path, folder: Path) -> int:
    """How many heaps a process has that runs this script with the argument."""
    file = folder / "heaps.xml"
    child = [sys.executable, "-c", script + TELL, str(argument), str(file)]
    subprocess.run(child, check=True, timeout=120, capture_output=True)
    return file.read_text().count("<heap nr=")


@pytest.mark.parametrize(("told", "few"), [("shared", True), ("as glibc does", False)])
def test_heaps_of_threads(tmp_path: Path, told: str, few: bool) -> None:
    assert (heaps(COUNT, told, tmp_path) <= 2) is few


def test_the_daemon_shares_heaps_before_it_starts_a_thread(
    film: Callable[..., Path], tmp_path: Path
) -> None:
    assert heaps(RUN, film(), tmp_path) <= 2
