"""The administrator's own connection to the daemon, from a correct PIN until they leave."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from oneglance.config import Config
from oneglance.contract.commands import COMMAND_LIFE, Arg, Args, CommandWriter
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import PinnedKeys
from oneglance.contract.messages import Reply, parse
from oneglance.contract.signing import unpack
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError
from oneglance.kiosk_ui.admin_secret import AdminKey
from oneglance.link import Arrival, Link
from oneglance.topic_level import LEVEL_PATTERN

log = logging.getLogger(__name__)

# The daemon reads a face in some seconds on a small machine; nobody waits longer for an answer.
ANSWER_S = 12.0
# No answer came, or the broker is away.
UNHEARD = ""

# The answer's code, and its text.
Then = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Question:
    verb: str
    args: Args
    then: Then
    until_s: float
    nonce: str = ""


class AdminLink:
    """Asks with the administrator's key, as the administrator's user at the broker.

    So the screen's own user needs no further rights, and nothing remains once this is stopped.
    """

    def __init__(self, config: Config, key: AdminKey, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._topics = Topics(config.site.name, config.site.door)
        self._pins = PinnedKeys(config.kiosk.public_key_file)
        self._writer = CommandWriter(self._topics, key.key_id, key.key)
        mqtt = config.mqtt
        if key.user is not None:
            mqtt = mqtt.model_copy(update={"user": key.user, "password_file": None})
        user = mqtt.user or ""
        asker = user if re.fullmatch(LEVEL_PATTERN, user) else "kiosk-admin"
        self._answers = self._topics.reply(asker)
        self._heard: deque[Arrival] = deque(maxlen=64)
        self._waiting: deque[_Question] = deque()
        self._open: dict[bytes, _Question] = {}
        self._link = Link(
            mqtt,
            f"oneglance-kiosk-admin-{secrets.token_hex(4)}",
            subscriptions=((self._answers, 1),),
            on_message=self._heard.append,
            password=key.password if key.user is not None else None,
        )
        self._link.start()

    @property
    def connected(self) -> bool:
        """Whether something can be asked."""
        return self._link.connected

    def ask(self, verb: str, then: Then, /, **args: Arg) -> None:
        """Send a request; `turn` calls `then` with the outcome, once."""
        self._waiting.append(_Question(verb, args, then, time.monotonic() + self._answer_s))
        self._send()

    def turn(self) -> None:
        """Send what is waiting, hand over answers; call it often, in the thread that asks."""
        self._send()
        while self._heard:
            arrival = self._heard.popleft()
            asked = self._open.pop(arrival.correlation or b"", None)
            if asked is None or arrival.retained:
                continue
            try:
                reply = self._believed(arrival, asked)
            except MessageError as error:
                log.warning("an answer that is none: %s", error)
                # The daemon's own may still come.
                self._open[arrival.correlation or b""] = asked
                continue
            asked.then(reply.code, reply.text)
        now_s = time.monotonic()
        late = [number for number, asked in self._open.items() if now_s >= asked.until_s]
        over = [self._open.pop(number) for number in late]
        while self._waiting and now_s >= self._waiting[0].until_s:
            over.append(self._waiting.popleft())
        if self._answers in self._link.deaf:
            # No answer can come, so nobody waits for one; the link has logged why.
            over += [*self._open.values(), *self._waiting]
            self._open.clear()
            self._waiting.clear()
        for asked in over:
            asked.then(UNHEARD, "")

    def _believed(self, arrival: Arrival, asked: _Question) -> Reply:
        """The answer to what was asked. Raises MessageError if it must not be believed.

        Names and groups are shown from it, and then signed for: so it must be the daemon's own, and
        the answer to this very question. Only a refusal is believed from anybody: whoever can forge
        one could as well keep the question from the daemon.
        """
        reply = parse(arrival.payload, Reply, arrival.topic)
        if not reply.ok and not reply.nonce:
            return reply
        if reply.nonce != asked.nonce:
            raise MessageError("it answers another question", where=arrival.topic)
        signed = unpack(arrival.payload, Reply, arrival.topic)
        valid = self._pins.current().valid(Role.DAEMON, datetime.now(UTC))
        if not any(signed.is_by(entry.key) for entry in valid):
            raise MessageError(
                "this door's daemon did not sign it",
                where=arrival.topic,
                fix="give the screen the public key of this door's daemon, of the same version",
            )
        return reply

    def _send(self) -> None:
        # Signed when it can go: what waits for a connection would expire.
        while self._waiting and self._link.wait_connected(0):
            asked = self._waiting.popleft()
            number = secrets.token_bytes(8)
            payload = self._writer.write(asked.verb, self._answers, **asked.args)
            self._open[number] = replace(asked, nonce=json.loads(payload)["nonce"])
            self._link.publish(
                self._topics.command(asked.verb),
                payload,
                qos=1,
                expiry_s=int(COMMAND_LIFE.total_seconds()),
                correlation=number,
                response_topic=self._answers,
            )

    def stop(self) -> None:
        """Disconnect for good."""
        self._open.clear()
        self._waiting.clear()
        self._link.stop(timeout_s=0.5)
