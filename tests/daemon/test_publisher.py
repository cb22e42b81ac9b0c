"""The publisher against a real broker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from mosquitto_fixture import Mosquitto

from oneglance.broker import embedded_broker, free_port
from oneglance.clocks import Clocks
from oneglance.config import MqttConfig
from oneglance.contract.messages import Factor, Phase, VisitState
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.outbox import Outgoing
from oneglance.daemon.voice.publisher import STATUS_EVERY_S, TELL_EVERY_S, Publisher
from oneglance.kiosk_ui.reducer import STATUS_SILENCE_S
from oneglance.link import Arrival

TOPICS = Topics("test", "front")
CLOCKS = Clocks(lambda: datetime.now(UTC), time.monotonic)
Wait = Callable[..., None]
Listen = Callable[..., Any]


def states(listener: Any) -> list[str]:
    """The states told so far."""
    return [state for state, _ in listener.states()]


@contextmanager
def publishing(
    mqtt: MqttConfig,
    on_command: Callable[[Arrival], None] = lambda _: None,
    clocks: Clocks = CLOCKS,
) -> Iterator[Publisher]:
    publisher = Publisher(
        mqtt,
        TOPICS,
        model_id="model:1",
        model_variant="int8",
        clocks=clocks,
        on_command=on_command,
        claims=(Factor.BADGE,),
    )
    publisher.start(20)
    try:
        yield publisher
    finally:
        publisher.stop()


def decision(name: str, lives_s: float) -> Outgoing:
    return Outgoing(name.encode(), time.monotonic() + lives_s, name)


def test_each_decision_that_the_broker_refuses_is_told_whatever_else_it_refuses(
    mosquitto: Mosquitto, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    acl = mosquitto.folder / "acl"
    whole, line = acl.read_text(), "topic write oneglance/v1/+/+/decision\n"
    assert whole.count(line) == 1
    acl.write_text(whole.replace(line, ""))
    mosquitto.reload()
    now = [time.monotonic()]
    clocks = Clocks(lambda: datetime.now(UTC), lambda: now[0])
    topic = TOPICS.decision
    with publishing(mosquitto.mqtt("daemon"), clocks=clocks) as publisher:

        def refuse(which: int) -> None:
            publisher.decision(decision(str(which), 60.0))
            wait_until(lambda: publisher.link.refused[topic] == which, f"refused {which}")
            publisher.pump()

        # Whoever may ask for answers chooses where they go. One at a time: more than the broker
        # takes at once are not sent.
        for number in range(20):
            publisher.reply(f"elsewhere/{number}", None, b"{}")
            done = number + 1
            wait_until(lambda n=done: publisher.link.publishes_refused == n, f"refused {done}")
        assert not publisher.unsaid
        refuse(1)
        assert publisher.unsaid
        refuse(2)
        refuse(3)
        assert caplog.text.count("decision(s)") == 1
        now[0] += TELL_EVERY_S
        publisher.pump()
        publisher.pump()
        assert caplog.text.count("decision(s)") == 2
        assert "refused 1 decision(s), and no lock heard them" in caplog.text
        assert "refused 2 decision(s), and no lock heard them" in caplog.text
        assert caplog.text.count("topics for answers") == 1
        acl.write_text(whole)
        mosquitto.reload()

        def taken() -> bool:
            publisher.decision(decision("4", 60.0))
            return not publisher.unsaid

        wait_until(taken, "the broker takes one")


def test_status_tells_the_daemons_life_and_is_retained(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    listener = listen(broker)
    with publishing(broker) as publisher:
        wait_until(lambda: states(listener) == ["degraded"], "no status while starting")
        publisher.set_reasons(("camera_lost:front",))
        publisher.set_reasons(())
        publisher.set_reasons(())
        wait_until(lambda: states(listener)[-1] == "online", "never online")
    wait_until(lambda: states(listener)[-1] == "offline", "no farewell")
    assert states(listener) == ["degraded", "degraded", "online", "offline"]
    late = listen(broker, "late")
    wait_until(lambda: states(late) == ["offline"], "the status was not retained")
    (kept,) = late.on(TOPICS.status)
    assert kept.retained
    assert json.loads(kept.payload)["claims"] == ["badge"]


def test_the_status_is_said_again_so_that_its_silence_means_something(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    listener = listen(broker)
    moved_s = 0.0
    clocks = Clocks(CLOCKS.wall, lambda: time.monotonic() + moved_s)
    with publishing(broker, clocks=clocks) as publisher:
        publisher.set_reasons(())
        publisher.pump()
        wait_until(lambda: states(listener)[-1:] == ["online"], "never online")
        moved_s = STATUS_EVERY_S
        publisher.pump()
        publisher.pump()
    wait_until(lambda: states(listener)[-1] == "offline", "no farewell")
    assert states(listener) == ["degraded", "online", "online", "offline"]


def test_a_screen_outwaits_one_lost_status_and_no_more() -> None:
    assert 2 * STATUS_EVERY_S < STATUS_SILENCE_S < 3 * STATUS_EVERY_S


def test_a_decision_is_delivered_and_never_retained(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    listener = listen(broker)
    with publishing(broker) as publisher:
        publisher.decision(decision("one", 5.0))
        wait_until(lambda: len(listener.on(TOPICS.decision)) == 1, "no decision came")
    late = listen(broker, "late")
    with publishing(broker) as publisher:
        publisher.visit(VisitState(issued_at=CLOCKS.wall(), visit_id="v", phase=Phase.LOOK))
        wait_until(lambda: late.on(TOPICS.visit) != [], "no visit came")
        assert late.on(TOPICS.decision) == []


def test_a_challenge_is_delivered_on_its_own_topic_and_never_retained(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    listener = listen(broker)
    with publishing(broker) as publisher:
        publisher.challenge(decision("asked", 5))
        wait_until(lambda: listener.on(TOPICS.challenge), "the challenge arrives")
        late = listen(broker, "late")
        publisher.decision(decision("after", 5))
        wait_until(lambda: late.on(TOPICS.decision), "the decision arrives")
    assert [a.payload for a in listener.on(TOPICS.challenge)] == [b"asked"]
    assert late.on(TOPICS.challenge) == []


def test_a_decision_that_expired_before_the_broker_was_there_is_never_delivered(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    publisher = Publisher(
        broker,
        TOPICS,
        model_id="model:1",
        model_variant="int8",
        clocks=CLOCKS,
        on_command=lambda _: None,
    )
    publisher.decision(decision("stale", 0.2))
    publisher.decision(decision("fresh", 60.0))
    wait_until(lambda: expired(publisher), "it did not expire")
    assert publisher.take_dropped() == ["stale"]
    listener = listen(broker)
    publisher.start(20)
    wait_until(lambda: listener.on(TOPICS.decision) != [], "the fresh one never came")
    publisher.decision(decision("last", 60.0))
    wait_until(lambda: listener.on(TOPICS.decision)[-1].payload == b"last", "the last one")
    publisher.stop()
    assert [a.payload for a in listener.on(TOPICS.decision)] == [b"fresh", b"last"]


def expired(publisher: Publisher) -> bool:
    publisher.pump()
    return publisher.dropped == 1


def test_after_a_broker_restart_status_is_fresh_commands_are_heard_and_nothing_stale_comes(
    listen: Listen,
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
        with embedded_broker(port):
            listener = listen(mqtt)
            wait_until(lambda: states(listener)[-1:] == ["online"], "no fresh status")
            listener.link.publish(TOPICS.command("reload"), b"", qos=1)
            wait_until(lambda: len(commands) == 1, "the command was not heard")
            assert commands[0].topic == TOPICS.command("reload")
            publisher.decision(decision("fresh", 60.0))
            wait_until(lambda: listener.on(TOPICS.decision) != [], "no decision came")
            assert [a.payload for a in listener.on(TOPICS.decision)] == [b"fresh"]


def test_decisions_and_visits_from_many_threads_arrive_whole(
    broker: MqttConfig, listen: Listen, wait_until: Wait
) -> None:
    listener = listen(broker)
    with publishing(broker) as publisher:

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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_link_whose_thread_died_takes_no_decision(
    broker: MqttConfig, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(_client: object, _timeout_s: float) -> None:
        raise SystemExit

    with publishing(broker) as publisher:
        link = publisher.link
        wait_until(lambda: link.connected, "never connected")
        monkeypatch.setattr(mqtt.Client, "loop", bug)
        wait_until(lambda: not link.alive, "it lives on")
        assert not link.connected
        assert not link.publish(TOPICS.decision, b"unheard", qos=1)
