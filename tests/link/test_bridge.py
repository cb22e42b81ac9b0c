"""docs/scale.md: a door's own mosquitto, bridged to the house's, as the page has it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from command_desk import serving
from command_samples import make_ring, write
from mosquitto_fixture import Mosquitto, find_binary
from wire_samples import TOPICS

from oneglance.contract.keyring import Role
from oneglance.contract.messages import Reply, parse
from oneglance.daemon.voice.verbs import Verb
from oneglance.link import Arrival, Link

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def example(name: str) -> str:
    """A block of the page."""
    (text,) = re.findall(rf"<!-- example: {name} -->\n```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(text)


def add_user(server: Mosquitto, user: str, password: str, acl: str) -> None:
    tool = find_binary("mosquitto_passwd")
    assert tool is not None
    file = server.folder / "passwords"
    subprocess.run([tool, "-b", str(file), user, password], check=True, capture_output=True)
    with (server.folder / "acl").open("a") as more:
        more.write(f"\n{acl}")


def test_what_the_page_lets_over_the_bridge_comes_over_and_nothing_else(
    mosquitto: Mosquitto, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    house = mosquitto
    house.stop()
    add_user(house, "door-home-front", "secret", example("acl of the house"))
    house.start()
    door = Mosquitto(tmp_path / "door")
    add_user(door, "oneglance-bridge", "unused", example("acl of the door"))
    bridge = example("bridge").replace("broker.example:8883", f"127.0.0.1:{house.port}")
    bridge = bridge.replace("/etc/mosquitto/oneglance/house-ca.crt", f"{house.folder}/ca.crt")
    bridge = bridge.replace("remote_password PASSWORD", "remote_password secret")
    (door.folder / "conf.d" / "oneglance-bridge.conf").write_text(bridge)
    door.start()

    heard: dict[str, list[Arrival]] = {"house": [], "door": []}
    verbs = {"reload": Verb(frozenset({Role.ADMINISTRATOR}), lambda *_: "done")}
    with ExitStack() as parts:
        parts.callback(door.stop)
        links = {}
        for name, server in (("house", house), ("door", door)):
            links[name] = Link(
                server.mqtt("admin"),
                f"eyes-{name}",
                subscriptions=(("oneglance/v1/#", 1),),
                on_message=heard[name].append,
            )
        links["daemon"] = Link(door.mqtt("daemon"), "daemon")
        for link in links.values():
            link.start()
            parts.callback(link.stop)
            assert link.wait_connected(20)
        parts.enter_context(serving(door.mqtt("daemon"), verbs, make_ring, tmp_path / "commands"))
        topics = [TOPICS.decision, TOPICS.visit, TOPICS.challenge, TOPICS.result]
        for topic in topics:
            links["daemon"].publish(topic, b"said", qos=1)
        wait_until(lambda: len(heard["door"]) == 4, "all is heard at the door")
        # What was said before the bridge stood is not said again, a status is kept.
        links["daemon"].publish(TOPICS.status, b"status", qos=1, retain=True)
        said = lambda topic: [a for a in list(heard["house"]) if a.topic == topic]  # noqa: E731
        wait_until(lambda: said(TOPICS.status), "the house hears the status")

        answers = TOPICS.reply("oneglance-admin")
        links["house"].publish(
            TOPICS.command("reload"),
            write(TOPICS, Role.ADMINISTRATOR, "reload", reply_to=answers),
            qos=1,
            response_topic=answers,
            correlation=b"7",
        )
        wait_until(lambda: said(answers), "the house hears the answer")
        (answer,) = said(answers)
        assert parse(answer.payload, Reply).text == "done"
        assert answer.correlation == b"7"
        links["daemon"].publish(TOPICS.decision, b"said", qos=1)
        links["daemon"].publish(TOPICS.result, b"said", qos=1)
        wait_until(lambda: said(TOPICS.result), "the house hears results")
        assert {a.topic for a in heard["house"]} <= {
            *(TOPICS.status, TOPICS.result, answers, TOPICS.command("reload"))
        }
