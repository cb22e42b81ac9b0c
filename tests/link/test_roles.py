"""Each role of the shipped ACL tries each topic, and each command with each role's key."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_desk import serving
from command_samples import VERB_ROLES, make_ring, write
from mosquitto_fixture import ROLES, Mosquitto
from wire_samples import TOPICS

from oneglance.contract.commands import Args
from oneglance.contract.keyring import Role
from oneglance.contract.messages import Reply, parse
from oneglance.contract.sharing import part_topic
from oneglance.daemon.voice import authority as authority_module
from oneglance.daemon.voice.rate import TokenBucket
from oneglance.daemon.voice.verbs import Sender, Verb
from oneglance.link import Arrival, Link

Wait = Callable[..., None]

# Whose key may ask for what, and which users' messages the broker lets through to the daemon.
USERS = {verb: {"kiosk", "admin", "assistant"} for verb in ("verify-now", "preview")}
USERS["challenge-shown"] = {"kiosk", "admin"}
USERS["claim"] = {"kiosk", "badge"}
COMMANDS = {verb: (roles, USERS.get(verb, {"admin"})) for verb, roles in VERB_ROLES.items()}
PART = part_topic("home", "0123456789abcdef0123456789abcdef")
# Who may publish on each other topic, and who hears what is published there.
SPEAKERS = {
    TOPICS.status: {"daemon"},
    TOPICS.visit: {"daemon"},
    TOPICS.access: {"daemon"},
    TOPICS.challenge: {"daemon"},
    TOPICS.preview("kiosk"): {"daemon"},
    TOPICS.decision: {"daemon"},
    TOPICS.result: {"daemon"},
    "homeassistant/event/oneglance_homeXfront/decision/config": {"daemon"},
    "homeassistant/button/oneglance_homeXfront/verify/config": {"assistant"},
    "homeassistant/lock/oneglance_homeXfront/lock/config": {"assistant"},
    "homeassistant/camera/oneglance_homeXfront/picture/config": {"assistant"},
    "homeassistant/switch/oneglance_homeXfront/verify/config": set(),
    "homeassistant/status": {"reader"},
    TOPICS.reply("oneglance-kiosk"): {"daemon"},
    TOPICS.door_state: {"lock"},
    TOPICS.ask_lock: {"reader"},
    TOPICS.ask_verify: {"reader"},
    TOPICS.assistant: {"assistant"},
    TOPICS.picture: {"assistant"},
    TOPICS.gallery: {"admin"},
    TOPICS.gallery_state: {"daemon"},
    PART: {"admin"},
    f"{TOPICS.base}/anything": set(),
    "oneglance/v2/home/front/decision": set(),
}
LISTENERS = {
    TOPICS.status: {"kiosk", "admin", "reader", "badge"},
    TOPICS.visit: {"kiosk", "admin", "reader", "assistant"},
    TOPICS.access: {"kiosk", "admin"},
    TOPICS.challenge: {"kiosk", "admin"},
    TOPICS.preview("kiosk"): {"kiosk", "assistant"},
    TOPICS.decision: {"lock", "kiosk", "admin"},
    TOPICS.result: {"admin", "reader"},
    TOPICS.reply("oneglance-kiosk"): {"kiosk", "admin"},
    TOPICS.reply("oneglance-reader"): {"badge", "admin"},
    TOPICS.reply("homeassistant"): {"reader", "admin"},
    TOPICS.reply("oneglance-assistant"): {"assistant", "admin"},
    TOPICS.door_state: {"kiosk", "admin", "reader"},
    TOPICS.ask_lock: {"lock", "admin"},
    TOPICS.ask_verify: {"assistant", "admin"},
    TOPICS.assistant: {"admin", "reader"},
    TOPICS.picture: {"reader"},
    TOPICS.gallery: {"daemon", "admin"},
    TOPICS.gallery_state: {"admin"},
    PART: {"daemon", "admin"},
    TOPICS.command("reload"): {"daemon", "admin"},
    TOPICS.command("claim"): {"daemon"},
}


class Told(Link):
    """A link that keeps what the broker says to each of its messages."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.told: list[bool] = []
        super().__init__(*arguments, **options)

    def _published(self, client: Any, userdata: Any, mid: int, reason: Any, more: Any) -> None:
        self.told.append(not reason.is_failure)
        super()._published(client, userdata, mid, reason, more)


@contextmanager
def everybody(mosquitto: Mosquitto) -> Iterator[tuple[dict[str, Told], dict[str, list[Arrival]]]]:
    """All roles, connected and listening to all that they are let hear."""
    heard: dict[str, list[Arrival]] = {role: [] for role in ROLES}
    with ExitStack() as parts:
        links = {
            role: Told(
                mosquitto.mqtt(role),
                f"test-{role}",
                subscriptions=(("oneglance/#", 1),),
                on_message=heard[role].append,
            )
            for role in ROLES
        }
        for link in links.values():
            link.start()
            parts.callback(link.stop)
        for link in links.values():
            assert link.wait_connected(60)
        yield links, heard


def test_each_role_says_only_what_is_its_own(
    mosquitto: Mosquitto, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    topics = SPEAKERS | {TOPICS.command(verb): users for verb, (_, users) in COMMANDS.items()}
    with everybody(mosquitto) as (links, _):
        passed: dict[str, set[str]] = {}
        for number, topic in enumerate(topics, 1):
            for link in links.values():
                link.publish(topic, b"{}", qos=1)
            wait_until(
                lambda number=number: all(len(link.told) == number for link in links.values()),
                f"{topic}: all are told",
            )
            passed[topic] = {role for role, link in links.items() if link.told[-1]}
    assert passed == topics


def test_each_role_hears_only_what_it_may(mosquitto: Mosquitto, wait_until: Wait) -> None:
    # The broker knows no user who may say all this: a second one without its ACL does.
    acl = mosquitto.folder / "acl"
    mosquitto.stop()
    acl.write_text(f"{acl.read_text()}\nuser {ROLES['lock']}\ntopic write oneglance/#\n")
    mosquitto.start()
    last = TOPICS.status
    with everybody(mosquitto) as (links, heard):
        said = dict.fromkeys(LISTENERS, b"{}").items()
        for topic, payload in (*said, (TOPICS.decision, b"the last"), (last, b"the last")):
            # A link takes only so many at once.
            wait_until(
                lambda topic=topic, payload=payload: links["lock"].publish(topic, payload, qos=1),
                f"{topic}: said",
            )
        for role in ROLES:
            at_the_end = lambda role=role: any(a.payload == b"the last" for a in heard[role])  # noqa: E731
            if role in LISTENERS[last] | LISTENERS[TOPICS.decision]:
                wait_until(at_the_end, f"{role}: the last")
        wait_until(lambda: len(heard["daemon"]) == 4, "the daemon hears its gallery, both commands")
    found = {
        topic: {role for role in ROLES if any(a.topic == topic for a in heard[role])}
        for topic in LISTENERS
    }
    assert found == LISTENERS


def test_each_role_tries_each_command_with_each_key(
    mosquitto: Mosquitto,
    tmp_path: Path,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(authority_module, "TokenBucket", lambda: TokenBucket(burst=1e9))
    done: list[tuple[str, Role]] = []

    def doing(verb: str) -> Callable[[Args, Sender], str]:
        return lambda _args, sender: done.append((verb, sender.role)) or "done"

    verbs = {verb: Verb(keys, doing(verb)) for verb, (keys, _) in COMMANDS.items()}
    heard: dict[str, list[Arrival]] = {role: [] for role in ROLES}
    codes: dict[tuple[str, str, Role], str] = {}
    with ExitStack() as parts:
        serve = serving(mosquitto.mqtt("daemon"), verbs, make_ring, tmp_path / "commands")
        parts.enter_context(serve)
        for role, user in ROLES.items():
            answers = TOPICS.reply(user)
            link = Told(
                mosquitto.mqtt(role),
                f"asking-{role}",
                subscriptions=((answers, 1),),
                on_message=heard[role].append,
            )
            link.start()
            parts.callback(link.stop)
            assert link.wait_connected(60)
            for verb in COMMANDS:
                numbers = {secrets.token_bytes(4): key for key in Role}
                for number, key in numbers.items():
                    payload = write(TOPICS, key, verb, reply_to=answers)
                    link.publish(
                        TOPICS.command(verb),
                        payload,
                        qos=1,
                        response_topic=answers,
                        correlation=number,
                    )
                wait_until(lambda link=link: len(link.told) >= len(Role), f"{role} {verb}: told")
                told, link.told = link.told, []
                if not any(told):
                    codes |= {(role, verb, key): "the broker" for key in Role}
                    continue
                wait_until(lambda role=role: len(heard[role]) >= len(Role), f"{role}: answered")
                for answer in heard[role]:
                    key = numbers.pop(answer.correlation or b"")
                    codes[role, verb, key] = parse(answer.payload, Reply).code
                heard[role].clear()
    expected = {
        (role, verb, key): "the broker"
        if role not in users
        else "ok"
        if key in keys
        else "not_allowed"
        for role in ROLES
        for verb, (keys, users) in COMMANDS.items()
        for key in Role
    }
    assert codes == expected
    assert len(done) == sum(code == "ok" for code in expected.values())
    assert set(done) <= {(verb, key) for verb, (keys, _) in COMMANDS.items() for key in keys}
