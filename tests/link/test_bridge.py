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
from oneglance.contract.sharing import part_topic
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


def bridged(house: Mosquitto, tmp_path: Path) -> Mosquitto:
    """The house's broker, started anew, and the door's, which is still to be started."""
    house.stop()
    add_user(house, "door-home-front", "secret", example("acl of the house"))
    conf = house.folder / "conf.d" / "oneglance.conf"
    conf.write_text(conf.read_text().replace("max_queued_messages 100\n", example("queue")))
    house.start()
    door = Mosquitto(tmp_path / "door")
    add_user(door, "oneglance-bridge", "unused", example("acl of the door"))
    bridge = example("bridge").replace("broker.example:8883", f"127.0.0.1:{house.port}")
    bridge = bridge.replace("/etc/mosquitto/oneglance/house-ca.crt", f"{house.folder}/ca.crt")
    bridge = bridge.replace("remote_password PASSWORD", "remote_password secret")
    (door.folder / "conf.d" / "oneglance-bridge.conf").write_text(bridge)
    return door


def test_what_the_page_lets_over_the_bridge_comes_over_and_nothing_else(
    mosquitto: Mosquitto, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    house, door = mosquitto, bridged(mosquitto, tmp_path)
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


def test_the_shared_gallery_comes_over_the_bridge_whole_and_is_kept_at_the_door(
    mosquitto: Mosquitto, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    house, door = mosquitto, bridged(mosquitto, tmp_path)
    # More than a broker as shipped would keep for one client that is slow.
    parts = [part_topic("home", f"{number:032x}") for number in range(150)]
    heard: dict[str, list[Arrival]] = {"house": [], "door": []}
    with ExitStack() as stack:
        admin = Link(
            house.mqtt("admin"),
            "sync",
            subscriptions=((TOPICS.gallery_state, 1),),
            on_message=heard["house"].append,
        )
        admin.start()
        stack.callback(admin.stop)
        assert admin.wait_connected(60)
        for topic in (*parts, TOPICS.gallery):
            wait_until(lambda t=topic: admin.publish(t, b"x", qos=1, retain=True), "it is taken")
        stack.callback(door.stop)
        door.start()
        daemon = Link(
            door.mqtt("daemon"),
            "daemon",
            subscriptions=((TOPICS.gallery, 1),),
            on_message=heard["door"].append,
        )
        daemon.start()
        stack.callback(daemon.stop)
        assert daemon.wait_connected(60)
        wait_until(lambda: heard["door"], "the door hears its gallery")
        # As a daemon asks: some at a time, again while one is missing.
        kept: set[str] = set()
        for at in range(0, len(parts), 15):
            some = parts[at : at + 15]

            def all_are_there(some: list[str] = some) -> bool:
                daemon.hear(some)
                kept.update(a.topic for a in list(heard["door"]) if a.retained)
                return kept >= set(some)

            wait_until(all_are_there, f"parts {at} to {at + 14}")
        daemon.publish(TOPICS.gallery_state, b"has it", qos=1, retain=True)
        wait_until(lambda: heard["house"], "the house hears how far the door is")
        # What the house takes back is not kept at the door either.
        admin.publish(parts[0], b"", qos=1, retain=True)
        gone = lambda: [a for a in list(heard["door"]) if a.topic == parts[0] and not a.payload]  # noqa: E731
        wait_until(gone, "it is taken back")
        heard["door"].clear()
        daemon.hear([parts[0], parts[1]])
        wait_until(lambda: heard["door"], "the other one")
        assert {a.topic for a in heard["door"]} == {parts[1]}


def test_who_shares_a_subscription_has_each_message_once_between_them(
    mosquitto: Mosquitto, wait_until: Callable[..., None]
) -> None:
    """The line of docs/scale.md for several programs that write results into one database."""
    (share,) = re.findall(r"`(\$share/\S+)`", PAGE.read_text())
    heard: dict[str, list[bytes]] = {"first": [], "second": [], "alone": []}
    with ExitStack() as stack:
        links = {
            name: Link(
                mosquitto.mqtt("reader"),
                f"log-{name}",
                subscriptions=((share if name != "alone" else share.split("/", 2)[2], 1),),
                on_message=lambda arrival, name=name: heard[name].append(arrival.payload),
            )
            for name in heard
        }
        links["daemon"] = Link(mosquitto.mqtt("daemon"), "daemon")
        for link in links.values():
            link.start()
            stack.callback(link.stop)
            assert link.wait_connected(60)
        said = [b"%d" % number for number in range(20)]
        for payload in said:
            publish = lambda p=payload: links["daemon"].publish(TOPICS.result, p, qos=1)  # noqa: E731
            wait_until(publish, "it is taken")
        wait_until(lambda: len(heard["alone"]) == len(said), "who listens alone hears all")
        wait_until(lambda: len(heard["first"] + heard["second"]) >= len(said), "the two hear all")
        assert sorted(heard["first"] + heard["second"]) == sorted(said)
        assert heard["first"]
        assert heard["second"]
