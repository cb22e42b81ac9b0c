"""The link on a real broker; a hand-written one for the corner a real one will not show."""

from __future__ import annotations

import gc
import os
import re
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from scripted_broker import scripted

from oneglance.broker import embedded_broker, free_port
from oneglance.broker_words import connect_refusal, subscribe_refusal
from oneglance.config import MqttConfig
from oneglance.errors import BrokerError, ConfigError
from oneglance.link import MAX_REMEMBERED, Arrival, LastWill, Link

Wait = Callable[..., None]


@contextmanager
def running(mqtt: MqttConfig, **options: object) -> Iterator[Link]:
    link = Link(mqtt, f"test-{uuid.uuid4().hex[:8]}", **options)
    link.start()
    try:
        assert link.wait_connected(60)
        yield link
    finally:
        link.stop()


def test_a_message_goes_from_one_link_to_another(broker: MqttConfig, wait_until: Wait) -> None:
    heard: list[Arrival] = []
    with (
        running(broker, subscriptions=(("a/+", 1),), on_message=heard.append),
        running(broker) as speaker,
    ):
        assert speaker.publish("a/b", b"\x00\xff", qos=1, correlation=b"42")
        wait_until(lambda: len(heard) == 1, "heard")
    assert heard[0].topic == "a/b"
    assert heard[0].payload == b"\x00\xff"
    assert heard[0].correlation == b"42"
    assert not heard[0].retained


def test_a_publish_from_another_thread_goes_out_at_once(
    broker: MqttConfig, wait_until: Wait
) -> None:
    """A hundred round trips: were each to wait for paho's one-second tick, this would time out."""
    echoes: list[Arrival] = []
    with (
        running(broker, subscriptions=(("echo", 1),), on_message=echoes.append),
        running(broker) as speaker,
    ):
        for n in range(100):
            speaker.publish("echo", b"%d" % n, qos=1)
            wait_until(lambda n=n: len(echoes) > n, "echo")


def test_many_threads_may_publish(broker: MqttConfig, wait_until: Wait) -> None:
    heard: list[Arrival] = []
    with (
        running(broker, subscriptions=(("many/#", 0),), on_message=heard.append),
        running(broker) as speaker,
    ):

        def speak(name: int) -> None:
            for n in range(50):
                speaker.publish(f"many/{name}", b"%d" % n, qos=0)

        threads = [threading.Thread(target=speak, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(heard) == 200, "all whole")
    for name in range(4):
        mine = [int(a.payload) for a in heard if a.topic == f"many/{name}"]
        assert mine == list(range(50))


def test_a_consumer_that_raises_does_not_deafen_the_link(
    broker: MqttConfig, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    def consume(arrival: Arrival) -> None:
        heard.append(arrival.payload)
        if arrival.payload == b"poison":
            raise RuntimeError("a bug")

    with (
        running(broker, subscriptions=(("t", 1),), on_message=consume) as link,
        running(broker) as speaker,
    ):
        speaker.publish("t", b"poison", qos=1)
        speaker.publish("t", b"after", qos=1)
        wait_until(lambda: heard == [b"poison", b"after"], "still listening")
        assert link.alive
    assert "could not handle a message on t" in caplog.text


def test_while_disconnected_nothing_is_kept(wait_until: Wait) -> None:
    port = free_port()
    heard: list[Arrival] = []
    link = Link(MqttConfig(port=port), "away")
    link.start()
    wait_until(lambda: link.failure is not None, "nobody there")
    assert not link.publish("t", b"stale", qos=1)
    with embedded_broker(port=port) as mqtt:
        with running(mqtt, subscriptions=(("t", 1),), on_message=heard.append):
            wait_until(lambda: link.connected, "found it")
            assert link.publish("t", b"fresh", qos=1)
            wait_until(lambda: len(heard) == 1, "heard")
        link.stop()
    assert [a.payload for a in heard] == [b"fresh"]


def test_the_first_failure_warns_and_the_same_again_does_not(
    wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "oneglance.link")
    link = Link(MqttConfig(port=free_port()), "away")
    link.start()
    wait_until(lambda: len(caplog.records) >= 2, "two attempts")
    link.stop()
    levels = [record.levelname for record in caplog.records]
    assert levels[:2] == ["WARNING", "DEBUG"]
    assert "is the broker running" in caplog.text


def test_a_farewell_is_retained_and_no_last_will_follows(
    broker: MqttConfig, wait_until: Wait
) -> None:
    heard: list[Arrival] = []
    link = Link(broker, "leaving", last_will=LastWill("state", b"vanished"))
    link.start()
    assert link.wait_connected(60)
    with running(broker, subscriptions=(("state", 1), ("end", 1)), on_message=heard.append) as ear:
        link.stop(("state", b"goodbye"))
        assert not link.alive
        ear.publish("end", b"", qos=1)
        wait_until(lambda: any(a.topic == "end" for a in heard), "the end")
    assert [a.payload for a in heard if a.topic == "state"] == [b"goodbye"]
    late: list[Arrival] = []
    with running(broker, subscriptions=(("state", 1),), on_message=late.append):
        wait_until(lambda: len(late) == 1, "retained")
    assert late[0].payload == b"goodbye"
    assert late[0].retained


def test_stopping_twice_or_before_starting_is_harmless(broker: MqttConfig) -> None:
    link = Link(broker, "early")
    link.stop()
    with running(broker) as other:
        other.stop()


def test_a_stopped_link_goes_with_its_last_user(broker: MqttConfig) -> None:
    """Its sockets are then closed at once, not whenever the garbage collector comes by."""
    gc.collect()
    gc.disable()
    try:
        link = Link(broker, "short-lived")
        link.start()
        assert link.wait_connected(20)
        link.stop()
        there = weakref.ref(link)
        del link
        assert there() is None
    finally:
        gc.enable()


def test_what_is_remembered_of_sent_messages_stays_small(
    broker: MqttConfig, wait_until: Wait
) -> None:
    class Topic(str):
        """A topic that can be seen to be forgotten."""

        __slots__ = ("__weakref__",)

    with running(broker) as link:
        sent = []
        for _ in range(5 * MAX_REMEMBERED):
            topic = Topic("t")
            link.publish(topic, b"x", qos=1)
            sent.append(weakref.ref(topic))
        del topic
        assert sum(there() is not None for there in sent) <= MAX_REMEMBERED


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("secret-word")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others") as caught:
        Link(MqttConfig(user="me", password_file=secret), "test")
    assert "chmod 600" in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x80", b"caf\xe9"])
def test_a_password_that_is_no_text_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(content)
    secret.chmod(0o600)
    with pytest.raises(ConfigError, match="not UTF-8 text") as caught:
        Link(MqttConfig(user="me", password_file=secret), "test")
    assert str(secret) in str(caught.value)
    assert "caf" not in str(caught.value)


def test_a_fifo_as_password_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "password", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        Link(MqttConfig(user="me", password_file=tmp_path / "password"), "test")


def test_a_refused_subscription_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    with (
        scripted(granted=(0x01, 0x87)) as mqtt,
        running(mqtt, subscriptions=(("mine", 1), ("theirs", 1))) as link,
    ):
        link.check_heard("mine")
        with pytest.raises(BrokerError, match=r"theirs: .*may not hear it.* check the"):
            link.check_heard()
    assert "theirs: the broker does not let us hear it" in caplog.text


# CONNACK: no session, the code, no properties; 31 is a text to read, 28 another server's name.
@pytest.mark.parametrize(
    ("connack", "says", "lasting"),
    [
        # As a broker of MQTT 3.1.1 answers: no place for properties.
        (bytes([0x20, 2, 0, 1]), r"does not speak MQTT 5\. let it: decisions need", True),
        (bytes([0x20, 3, 0, 0x84, 0]), "does not speak MQTT 5", True),
        (bytes([0x20, 3, 0, 0x86, 0]), "user or password is wrong", True),
        (bytes([0x20, 3, 0, 0x89, 0]), r"it is busy\. it is tried again", False),
        (bytes([0x20, 3, 0, 0x97, 0]), "quota", False),
        (bytes([0x20, 8, 0, 0x9D, 5, 28, 0, 2]) + b"b2", r"another server \(b2\)\. name", True),
        (bytes([0x20, 8, 0, 0x87, 5, 31, 0, 2]) + b"no", r"may not connect \(no\)\. check", True),
        # Not MQTT 5: a code of 3.1.1, and rubbish.
        (bytes([0x20, 2, 0, 5]), "that it speaks MQTT 5", False),
        (bytes([0x20, 1, 0]), "that it speaks MQTT 5", False),
    ],
)
def test_each_refusal_says_what_to_do(
    connack: bytes, says: str, lasting: bool, wait_until: Wait
) -> None:
    with scripted(connack) as mqtt:
        link = Link(mqtt, "test")
        link.start()
        if lasting:
            with pytest.raises(BrokerError, match=says):
                link.wait_connected(60)
        wait_until(lambda: link.failure is not None, "refused")
        assert link.failure is not None
        assert re.search(says, str(link.failure))
        assert link.failure.refused is lasting
        assert link.alive
        link.stop()


def test_every_code_of_the_protocol_has_words_of_its_own() -> None:
    known = ReasonCode(PacketTypes.CONNACK).names
    for packet, words in (
        (PacketTypes.CONNACK, connect_refusal),
        (PacketTypes.SUBACK, subscribe_refusal),
    ):
        codes = [
            code
            for code, names in known.items()
            if code >= 0x80 and any(packet in packets for packets in names.values())
        ]
        assert len(codes) > 8
        assert len({words(code).what for code in codes}) == len(codes)
        assert words(0xFE).what
