"""A port that was asked for is nobody else's, though nobody listens on it yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oneglance import broker
from oneglance.errors import BrokerError

ASK = "from oneglance import broker; broker._FIRST_PORT, broker._PORTS = {}, {}; "


def asked(first: int, count: int) -> subprocess.CompletedProcess[str]:
    """Another process that asks for one of these ports, and ends."""
    code = f"{ASK.format(first, count)}print(broker.free_port())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_until_its_process_ends_nobody_else_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    another = asked(broker._FIRST_PORT, broker._PORTS)
    assert another.stderr == ""
    port = int(another.stdout)
    monkeypatch.setattr(broker, "_FIRST_PORT", port)
    monkeypatch.setattr(broker, "_PORTS", 1)
    assert broker.free_port() == port
    with pytest.raises(BrokerError, match="no port is free"):
        broker.free_port()
    assert "no port is free" in asked(port, 1).stderr
