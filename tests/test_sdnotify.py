"""sd_notify, against a real datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from oneglance.sdnotify import Notifier


def received(manager: socket.socket) -> list[bytes]:
    manager.setblocking(False)
    lines = []
    while True:
        try:
            lines.append(manager.recv(4096))
        except BlockingIOError:
            return lines


@pytest.mark.parametrize("abstract", [False, True])
def test_each_call_is_one_datagram(tmp_path: Path, abstract: bool) -> None:
    name = f"@oneglance-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0") if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready()
        notifier.status("two\nlines")
        notifier.watchdog()
        notifier.stopping()
        assert received(manager) == [b"READY=1", b"STATUS=two lines", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_the_variable_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.watchdog()
    assert notifier.watchdog_period_s is None


def test_a_dead_manager_does_not_disturb_the_service(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_the_watchdog_is_fed_twice_as_often_as_asked() -> None:
    assert Notifier({"WATCHDOG_USEC": "20000000"}).watchdog_period_s == 10.0


@pytest.mark.parametrize("usec", ["", "0", "soon", "-5"])
def test_no_watchdog_no_period(usec: str) -> None:
    assert Notifier({"WATCHDOG_USEC": usec}).watchdog_period_s is None


def test_a_watchdog_meant_for_another_process_is_not_ours() -> None:
    environ = {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid() + 1)}
    assert Notifier(environ).watchdog_period_s is None
    environ["WATCHDOG_PID"] = str(os.getpid())
    assert Notifier(environ).watchdog_period_s == 10.0
