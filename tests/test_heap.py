"""Threads share the heaps that they are told to share, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
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
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.parametrize(("told", "few"), [("shared", True), ("as glibc does", False)])
def test_heaps_of_threads(tmp_path: Path, told: str, few: bool) -> None:
    file = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", COUNT, told, str(file)], check=True, timeout=60)
    assert (file.read_text().count("<heap nr=") <= 2) is few
