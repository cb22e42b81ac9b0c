"""A port that was asked for is nobody else's, though nobody listens on it yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oneglance import broker
from oneglance.errors import BrokerError

ASK = "from oneglance import broker; broker._FIRST_PORT, broker._PORTS = {}, 1; broker.free_port()"


def test_nobody_gets_it_again_in_this_process_or_in_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = broker.free_port()
    monkeypatch.setattr(broker, "_FIRST_PORT", port)
    monkeypatch.setattr(broker, "_PORTS", 1)
    with pytest.raises(BrokerError, match="no port is free"):
        broker.free_port()
    asked = [sys.executable, "-c", ASK.format(port)]
    another = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert "no port is free" in another.stderr
    # Given back, it can be had.
    broker._claims.pop().close()
    assert broker.free_port() == port
