"""The desk: who gets which answer, exactly once."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rfc8785
from command_desk import serving
from command_samples import KEYS, make_command, make_ring, write

from oneglance.clocks import Clocks
from oneglance.config import MqttConfig
from oneglance.contract.commands import MAX_TOPIC_LENGTH, Args
from oneglance.contract.keyring import Role
from oneglance.contract.messages import MAX_REPLY_TEXT, Reply, parse
from oneglance.contract.topics import Topics
from oneglance.daemon.visit.decide import UnsupportedTargetError
from oneglance.daemon.voice.answers import MAX_WAITING as MAX_ANSWERS
from oneglance.daemon.voice.answers import STALE_S
from oneglance.daemon.voice.authority import Authority
from oneglance.daemon.voice.commands import MAX_WAITING, TELL_EVERY_S, CommandDesk, may_answer_on
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.daemon.voice.rate import BURST
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, Verb
from oneglance.errors import GalleryError, OneglanceError
from oneglance.faces.gallery.witness import RestoredGalleryError
from oneglance.link import Arrival, Link

TOPICS = Topics("test", "front")
HOME = Topics("home", "front")
ADMIN = frozenset({Role.ADMINISTRATOR})


class Desk:
    """A desk with the verb `reload`, its clocks, and what it answered."""

    def __init__(
        self,
        folder: Path,
        does: Callable[[Args, Sender], str] = lambda _args, _sender: "done",
        on_command: Callable[[str, str, str, int], None] | None = None,
        *,
        kiosk_too: bool = False,
    ) -> None:
        self.replies: list[tuple[str, bytes | None, Reply]] = []
        self.listening = True
        self.now_s = 0.0
        clocks = Clocks(self.wall, lambda: self.now_s)
        verbs = {
            "reload": Verb(ADMIN | {Role.KIOSK} if kiosk_too else ADMIN, does),
            "challenge-shown": Verb(frozenset({Role.KIOSK}), lambda *_: "noted", at_once=True),
        }
        memory = NonceFile(folder / "commands")
        authority = Authority(TOPICS, make_ring, verbs, memory, clocks)
        self.desk = CommandDesk(TOPICS, verbs, authority, self._reply, clocks, on_command)

    def wall(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=self.now_s)

    @property
    def codes(self) -> list[str]:
        return [reply.code for _, _, reply in self.replies]

    def send(
        self,
        payload: bytes | None = None,
        *,
        verb: str = "reload",
        role: Role = Role.ADMINISTRATOR,
        retained: bool = False,
        response_topic: str | None = "me/reply",
    ) -> bytes:
        payload = payload or write(
            TOPICS, role, verb, reply_to=(response_topic or "")[:MAX_TOPIC_LENGTH], wall=self.wall
        )
        topic = TOPICS.command(verb)
        self.desk.arrived(Arrival(topic, payload, retained, response_topic, b"number 7"))
        return payload

    def _reply(self, topic: str, correlation: bytes | None, reply: Reply) -> bool:
        if self.listening:
            self.replies.append((topic, correlation, reply))
        return self.listening


def test_a_signed_command_is_answered_when_it_is_done(tmp_path: Path) -> None:
    heard: list[Sender] = []
    desk = Desk(tmp_path, lambda _args, sender: heard.append(sender) or "done")
    desk.send()
    assert desk.replies == []
    desk.desk.work()
    ((topic, correlation, reply),) = desk.replies
    assert (topic, correlation) == ("me/reply", b"number 7")
    assert (reply.ok, reply.code, reply.text) == (True, "ok", "done")
    assert re.fullmatch("[0-9a-f]{32}", reply.nonce), "it says which command it answers"
    assert heard == [Sender("administrator", Role.ADMINISTRATOR)]


def test_no_answer_goes_where_its_owner_did_not_ask_for_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    payload = write(TOPICS, Role.ADMINISTRATOR, "reload", reply_to="me/reply", wall=desk.wall)
    for elsewhere in ("thief/reply", None, "me/reply/x", "oneglance/v1/test/front/reply/thief"):
        # Before it, and after it: who sends it on hears nothing and stops nothing.
        desk.send(payload, response_topic=elsewhere)
    desk.desk.work()
    assert desk.replies == []
    desk.send(payload)
    desk.send(payload, response_topic="thief/reply")
    desk.desk.work()
    assert [(topic, reply.code) for topic, _, reply in desk.replies] == [("me/reply", "ok")]
    silent = write(TOPICS, Role.ADMINISTRATOR, "reload", wall=desk.wall)
    desk.send(silent, response_topic="thief/reply")
    desk.desk.work()
    assert len(desk.replies) == 1


def test_a_command_of_version_1_is_refused_by_name(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    body = json.loads(make_command(desk.wall(), site="test").to_payload()) | {"v": 1}
    del body["reply_to"]
    signature = KEYS[Role.ADMINISTRATOR].sign(rfc8785.dumps(body))
    desk.send(rfc8785.dumps(body | {"signature": base64.b64encode(signature).decode()}))
    ((_, _, reply),) = desk.replies
    assert reply.code == "bad_arguments"
    assert "a command of version 1" in reply.text


def test_what_must_not_wait_waits_for_no_slow_command_and_for_no_flood_of_them(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def slow(_args: Args, _sender: Sender) -> str:
        busy.set()
        assert go_on.wait(20)
        return "done"

    desk = Desk(tmp_path, slow)
    desk.desk.start()
    try:
        for _ in range(BURST + MAX_WAITING):
            desk.send()
        keeper = threading.Thread(target=desk.desk.work)
        keeper.start()
        assert busy.wait(20)
        refused = len(desk.replies)
        assert refused > 0
        desk.send(verb="challenge-shown", role=Role.KIOSK)
        wait_until(lambda: len(desk.replies) > refused, "no answer while a slow one is at work")
        assert (desk.codes[-1], desk.replies[-1][2].text) == ("ok", "noted")
        go_on.set()
        keeper.join()
    finally:
        go_on.set()
        desk.desk.stop()


def test_what_a_key_may_still_ask_at_once_is_not_used_up_by_what_waits(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    desk = Desk(tmp_path, kiosk_too=True)
    for _ in range(BURST + 1):
        desk.send(role=Role.KIOSK)
    assert desk.codes[-1] == "rate_limited"
    refused = len(desk.replies)
    desk.send(verb="challenge-shown", role=Role.KIOSK)
    desk.desk.start()
    try:
        wait_until(lambda: len(desk.replies) > refused, "it is not answered")
    finally:
        desk.desk.stop()
    assert (desk.codes[-1], desk.replies[-1][2].text) == ("ok", "noted")


def test_an_unknown_command_is_answered_at_once_with_what_is_known(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.send(verb="explode")
    assert desk.codes == ["unknown_command"]
    assert "reload" in desk.replies[0][2].text


@pytest.mark.parametrize("payload", [b"{}", b"reload", b"\xff"])
def test_what_is_not_signed_is_not_carried_out(tmp_path: Path, payload: bytes) -> None:
    desk = Desk(tmp_path, lambda _args, _sender: pytest.fail("carried out"))
    desk.send(payload)
    desk.desk.work()
    assert desk.codes == ["not_signed"]


def test_a_command_that_fails_says_why_without_naming_paths(tmp_path: Path) -> None:
    def fail(_args: Args, _sender: Sender) -> str:
        raise GalleryError("the gallery is damaged", where="/secret/place", fix="restore it")

    desk = Desk(tmp_path, fail)
    desk.send()
    desk.desk.work()
    ((_, _, reply),) = desk.replies
    assert (reply.ok, reply.code) == (False, "gallery_error")
    assert reply.text == "the gallery is damaged. restore it"


@pytest.mark.parametrize("kind", [GalleryError, RestoredGalleryError, UnsupportedTargetError])
def test_a_failures_code_is_that_of_its_public_kind(
    tmp_path: Path, kind: type[GalleryError]
) -> None:
    def fail(_args: Args, _sender: Sender) -> str:
        raise kind("no")

    desk = Desk(tmp_path, fail)
    desk.send()
    desk.desk.work()
    assert desk.codes == ["gallery_error"]


def test_a_verb_may_refuse_with_a_code_of_its_own(tmp_path: Path) -> None:
    def refuse(_args: Args, _sender: Sender) -> str:
        raise CommandRefusedError("locked_out", "wait 30 s")

    desk = Desk(tmp_path, refuse)
    desk.send()
    desk.desk.work()
    assert desk.codes == ["locked_out"]


def test_an_answer_is_cut_to_what_a_message_holds(tmp_path: Path) -> None:
    desk = Desk(tmp_path, lambda _args, _sender: "é" * 10_000)
    desk.send()
    desk.desk.work()
    assert len(desk.replies[0][2].text) == MAX_REPLY_TEXT


def test_a_retained_command_is_never_carried_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, lambda _args, _sender: pytest.fail("carried out"))
    desk.send(retained=True)
    desk.desk.work()
    assert desk.codes == ["retained"]


def test_a_command_without_a_response_topic_is_carried_out_silently(tmp_path: Path) -> None:
    done: list[int] = []
    desk = Desk(tmp_path, lambda _args, _sender: done.append(1) or "done")
    desk.send(response_topic=None)
    desk.desk.work()
    assert done == [1]
    assert desk.replies == []


def test_more_commands_than_can_wait_are_turned_away_as_busy(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for _ in range(BURST):
        desk.send()
    assert desk.codes == ["busy"] * (BURST - MAX_WAITING)


def test_what_cannot_be_recorded_is_answered_and_not_carried_out(tmp_path: Path) -> None:
    done: list[str] = []
    desk = Desk(tmp_path, lambda _args, _sender: done.append("it") or "done")
    # Not even root can replace a folder by a file.
    (tmp_path / "commands" / "x").mkdir(parents=True)
    desk.send()
    desk.desk.work()
    assert (desk.codes, done) == (["state_error"], [])


def test_each_of_301_requests_gets_exactly_one_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk(tmp_path)
    desk.listening = False
    for _ in range(301):
        desk.send()
    desk.desk.work()
    desk.listening = True
    desk.desk.work()
    assert len(desk.codes) == 301
    assert desk.codes.count("ok") == MAX_WAITING
    assert desk.codes.count("rate_limited") == 301 - BURST
    (told,) = [r.message for r in caplog.records if "refused commands" in r.message]
    assert told == f"refused commands: busy {BURST - MAX_WAITING}, rate_limited {301 - BURST}"


def test_a_flood_over_a_real_broker_is_answered_to_the_last(
    broker: MqttConfig, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    heard: list[Arrival] = []
    verbs = {"reload": Verb(ADMIN, lambda _args, _sender: "done")}
    answers = HOME.reply("me")
    asking = Link(broker, "asking", subscriptions=((answers, 1),), on_message=heard.append)
    with serving(broker, verbs, make_ring, tmp_path / "commands"):
        asking.start()
        try:
            assert asking.wait_connected(60)
            for number in range(301):
                payload = write(HOME, Role.ADMINISTRATOR, "reload", reply_to=answers)
                correlation = b"%d" % number
                while not asking.publish(
                    HOME.command("reload"),
                    payload,
                    qos=1,
                    response_topic=answers,
                    correlation=correlation,
                ):
                    time.sleep(0.002)
            wait_until(lambda: len(heard) >= 301, "an answer to each")
        finally:
            asking.stop()
    assert sorted(int(a.correlation or b"-1") for a in heard) == list(range(301))
    codes = Counter(parse(arrival.payload, Reply).code for arrival in heard)
    assert set(codes) <= {"ok", "busy", "rate_limited"}
    assert codes["ok"] >= MAX_WAITING


def test_what_finds_no_room_for_its_answer_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)
    desk.listening = False
    for _ in range(MAX_ANSWERS + 5):
        desk.send(b"junk")
    desk.listening = True
    desk.desk.work()
    assert len(desk.codes) == MAX_ANSWERS
    assert [r.message for r in caplog.records if "no answer" in r.message] == [
        "5 commands got no answer: too many at once, or no broker"
    ]


def test_a_stale_answer_is_dropped_not_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.listening = False
    desk.send(b"junk")
    desk.now_s += STALE_S + 0.5
    desk.listening = True
    desk.desk.work()
    assert desk.replies == []


def test_whoever_keeps_records_hears_of_all_but_is_not_flooded(tmp_path: Path) -> None:
    heard: list[tuple[str, str, str, int]] = []
    desk = Desk(tmp_path, on_command=lambda *what: heard.append(what))
    desk.desk.work()
    payload = desk.send()
    for _ in range(50):
        desk.send(payload)
        desk.send(b"junk")
        desk.send(b"junk", verb="explode")
    desk.desk.work()
    done = ("administrator", "reload", "ok", 1)
    sums = {
        ("administrator", "reload", "replayed", 50),
        ("", "reload", "not_signed", 50),
        ("", "?", "unknown_command", 50),
    }
    assert heard[0] == done
    assert set(heard[1:]) == sums
    desk.send(b"junk")
    desk.desk.work()
    assert len(heard) == 4
    desk.now_s += TELL_EVERY_S
    desk.desk.work()
    assert heard[4:] == [("", "reload", "not_signed", 1)]


def test_who_has_answers_sent_astray_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)
    for _ in range(50):
        desk.send(b"junk", response_topic=TOPICS.decision)
        desk.desk.work()
    assert desk.replies == []
    assert caplog.text.count("not for answers") == 1
    desk.now_s += TELL_EVERY_S
    desk.desk.work()
    assert "not for answers: 49" in caplog.text


def test_what_cannot_be_recorded_is_not_answered_as_done(tmp_path: Path) -> None:
    def full(*_what: object) -> None:
        raise OneglanceError("the disk is full")

    desk = Desk(tmp_path, on_command=full)
    desk.send()
    desk.desk.work()
    ((_, _, reply),) = desk.replies
    assert reply.code == "oneglance_error"
    assert reply.text.startswith("this was done, but")
    assert reply.text.endswith("the disk is full")


def test_what_failed_and_cannot_be_recorded_either_is_not_called_done(tmp_path: Path) -> None:
    def fails(*_what: object) -> str:
        raise OneglanceError("the disk is full")

    desk = Desk(tmp_path, fails, on_command=fails)
    desk.send()
    desk.desk.work()
    assert [(reply.code, reply.text) for _, _, reply in desk.replies] == [
        ("oneglance_error", "the disk is full")
    ]


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("kiosk/reply", True),
        ("oneglance/v1/test/front/reply/kiosk", True),
        ("oneglance/v1/test/front/decision", False),
        ("oneglance/v1/test/front/status", False),
        ("oneglance/v1/other/door/decision", False),
        ("oneglance/v1/test/front/reply", False),
        ("a/+/b", False),
        ("#", False),
        ("", False),
        ("x" * 300, False),
    ],
)
def test_a_commander_cannot_make_the_daemon_speak_on_a_topic_of_its_own(
    tmp_path: Path, topic: str, allowed: bool
) -> None:
    assert may_answer_on(topic) is allowed
    desk = Desk(tmp_path)
    desk.send(verb="explode", response_topic=topic)
    assert len(desk.replies) == int(allowed)
