"""Commands that come over the wire, each answered once on its response topic."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from oneglance.contract.messages import Reply
from oneglance.contract.topics import ROOT, Topics
from oneglance.errors import OneglanceError
from oneglance.link import Arrival

log = logging.getLogger(__name__)

MAX_WAITING = 8
MAX_TOPIC_BYTES = 256

SendReply = Callable[[str, bytes | None, Reply], None]


@dataclass(frozen=True, slots=True)
class Command:
    """One known command and where its answer goes."""

    verb: str
    response_topic: str | None
    correlation: bytes | None


class CommandDesk:
    """Takes commands from the network thread and lets the vision thread carry them out.

    `verbs` maps each known verb to what does it and returns a text for people; what it raises
    as OneglanceError becomes the answer.
    """

    def __init__(
        self,
        topics: Topics,
        verbs: dict[str, Callable[[], str]],
        reply: SendReply,
        wall: Callable[[], datetime],
    ) -> None:
        self._prefix = topics.commands.removesuffix("+")
        self._verbs = verbs
        self._reply = reply
        self._wall = wall
        self._waiting: queue.Queue[Command] = queue.Queue(MAX_WAITING)

    def arrived(self, arrival: Arrival) -> None:
        """Queue a known command; answer an unknown one, or one too many, at once."""
        verb = arrival.topic.removeprefix(self._prefix)
        response_topic = arrival.response_topic
        if response_topic is not None and not may_answer_on(response_topic):
            log.warning("a command asked for its answer on a topic that is not for answers")
            response_topic = None
        command = Command(verb, response_topic, arrival.correlation)
        if arrival.retained:
            self._answer(command, "retained", "commands must not be retained")
        elif verb not in self._verbs:
            known = ", ".join(sorted(self._verbs))
            self._answer(command, "unknown_command", f"this daemon knows: {known}")
        else:
            try:
                self._waiting.put_nowait(command)
            except queue.Full:
                self._answer(command, "busy", "too many commands at once, try again")

    def work(self) -> None:
        """Carry out what waits; call it from the thread that owns what the verbs touch."""
        while True:
            try:
                command = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                text = self._verbs[command.verb]()
            except OneglanceError as error:
                # Paths stay here: who may send commands need not know this machine.
                self._answer(command, _code(error), f"{error.what}. {error.fix}".rstrip(". "))
            else:
                self._answer(command, "ok", text)

    def _answer(self, command: Command, code: str, text: str) -> None:
        log.info("command: %s", code)
        if command.response_topic is not None:
            reply = Reply(issued_at=self._wall(), ok=code == "ok", code=code, text=text[:200])
            self._reply(command.response_topic, command.correlation, reply)


def may_answer_on(topic: str) -> bool:
    """Whether a reply may go there: no wildcard, and none of the topics that mean something.

    A commander must not make the daemon speak on a topic that only the daemon may write to.
    """
    if not topic or len(topic.encode()) > MAX_TOPIC_BYTES or set(topic) & {"+", "#", "\0"}:
        return False
    levels = topic.split("/")
    return not topic.startswith(ROOT + "/") or (len(levels) > 5 and levels[4] == "reply")


def _code(error: OneglanceError) -> str:
    name = type(error).__name__.removesuffix("Error").lower()
    return f"{name}_error"
