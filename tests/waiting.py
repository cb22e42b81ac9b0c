"""A pytest plugin: which tests wait for something that a busy machine can make late.

`pytest -p tests.waiting --junitxml FILE` writes for each test, as properties, its node id, what it
or a fixture of it did (started a process or a thread, used a socket, sent a signal, slept), and how
long it computed, its child processes included. scripts/steady.py repeats those tests.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

AUDITED = {
    "os.exec": "process",
    "os.fork": "process",
    "os.forkpty": "process",
    "os.posix_spawn": "process",
    "os.system": "process",
    "subprocess.Popen": "process",
    "socket.bind": "socket",
    "socket.connect": "socket",
    "os.kill": "signal",
    "os.killpg": "signal",
    "signal.pthread_kill": "signal",
}

_doing: set[str] = set()
_computed_before = 0.0
_of_fixture: dict[pytest.FixtureDef[Any], set[str]] = {}


def _heard(event: str, _arguments: tuple[object, ...]) -> None:
    if event in AUDITED:
        _doing.add(AUDITED[event])


def _computed_s() -> float:
    return sum(os.times()[:4])  # ours and that of children that were waited for


def _noting(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        _doing.add(kind)
        return function(*arguments, **named)

    return noted


def pytest_configure() -> None:
    """Begin to listen, before any test or module of ours is imported."""
    sys.addaudithook(_heard)
    # Python 3.11 tells its audit hooks nothing of these.
    threading.Thread.start = _noting("thread", threading.Thread.start)  # type: ignore[method-assign]
    BaseProcess.start = _noting("process", BaseProcess.start)  # type: ignore[method-assign]
    time.sleep = _noting("sleep", time.sleep)
    signal.raise_signal = _noting("signal", signal.raise_signal)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Keep what a fixture did: each test that uses it waits for the same."""
    before = set(_doing)
    _doing.clear()
    try:
        return (yield)
    finally:
        _of_fixture[fixturedef] = set(_doing)
        _doing.update(before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Forget the test before."""
    global _computed_before
    _doing.clear()
    _computed_before = _computed_s()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Add this test's properties to the report of its last phase."""
    if call.when == "teardown":
        fixtures = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009
        waits = _doing.union(*(_of_fixture.get(f, ()) for found in fixtures for f in found))
        item.user_properties += [
            ("nodeid", item.nodeid),
            ("waits", " ".join(sorted(waits))),
            ("computed_s", f"{_computed_s() - _computed_before:.3f}"),
        ]
    return (yield)
