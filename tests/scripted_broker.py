"""A broker that says what a real one rarely does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from oneglance.config import MqttConfig


class ScriptedBroker:
    """Answers each CONNECT and each SUBSCRIBE with bytes that a real broker may send.

    It answers what is published with QoS 1, too, and takes all but what is on the topic `refuses`.

    Which rarely happens: mosquitto lets anybody subscribe and filters later, for one.
    """

    def __init__(
        self,
        connack: bytes = bytes([0x20, 3, 0, 0, 0]),
        granted: tuple[int, ...] = (),
        refuses: bytes = b"-",
    ) -> None:
        self._connack, self._granted, self._refuses = connack, granted, refuses
        self._server = socket.create_server(("127.0.0.1", 0))
        self.mqtt = MqttConfig(port=self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream, suppress(ConnectionError):
                while head := stream.read(1):
                    length = shift = 0
                    while (byte := stream.read(1)[0]) & 0x80:
                        length, shift = length | (byte & 0x7F) << shift, shift + 7
                    body = stream.read(length | byte << shift)
                    if head[0] >> 4 == 1:
                        connection.sendall(self._connack)
                    elif head[0] >> 4 == 8:
                        # SUBACK: packet id, no properties, a code for each topic.
                        answer = bytes([*body[:2], 0, *self._granted])
                        connection.sendall(bytes([0x90, len(answer)]) + answer)
                    elif head[0] >> 4 == 3 and head[0] & 0x06:
                        size = int.from_bytes(body[:2])
                        topic, mid = body[2 : 2 + size], body[2 + size : 4 + size]
                        code = 0x87 if topic == self._refuses else 0
                        connection.sendall(bytes([0x40, 3, *mid, code]))

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(20)


@contextmanager
def scripted(*arguments: Any, **options: Any) -> Iterator[MqttConfig]:
    server = ScriptedBroker(*arguments, **options)
    try:
        yield server.mqtt
    finally:
        server.close()
