"""A port that was asked for is nobody else's, though nobody listens on it yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oneglance.broker import PORTS, free_port
from oneglance.errors import BrokerError


def asked(among: range) -> subprocess.CompletedProcess[str]:
    """Another process that asks for one of these ports, and ends."""
    code = f"from oneglance.broker import free_port; print(free_port({among!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_until_its_process_ends_nobody_else_gets_it() -> None:
    another = asked(PORTS)
    assert another.stderr == ""
    port = int(another.stdout)
    only = range(port, port + 1)
    assert free_port(only) == port
    with pytest.raises(BrokerError, match="no port is free"):
        free_port(only)
    assert "no port is free" in asked(only).stderr
