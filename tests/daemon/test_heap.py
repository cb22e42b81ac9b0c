"""Threads share the heaps that they are told to share, and what is free in them is given back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.heap import GIVE_BACK_EVERY_S, GivingBack

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


# Every second block of a page's size is held, so that the heap cannot shrink at its end.
HOLES = """
import ctypes
from oneglance.heap import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def own_mb():
    with open("/proc/self/smaps_rollup") as file:
        return int(next(line for line in file if line.startswith("Anonymous:")).split()[1]) / 1024

blocks = [libc.malloc(size) for _ in range(1000) for size in (40_000, 64)]
for block in blocks[::2]:
    ctypes.memset(block, 1, 40_000)
for block in blocks[::2]:
    libc.free(block)
held_mb = own_mb()
assert give_back()
print(held_mb - own_mb())
"""


def test_holes_in_a_heap_are_given_back() -> None:
    child = subprocess.run(
        [sys.executable, "-c", HOLES], check=True, timeout=120, capture_output=True, text=True
    )
    assert float(child.stdout) > 30


@given(st.lists(st.floats(0, 2000), max_size=20))
def test_it_is_given_back_every_ten_minutes_at_most(pauses_s: list[float]) -> None:
    now_s, given_at_s = 50.0, [50.0]
    giving_back = GivingBack(lambda: now_s, lambda: given_at_s.append(now_s))
    for pause_s in pauses_s:
        now_s += pause_s
        giving_back.work()
        assert now_s - given_at_s[-1] < GIVE_BACK_EVERY_S
    pauses = [after - before for before, after in pairwise(given_at_s)]
    assert all(pause_s >= GIVE_BACK_EVERY_S for pause_s in pauses)
