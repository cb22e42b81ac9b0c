"""An MQTT 5 broker inside this process's reach, for the demo and the tests only.

It has no passwords and no TLS, so it listens on the loopback address alone. A real door uses
mosquitto as configured in systemd/.
"""

from __future__ import annotations

import atexit
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.config import MqttConfig
from oneglance.errors import BrokerError, MissingPartError

_RUMQTTD_TOML = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10

[v5.1]
name = "loopback"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


# Linux assigns ports from 32768 on by itself, and might give one away before it is listened on.
PORTS = range(20_000, 32_000)


def free_port(among: range = PORTS) -> int:
    """A TCP port on the loopback address that nobody listens on.

    It stays reserved until this process ends: nobody else who asks here gets the same one, and a
    broker can end and come back. Raises BrokerError if there is none.
    """
    for _ in range(1000):
        port = secrets.choice(among)
        # A name in Linux's abstract namespace: nobody else can have it until this process ends.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0oneglance-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            atexit.register(claim.close)
            return port
    raise BrokerError("no port is free", where="127.0.0.1")


@contextmanager
def embedded_broker(port: int | None = None) -> Iterator[MqttConfig]:
    """Run a broker while the block runs; yields how to reach it.

    Raises MissingPartError without the `demo` extra, BrokerError if it does not start.
    """
    try:
        from iotcore import Broker
    except ImportError:
        raise MissingPartError(
            "the embedded broker is not installed", fix="pip install 'oneglance[demo]'"
        ) from None
    chosen = port or free_port()
    with tempfile.TemporaryDirectory(prefix="oneglance-broker-") as folder:
        toml = Path(folder) / "rumqttd.toml"
        toml.write_text(_RUMQTTD_TOML.format(port=chosen))
        broker = Broker(config_path=str(toml))
        try:
            broker.start(timeout=60)  # a busy machine starts a Python in ten seconds or more
        except (OSError, RuntimeError) as error:
            raise BrokerError(
                f"the embedded broker did not start: {error}", where=f"127.0.0.1:{chosen}"
            ) from None
        try:
            yield MqttConfig(host="127.0.0.1", port=chosen)
        finally:
            broker.stop()
