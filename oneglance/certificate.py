"""The broker's certificate: what it has to satisfy, and when it ends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from oneglance.config import MqttConfig
from oneglance.errors import ConfigError

# Time to make a new one, and to take it to every machine that connects to the broker. Authorities
# that give one for 90 days have it renewed before that.
NOTICE = timedelta(days=21)
LOOK_EVERY_S = 24 * 3600.0
LOOK_AGAIN_S = 300.0
_TIMEOUT_S = 5.0


def tls_context(mqtt: MqttConfig) -> ssl.SSLContext:
    """By what the broker is trusted, and what is shown to it.

    Raises ConfigError when a file cannot be used.
    """
    # OpenSSL does not say which of the files it means.
    where = str(mqtt.ca_file or "mqtt")
    try:
        context = ssl.create_default_context(
            cafile=None if mqtt.ca_file is None else str(mqtt.ca_file)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if mqtt.cert_file is not None and mqtt.key_file is not None:
            for file in (mqtt.cert_file, mqtt.key_file):
                where = str(file)
                file.open("rb").close()
            where = f"{mqtt.cert_file}, {mqtt.key_file}"
            # Without this, OpenSSL would ask the terminal for a pass phrase, and wait.
            context.load_cert_chain(str(mqtt.cert_file), str(mqtt.key_file), password="")
    except OSError as error:
        raise ConfigError(
            f"cannot use the certificates: {error.strerror or error}",
            where=where,
            fix="check ca_file, cert_file and key_file, which has no pass phrase",
        ) from None
    return context


def shown_until(mqtt: MqttConfig) -> datetime:
    """When the certificate ends that the broker shows now, by a connection for that alone.

    One that stands may be older than the certificate. Raises OSError if the broker cannot be
    reached or is not trusted.
    """
    context = tls_context(mqtt)
    with (
        socket.create_connection((mqtt.host, mqtt.port), timeout=_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=mqtt.host) as connection,
    ):
        shown = connection.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


class CertificateWatch:
    """Looks once a day, in a thread of its own, when the broker's certificate ends.

    `look` is as `shown_until`; `wall` is the wall clock. After a look in vain the next one follows
    `again_s` seconds later.
    """

    def __init__(
        self,
        look: Callable[[], datetime],
        wall: Callable[[], datetime],
        again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._look, self._wall, self._again_s = look, wall, again_s
        self._ends: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificate", daemon=True)

    @property
    def ends_soon(self) -> bool:
        """Whether it is known that the certificate ends within 21 days, or has ended."""
        return self._ends is not None and self._ends - self._wall() <= NOTICE

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that waits for the network is left alone."""
        self._stopping.set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                self._ends = self._look()
                pause_s = LOOK_EVERY_S
            except (OSError, ValueError, ConfigError):
                # Why the broker is not reached or trusted is told by who wants to speak with it.
                pause_s = self._again_s
