"""The publisher against a real broker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from oneglance.broker import embedded_broker, free_port
from oneglance.config import MqttConfig
from oneglance.contract.messages import Phase, Visit
from oneglance.contract.topics import Topics
from oneglance.daemon.issuer import Clocks
from oneglance.daemon.outbox import Outgoing
from oneglance.daemon.publisher import Publisher
from oneglance.link import Arrival, Link

TOPICS = Topics("test", "front")
CLOCKS = Clocks(lambda: datetime.now(UTC), time.monotonic)
Wait = Callable[..., None]


class Listener:
    """Somebody who hears everything about the door, and may send commands."""

    def __init__(self, mqtt: MqttConfig) -> None:
        self.heard: list[Arrival] = []
        self.link = Link(
            mqtt,
            "listener",
            subscriptions=((TOPICS.everything, 1), ("answers/#", 1)),
            on_message=self.heard.append,
        )
        self.link.start()
        assert self.link.wait_connected(20)

    def on(self, topic: str) -> list[Arrival]:
        return [arrival for arrival in self.heard if arrival.topic == topic]

    def states(self) -> list[str]:
        return [json.loads(a.payload)["state"] for a in self.on(TOPICS.status)]


@contextmanager
def listening(mqtt: MqttConfig) -> Iterator[Listener]:
    listener = Listener(mqtt)
    try:
        yield listener
    finally:
        listener.link.stop()


@contextmanager
def publishing(
    mqtt: MqttConfig, on_command: Callable[[Arrival], None] = lambda _: None
) -> Iterator[Publisher]:
    publisher = Publisher(mqtt, TOPICS, model_id="model:1", clocks=CLOCKS, on_command=on_command)
    publisher.start(20)
    try:
        yield publisher
    finally:
        publisher.stop()


def decision(name: str, lives_s: float) -> Outgoing:
    return Outgoing(name.encode(), time.monotonic() + lives_s, name)


def test_status_tells_the_daemons_life_and_is_retained(
    broker: MqttConfig, wait_until: Wait
) -> None:
    with listening(broker) as listener:
        with publishing(broker) as publisher:
            wait_until(lambda: listener.states() == ["degraded"], "no status while starting")
            publisher.set_reasons(("camera_lost:front",))
            publisher.set_reasons(())
            publisher.set_reasons(())
            wait_until(lambda: listener.states()[-1] == "online", "never online")
        wait_until(lambda: listener.states()[-1] == "offline", "no farewell")
        assert listener.states() == ["degraded", "degraded", "online", "offline"]
    with listening(broker) as late:
        wait_until(lambda: late.states() == ["offline"], "the status was not retained")
        assert late.on(TOPICS.status)[0].retained


def test_a_decision_is_delivered_and_never_retained(broker: MqttConfig, wait_until: Wait) -> None:
    with listening(broker) as listener, publishing(broker) as publisher:
        publisher.decision(decision("one", 5.0))
        wait_until(lambda: len(listener.on(TOPICS.decision)) == 1, "no decision came")
    with listening(broker) as late, publishing(broker) as publisher:
        publisher.visit(Visit(issued_at=CLOCKS.wall(), visit_id="v", phase=Phase.LOOK))
        wait_until(lambda: late.on(TOPICS.visit) != [], "no visit came")
        assert late.on(TOPICS.decision) == []


def test_a_decision_that_expired_while_the_broker_was_away_is_never_delivered(
    wait_until: Wait,
) -> None:
    port = free_port()
    with embedded_broker(port) as mqtt:
        pass
    with publishing_unreachable(mqtt) as publisher:
        publisher.decision(decision("stale", 0.2))
        publisher.decision(decision("fresh", 60.0))
        wait_until(lambda: expired(publisher), "it did not expire")
        assert publisher.take_dropped() == ["stale"]
        with embedded_broker(port), listening(mqtt) as listener:
            wait_until(lambda: listener.on(TOPICS.decision) != [], "the fresh one never came")
            publisher.decision(decision("last", 60.0))
            wait_until(lambda: listener.on(TOPICS.decision)[-1].payload == b"last", "the last one")
            assert [a.payload for a in listener.on(TOPICS.decision)] == [b"fresh", b"last"]


def expired(publisher: Publisher) -> bool:
    publisher.pump()
    return publisher.dropped == 1


@contextmanager
def publishing_unreachable(mqtt: MqttConfig) -> Iterator[Publisher]:
    publisher = Publisher(
        mqtt, TOPICS, model_id="model:1", clocks=CLOCKS, on_command=lambda _: None
    )
    assert not publisher.start(0.1)
    try:
        yield publisher
    finally:
        publisher.stop()


def test_after_a_broker_restart_status_is_fresh_commands_are_heard_and_nothing_stale_comes(
    wait_until: Wait,
) -> None:
    port = free_port()
    commands: list[Arrival] = []
    first = ExitStack()
    mqtt = first.enter_context(embedded_broker(port))
    with publishing(mqtt, commands.append) as publisher:
        publisher.set_reasons(())
        first.close()
        wait_until(lambda: not publisher.link.connected, "the loss was not noticed")
        publisher.decision(decision("stale", 0.2))
        wait_until(lambda: expired(publisher), "it did not expire")
        with embedded_broker(port), listening(mqtt) as listener:
            wait_until(lambda: listener.states()[-1:] == ["online"], "no fresh status")
            listener.link.publish(TOPICS.command("reload"), b"", qos=1)
            wait_until(lambda: len(commands) == 1, "the command was not heard")
            assert commands[0].topic == TOPICS.command("reload")
            publisher.decision(decision("fresh", 60.0))
            wait_until(lambda: listener.on(TOPICS.decision) != [], "no decision came")
            assert [a.payload for a in listener.on(TOPICS.decision)] == [b"fresh"]


def test_decisions_and_visits_from_many_threads_arrive_whole(
    broker: MqttConfig, wait_until: Wait
) -> None:
    with listening(broker) as listener, publishing(broker) as publisher:

        def talk(name: str) -> None:
            for i in range(100):
                payload = json.dumps({"from": name, "number": i, "filling": "x" * 3000})
                publisher.link.publish(TOPICS.visit, payload.encode(), qos=0)

        threads = [threading.Thread(target=talk, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(listener.on(TOPICS.visit)) == 400, "some were lost")
        for arrival in listener.on(TOPICS.visit):
            assert len(json.loads(arrival.payload)["filling"]) == 3000
