from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from oneglance.contract.messages import Reply
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.commands import MAX_WAITING, CommandDesk, may_answer_on
from oneglance.errors import GalleryError
from oneglance.link import Arrival

TOPICS = Topics("test", "front")


class Desk:
    """A desk with one verb, and what it answered."""

    def __init__(self, does: Callable[[], str] = lambda: "done") -> None:
        self.replies: list[tuple[str, bytes | None, Reply]] = []
        self.desk = CommandDesk(
            TOPICS,
            {"reload": does},
            lambda topic, correlation, reply: self.replies.append((topic, correlation, reply)),
            lambda: datetime.now(UTC),
        )

    def send(
        self, verb: str, *, retained: bool = False, response_topic: str | None = "me/reply"
    ) -> None:
        self.desk.arrived(Arrival(TOPICS.command(verb), b"", retained, response_topic, b"number 7"))


def test_a_known_command_is_answered_when_it_is_done() -> None:
    desk = Desk()
    desk.send("reload")
    assert desk.replies == []
    desk.desk.work()
    ((topic, correlation, reply),) = desk.replies
    assert (topic, correlation) == ("me/reply", b"number 7")
    assert (reply.ok, reply.code, reply.text) == (True, "ok", "done")


def test_an_unknown_command_is_answered_at_once_with_what_is_known() -> None:
    desk = Desk()
    desk.send("explode")
    assert [r.code for _, _, r in desk.replies] == ["unknown_command"]
    assert "reload" in desk.replies[0][2].text


def test_a_command_that_fails_says_why_without_naming_paths() -> None:
    def fail() -> str:
        raise GalleryError("the gallery is damaged", where="/secret/place", fix="restore it")

    desk = Desk(fail)
    desk.send("reload")
    desk.desk.work()
    ((_, _, reply),) = desk.replies
    assert (reply.ok, reply.code) == (False, "gallery_error")
    assert reply.text == "the gallery is damaged. restore it"


def test_a_retained_command_is_never_carried_out() -> None:
    desk = Desk(lambda: pytest.fail("carried out"))
    desk.send("reload", retained=True)
    desk.desk.work()
    assert [r.code for _, _, r in desk.replies] == ["retained"]


def test_a_command_without_a_response_topic_is_carried_out_silently() -> None:
    done = []
    desk = Desk(lambda: done.append(1) or "done")
    desk.send("reload", response_topic=None)
    desk.desk.work()
    assert done == [1]
    assert desk.replies == []


def test_a_flood_of_commands_is_turned_away_not_queued() -> None:
    desk = Desk()
    for _ in range(MAX_WAITING + 3):
        desk.send("reload")
    assert [r.code for _, _, r in desk.replies] == ["busy"] * 3


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
    topic: str, allowed: bool
) -> None:
    assert may_answer_on(topic) is allowed
    desk = Desk()
    desk.send("explode", response_topic=topic)
    assert len(desk.replies) == int(allowed)
