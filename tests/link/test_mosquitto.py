"""The link on a real mosquitto with the shipped TLS configuration and ACL."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from mosquitto_fixture import ROLES, Mosquitto, make_certificates
from wire_samples import TOPICS, make_decision

from oneglance.config import MqttConfig
from oneglance.contract.messages import ServiceState, Status
from oneglance.contract.signing import load_signing_key, sign
from oneglance.errors import BrokerError, ConfigError
from oneglance.link import Arrival, LastWill, Link

Wait = Callable[..., None]
# paho leaves the socket of a failed handshake to the garbage collector.
unclosed_by_paho = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def client(
    mqtt: MqttConfig, *filters: str, heard: list[Arrival] | None = None, **options: Any
) -> Iterator[Link]:
    link = Link(
        mqtt,
        f"test-{uuid.uuid4().hex[:8]}",
        subscriptions=tuple((topic, 1) for topic in filters),
        on_message=None if heard is None else heard.append,
        **options,
    )
    link.start()
    try:
        assert link.wait_connected(60)
        yield link
    finally:
        link.stop()


def status(state: ServiceState) -> bytes:
    return Status(issued_at=datetime.now(UTC), state=state, software="test").to_payload()


def test_the_daemon_speaks_and_all_who_may_hear_it(
    mosquitto: Mosquitto, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    lock: list[Arrival] = []
    kiosk: list[Arrival] = []
    admin: list[Arrival] = []
    reader: list[Arrival] = []
    with (
        client(mosquitto.mqtt("lock"), TOPICS.everything, heard=lock),
        client(mosquitto.mqtt("kiosk"), TOPICS.everything, heard=kiosk),
        client(mosquitto.mqtt("reader"), TOPICS.everything, heard=reader),
        client(mosquitto.mqtt("admin"), TOPICS.everything, heard=admin) as asking,
        client(mosquitto.mqtt("daemon"), TOPICS.commands) as daemon,
    ):
        # The admin hears everything, so the last message tells that all have been routed.
        daemon.publish(TOPICS.status, status(ServiceState.ONLINE), qos=1, retain=True)
        daemon.publish(TOPICS.visit, b"{}", qos=1)
        daemon.publish(TOPICS.challenge, b"{}", qos=1)
        daemon.publish(
            TOPICS.decision, sign(make_decision(1), load_signing_key(key_files[0])), qos=1
        )
        asking.publish(TOPICS.command("reload"), b"{}", qos=1)
        wait_until(lambda: len(admin) == 5, "the admin hears all five")
        wait_until(lambda: len(kiosk) == 4 and len(lock) == 1 and len(reader) == 2, "all heard")
    heard_by_screen = {TOPICS.status, TOPICS.visit, TOPICS.challenge, TOPICS.decision}
    assert {a.topic for a in kiosk} == heard_by_screen
    assert {a.topic for a in lock} == {TOPICS.decision}
    assert {a.topic for a in reader} == {TOPICS.status, TOPICS.visit}
    assert not lock[0].retained


@pytest.mark.parametrize(
    ("role", "topic"),
    [
        ("lock", TOPICS.decision),
        ("lock", TOPICS.status),
        ("lock", TOPICS.challenge),
        ("lock", TOPICS.command("reload")),
        ("kiosk", TOPICS.decision),
        ("kiosk", TOPICS.challenge),
        ("kiosk", TOPICS.door_state),
        ("kiosk", TOPICS.command("reload")),
        ("kiosk", TOPICS.command("delete")),
        ("admin", TOPICS.decision),
        ("admin", TOPICS.challenge),
        ("admin", TOPICS.door_state),
        ("reader", TOPICS.decision),
        ("reader", TOPICS.challenge),
        ("reader", TOPICS.command("reload")),
        ("daemon", TOPICS.door_state),
        ("daemon", TOPICS.command("reload")),
        ("daemon", "oneglance/v2/home/front/decision"),
    ],
)
def test_a_role_cannot_say_what_is_not_its_own(
    mosquitto: Mosquitto, wait_until: Wait, caplog: pytest.LogCaptureFixture, role: str, topic: str
) -> None:
    heard: list[Arrival] = []
    with (
        client(mosquitto.mqtt("admin"), "oneglance/#", heard=heard),
        client(mosquitto.mqtt(role)) as link,
    ):
        assert link.publish(topic, b"forged", qos=1)
        wait_until(lambda: link.publishes_refused == 1, "the link learns that it was refused")
        assert link.connected
    assert heard == []
    assert f"the broker refused a message on {topic}" in caplog.text
    assert "check its ACL" in caplog.text


def test_repeated_refusals_are_counted_and_logged_once(
    mosquitto: Mosquitto, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    with client(mosquitto.mqtt("kiosk")) as link:
        for _ in range(5):
            link.publish(TOPICS.decision, b"forged", qos=1)
        wait_until(lambda: link.publishes_refused == 5, "five refusals")
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1


def test_an_answer_that_comes_before_the_publish_has_returned_counts_as_well(
    mosquitto: Mosquitto, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = mqtt.Client.publish

    def slow(self: mqtt.Client, *args: Any, **more: Any) -> mqtt.MQTTMessageInfo:
        info = publish(self, *args, **more)
        wait_until(info.is_published, "answered")
        return info

    with client(mosquitto.mqtt("daemon")) as link:
        monkeypatch.setattr(mqtt.Client, "publish", slow)
        for topic in (TOPICS.door_state, TOPICS.decision):
            link.publish(topic, b"{}", qos=1)
        assert link.refused == {TOPICS.door_state: 1}
        assert link.refusing == {TOPICS.door_state}


def test_a_last_will_on_a_forbidden_topic_is_never_said(
    mosquitto: Mosquitto, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Arrival] = []
    made: list[mqtt.Client] = []
    connect = mqtt.Client.connect

    def noted(self: mqtt.Client, *args: Any, **more: Any) -> Any:
        made.append(self)
        return connect(self, *args, **more)

    with (
        client(mosquitto.mqtt("admin"), "oneglance/#", heard=heard),
        client(mosquitto.mqtt("daemon")) as daemon,
        monkeypatch.context() as patch,
    ):
        patch.setattr(mqtt.Client, "connect", noted)
        with client(mosquitto.mqtt("kiosk"), last_will=LastWill(TOPICS.decision, b"forged")):
            made[-1].socket().shutdown(socket.SHUT_RDWR)
            wait_until(lambda: "closed its connection" in mosquitto.log(), "the broker noticed")
            daemon.publish(TOPICS.status, b"{}", qos=1)
            wait_until(lambda: len(heard) > 0, "what came after")
    assert [a.topic for a in heard] == [TOPICS.status]


@pytest.mark.parametrize("who", ["wrong password", "unknown user", "anonymous"])
def test_a_stranger_is_refused_with_a_clear_line(
    mosquitto: Mosquitto, tmp_path: Path, who: str
) -> None:
    wrong = tmp_path / "wrong.password"
    wrong.write_text("guess")
    wrong.chmod(0o600)
    changes: dict[str, Any] = {
        "wrong password": {"password_file": wrong},
        "unknown user": {"user": "mallory"},
        "anonymous": {"user": None, "password_file": None},
    }[who]
    link = Link(mosquitto.mqtt("lock").model_copy(update=changes), "test-stranger")
    link.start()
    with pytest.raises(BrokerError) as caught:
        link.wait_connected(60)
    link.stop()
    assert caught.value.refused
    assert caught.value.exit_code == 69
    assert f"127.0.0.1:{mosquitto.port}: the broker refused us" in str(caught.value)
    assert "mqtt.password_file" in str(caught.value)
    assert "guess" not in str(caught.value)


@unclosed_by_paho
def test_a_broker_of_another_ca_is_not_trusted(
    mosquitto: Mosquitto, tmp_path: Path, wait_until: Wait
) -> None:
    make_certificates(tmp_path, "other-")
    mqtt = mosquitto.mqtt("lock").model_copy(update={"ca_file": tmp_path / "other-ca.crt"})
    link = Link(mqtt, "test-other-ca")
    link.start()
    wait_until(lambda: link.failure is not None, "it is noticed")
    assert not link.connected
    link.stop()
    assert "the broker's certificate is not trusted" in str(link.failure)
    assert "mqtt.ca_file" in str(link.failure)


@unclosed_by_paho
@pytest.mark.parametrize("name", ["broker.example", "127.0.0.2"])
def test_a_broker_of_another_name_is_not_trusted(
    mosquitto: Mosquitto, wait_until: Wait, name: str
) -> None:
    # The CA is the right one and the broker answers: only the name speaks against it.
    mosquitto.stop()
    make_certificates(mosquitto.folder, name=name)
    mosquitto.start()
    link = Link(mosquitto.mqtt("lock"), "test-name")
    link.start()
    wait_until(lambda: link.failure is not None or link.connected, "it is noticed")
    link.stop()
    assert not link.connected
    assert "the broker's certificate is not trusted: IP address mismatch" in str(link.failure)
    assert "that mqtt.host is the certificate's name" in str(link.failure)


def test_over_websockets_all_is_the_same(mosquitto: Mosquitto, wait_until: Wait) -> None:
    mosquitto.stop()
    port = mosquitto.listen_also("protocol websockets\n")
    mosquitto.start()
    heard: list[Arrival] = []
    over = {"port": port, "websocket_path": "/mqtt"}
    with (
        client(
            mosquitto.mqtt("lock").model_copy(update=over), TOPICS.decision, heard=heard
        ) as lock,
        client(mosquitto.mqtt("daemon").model_copy(update=over)) as daemon,
    ):
        assert daemon.publish(TOPICS.decision, b"x" * 3000, qos=1, expiry_s=5)
        wait_until(lambda: len(heard) == 1, "heard")
        assert heard[0].payload == b"x" * 3000
        assert lock.publish(TOPICS.status, b"forged", qos=1)
        wait_until(lambda: lock.publishes_refused == 1, "the ACL counts")


@unclosed_by_paho
def test_a_port_of_websockets_needs_the_path_and_another_has_none(
    mosquitto: Mosquitto, wait_until: Wait
) -> None:
    mosquitto.stop()
    port = mosquitto.listen_also("protocol websockets\n")
    mosquitto.start()
    for changes in ({"port": port}, {"websocket_path": "/mqtt"}):
        link = Link(mosquitto.mqtt("lock").model_copy(update=changes), "test-way")
        link.start()
        wait_until(lambda: link.failure is not None, "refused")  # noqa: B023
        link.stop()
        assert "mqtt.websocket_path" in str(link.failure)


@unclosed_by_paho
def test_a_client_certificate_is_who_it_says(mosquitto: Mosquitto, wait_until: Wait) -> None:
    mosquitto.stop()
    port = mosquitto.listen_also(
        f"cafile {mosquitto.folder}/ca.crt\nrequire_certificate true\n"
        "use_identity_as_username true\n"
    )
    mosquitto.start()
    folder = mosquitto.folder
    plain = mosquitto.mqtt("lock").model_copy(
        update={"port": port, "user": None, "password_file": None}
    )
    certificate = {"cert_file": folder / "client.crt", "key_file": folder / "client.key"}
    with client(plain.model_copy(update=certificate)) as lock:
        assert lock.publish(TOPICS.door_state, b"{}", qos=1)
        assert lock.publish(TOPICS.decision, b"forged", qos=1)
        wait_until(lambda: lock.publishes_refused == 1, "the ACL knows it for the lock")
    without = Link(plain, "test-without")
    without.start()
    wait_until(lambda: without.failure is not None, "turned away")
    without.stop()
    assert "mqtt.cert_file" in str(without.failure)


def test_a_key_with_a_pass_phrase_is_an_error_at_once(mosquitto: Mosquitto, tmp_path: Path) -> None:
    key = load_pem_private_key((mosquitto.folder / "client.key").read_bytes(), None)
    sealed = tmp_path / "sealed.key"
    sealed.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    )
    certificate = {"cert_file": mosquitto.folder / "client.crt", "key_file": sealed}
    with pytest.raises(ConfigError, match="no pass phrase"):
        Link(mosquitto.mqtt("lock").model_copy(update=certificate), "test")


def test_two_of_one_name_say_so(
    mosquitto: Mosquitto, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    first = Link(mosquitto.mqtt("lock"), "the-same")
    first.start()
    assert first.wait_connected(60)
    second = Link(mosquitto.mqtt("lock"), "the-same")
    second.start()
    wait_until(lambda: "does another client call itself 'the-same'" in caplog.text, "told")
    first.stop()
    second.stop()


def test_without_tls_nobody_gets_in(mosquitto: Mosquitto, wait_until: Wait) -> None:
    plain = mosquitto.mqtt("lock").model_copy(update={"tls": False, "ca_file": None})
    link = Link(plain, "test-plain")
    link.start()
    wait_until(lambda: link.failure is not None, "turned away")
    assert not link.wait_connected(0.2)
    link.stop()
    assert "that it wants mqtt.tls" in str(link.failure)


def test_a_certificate_file_that_is_none_is_an_error_at_once(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    mqtt = mosquitto.mqtt("lock")
    with pytest.raises(ConfigError, match="cannot use the certificates"):
        Link(mqtt.model_copy(update={"ca_file": tmp_path / "none.crt"}), "test")
    (tmp_path / "junk.crt").write_text("no certificate")
    with pytest.raises(ConfigError, match="cannot use the certificates"):
        Link(mqtt.model_copy(update={"ca_file": tmp_path / "junk.crt"}), "test")
    own = {"cert_file": mqtt.ca_file, "key_file": tmp_path / "none.key"}
    with pytest.raises(ConfigError, match="No such file") as caught:
        Link(mqtt.model_copy(update=own), "test")
    assert caught.value.where == str(own["key_file"])


def test_a_killed_broker_comes_back_and_nothing_stale_is_delivered(
    mosquitto: Mosquitto, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    key = load_signing_key(key_files[0])
    heard: list[Arrival] = []
    decisions = lambda: [a for a in heard if a.topic == TOPICS.decision]  # noqa: E731
    statuses = lambda: [a for a in heard if a.topic == TOPICS.status]  # noqa: E731

    def on_connected() -> None:
        daemon_links[0].publish(TOPICS.status, status(ServiceState.ONLINE), qos=1, retain=True)

    daemon_links: list[Link] = []
    daemon = Link(
        mosquitto.mqtt("daemon"),
        "test-daemon",
        on_connected=on_connected,
        last_will=LastWill(TOPICS.status, status(ServiceState.OFFLINE)),
    )
    daemon_links.append(daemon)
    daemon.start()
    with client(mosquitto.mqtt("kiosk"), TOPICS.decision, TOPICS.status, heard=heard) as kiosk:
        wait_until(lambda: len(statuses()) == 1, "first status")
        daemon.publish(TOPICS.decision, sign(make_decision(1), key), qos=1)
        wait_until(lambda: len(decisions()) == 1, "first decision")

        mosquitto.kill()
        # Nobody is told yet: this one is in flight when the connection turns out to be dead.
        daemon.publish(TOPICS.decision, sign(make_decision(2), key), qos=1)
        wait_until(lambda: not daemon.connected and not kiosk.connected, "both notice")
        assert not daemon.publish(TOPICS.decision, sign(make_decision(3), key), qos=1)

        mosquitto.start()
        wait_until(lambda: len(statuses()) >= 2, "a fresh status by itself, heard by the kiosk")
        assert daemon.publish(TOPICS.decision, sign(make_decision(4), key), qos=1)
        wait_until(lambda: len(decisions()) >= 2, "a fresh decision")
        sequences = [b'"sequence":%d,' % n in a.payload for a in decisions() for n in (1, 4)]
        assert sequences == [True, False, False, True]
    daemon.stop()


def test_a_client_that_was_away_gets_nothing_that_was_said_meanwhile(
    mosquitto: Mosquitto, wait_until: Wait
) -> None:
    heard: list[Arrival] = []
    mqtt = mosquitto.mqtt("lock")

    def lock() -> Link:
        return Link(mqtt, "same-id", subscriptions=((TOPICS.decision, 1),), on_message=heard.append)

    with client(mosquitto.mqtt("daemon")) as daemon:
        first = lock()
        first.start()
        assert first.wait_connected(60)
        daemon.publish(TOPICS.decision, b"one", qos=1)
        wait_until(lambda: len(heard) == 1, "one")
        first.stop()
        daemon.publish(TOPICS.decision, b"two", qos=1)
        second = lock()
        second.start()
        assert second.wait_connected(60)
        daemon.publish(TOPICS.decision, b"three", qos=1)
        wait_until(lambda: len(heard) >= 2, "three")
        second.stop()
    assert [a.payload for a in heard] == [b"one", b"three"]


def test_each_role_of_the_shipped_acl_is_known(mosquitto: Mosquitto) -> None:
    acl = (mosquitto.folder / "acl").read_text()
    users = {line.split()[1] for line in acl.splitlines() if line.startswith("user ")}
    assert users == set(ROLES.values())


def test_the_broker_accepts_the_shipped_files_without_a_warning(mosquitto: Mosquitto) -> None:
    complaints = [
        line
        for line in mosquitto.log().splitlines()
        # Only the test runs it as root.
        if ("Error" in line or "Warning" in line) and "run as root" not in line
    ]
    assert complaints == []
