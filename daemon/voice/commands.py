"""Commands that come over the wire: who may give them, and the one answer to each."""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from oneglance import errors
from oneglance.clocks import Clocks
from oneglance.contract.commands import MAX_TOPIC_LENGTH, Code
from oneglance.contract.messages import MAX_REPLY_TEXT, Reply
from oneglance.contract.topics import ROOT, Topics
from oneglance.daemon.voice.answers import Answers, SendReply
from oneglance.daemon.voice.authority import Authority, Order
from oneglance.daemon.voice.verbs import CommandRefusedError, Verb
from oneglance.errors import OneglanceError
from oneglance.events import COMMAND, COMMANDS_REFUSED
from oneglance.link import Arrival

log = logging.getLogger(__name__)

MAX_WAITING = 8
# How soon the thread of urgent commands notices that it is to stop.
TICK_S = 0.25
# A flood of refusals is told in one line each time, not in one line each.
TELL_EVERY_S = 10.0

# key_id, verb, code, and how many times: `key_id` is empty where no signature proved it.
OnCommand = Callable[[str, str, str, int], None]


@dataclass(frozen=True, slots=True)
class _Request:
    """What came, and where its answer goes."""

    verb: str
    response_topic: str | None
    correlation: bytes | None


class CommandDesk:
    """Takes commands from the network thread; the thread that owns what verbs touch does them.

    Verbs that wait for no other are done in a thread of the desk's own, from `start` to `stop`.
    `on_command` hears of each command that was carried out or failed, before its answer leaves,
    and of refused ones in sums: what it raises as OneglanceError becomes the answer, which says
    so if the command was carried out.
    """

    def __init__(
        self,
        topics: Topics,
        verbs: Mapping[str, Verb],
        authority: Authority,
        reply: SendReply,
        clocks: Clocks,
        on_command: OnCommand | None = None,
    ) -> None:
        self._prefix = topics.commands.removesuffix("+")
        self._verbs = verbs
        self._authority = authority
        self._clocks = clocks
        self._on_command = on_command
        self._answers = Answers(reply, clocks.monotonic_s)
        self._waiting: queue.Queue[tuple[_Request, Order]] = queue.Queue(MAX_WAITING)
        self._urgent: queue.Queue[tuple[_Request, Order]] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="commands", daemon=True)
        self._crash: BaseException | None = None
        self._lock = threading.Lock()
        self._refusals: Counter[tuple[str, str, str]] = Counter()
        self._misplaced = 0
        self._tell_at_s = float("-inf")

    def arrived(self, arrival: Arrival) -> None:
        """Queue a command whose sender may give it; answer any other at once."""
        verb = arrival.topic.removeprefix(self._prefix)
        response_topic = arrival.response_topic
        if response_topic is not None and not may_answer_on(response_topic):
            response_topic = None
            with self._lock:
                self._misplaced += 1
        request = _Request(verb, response_topic, arrival.correlation)
        try:
            if arrival.retained:
                raise CommandRefusedError(Code.RETAINED, "commands must not be retained")
            if verb not in self._verbs:
                known = ", ".join(sorted(self._verbs))
                raise CommandRefusedError(Code.UNKNOWN_COMMAND, f"this daemon knows: {known}")
            order = self._authority.admit(verb, arrival.payload, arrival.response_topic)
            self._enqueue(request, order)
        except CommandRefusedError as refusal:
            with self._lock:
                known_verb = verb if verb in self._verbs else "?"
                self._refusals[refusal.key_id, known_verb, refusal.code] += 1
            # Whoever sent it on is told nothing, nor is its owner: it may still come from there.
            if refusal.code != Code.MISDIRECTED:
                self._answer(request, refusal.code, refusal)

    def start(self) -> None:
        """Begin to carry out what must not wait."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End that."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def work(self) -> None:
        """Carry out what waits; call it often, from the thread that owns what the verbs touch.

        Raises what made the desk's own thread fail.
        """
        if self._crash is not None:
            raise self._crash
        self._authority.tick()
        while True:
            try:
                request, order = self._waiting.get_nowait()
            except queue.Empty:
                break
            self._carry_out(request, order)
        self._tell_refusals()
        self._answers.flush()

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                with suppress(queue.Empty):
                    self._carry_out(*self._urgent.get(timeout=TICK_S))
        except BaseException as error:
            self._crash = error

    def _enqueue(self, request: _Request, order: Order) -> None:
        urgent = self._verbs[order.verb].at_once
        try:
            (self._urgent if urgent else self._waiting).put_nowait((request, order))
        except queue.Full:
            refusal = CommandRefusedError(Code.BUSY, "too many commands at once, try again")
            refusal.key_id = order.sender.key_id
            raise refusal from None

    def _carry_out(self, request: _Request, order: Order) -> None:
        code: str = Code.OK
        said: str | OneglanceError
        try:
            self._authority.confirm(order)
            said = self._verbs[order.verb].run(order.args, order.sender)
        except OneglanceError as error:
            code, said = _code(error), error
        told = COMMAND(KEY=order.sender.key_id, VERB=order.verb, CODE=code)
        log.info("command %s of %s: %s", order.verb, order.sender.key_id, code, extra=told)
        try:
            if self._on_command is not None:
                self._on_command(order.sender.key_id, order.verb, code, 1)
        except OneglanceError as error:
            done, code = code == Code.OK, _code(error)
            said = f"this was done, but not written down who asked: {error.what}" if done else error
        self._answer(request, code, said, order.nonce)

    def _tell_refusals(self) -> None:
        now_s = self._clocks.monotonic_s()
        with self._lock:
            if not (self._refusals or self._misplaced) or now_s < self._tell_at_s:
                return
            self._tell_at_s = now_s + TELL_EVERY_S
            refusals, self._refusals = self._refusals, Counter()
            misplaced, self._misplaced = self._misplaced, 0
        if misplaced:
            log.warning("answers were asked for on topics that are not for answers: %d", misplaced)
        if not refusals:
            return
        sums: Counter[str] = Counter()
        for (key_id, verb, code), times in refusals.items():
            sums[code] += times
            try:
                if self._on_command is not None:
                    self._on_command(key_id, verb, code, times)
            except OneglanceError as error:
                log.error("%s", error)
        codes = ", ".join(f"{c} {n}" for c, n in sorted(sums.items()))
        log.info("refused commands: %s", codes, extra=COMMANDS_REFUSED(CODES=codes))

    def _answer(
        self, request: _Request, code: str, said: str | OneglanceError, nonce: str = ""
    ) -> None:
        if request.response_topic is None:
            return
        if isinstance(said, OneglanceError):
            # Paths stay here: who may send commands need not know this machine.
            said = f"{said.what}. {said.fix}".rstrip(". ")
        reply = Reply(
            issued_at=self._clocks.wall(),
            ok=code == Code.OK,
            code=code,
            text=said[:MAX_REPLY_TEXT],
            nonce=nonce,
        )
        self._answers.give(request.response_topic, request.correlation, reply)


def may_answer_on(topic: str) -> bool:
    """Whether a reply may go there: no wildcard, and none of the topics that mean something.

    A commander must not make the daemon speak on a topic that only the daemon may write to.
    """
    if not topic or len(topic) > MAX_TOPIC_LENGTH or set(topic) & {"+", "#", "\0"}:
        return False
    levels = topic.split("/")
    return not topic.startswith(ROOT + "/") or (len(levels) > 5 and levels[4] == "reply")


def _code(error: OneglanceError) -> str:
    """A code that outlives a rename inside a room: that of the kind in oneglance/errors.py."""
    if isinstance(error, CommandRefusedError):
        return error.code
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return f"{kind.__name__.removesuffix('Error').lower()}_error"
