"""Signed commands to a door's daemon: what is asked, by whose key, until when, and only once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, StringConstraints, ValidationError, model_validator

from oneglance.contract.keyring import KeyId
from oneglance.contract.messages import FiniteFloat, Message, Time
from oneglance.contract.signing import sign
from oneglance.contract.topics import Topics
from oneglance.errors import ConfigError, MessageError
from oneglance.key_files import load_private_key
from oneglance.topic_level import LEVEL_PATTERN, Level

# A photograph for an enrolment travels in a command, so it may be longer than other messages.
MAX_COMMAND_BYTES = 196_608
# Everything that a screen or a reader may send is short.
MAX_SHORT_COMMAND_BYTES = 4096
MAX_COMMAND_LIFE = timedelta(seconds=10)
COMMAND_LIFE = timedelta(seconds=5)
MAX_ARGS = 8
MAX_TOPIC_LENGTH = 256
NONCE_BYTES = 16

ArgName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
ArgText = Annotated[str, StringConstraints(max_length=MAX_COMMAND_BYTES)]
# Not every JSON reader reads numbers beyond this alike.
ArgInt = Annotated[int, Field(gt=-(2**53), lt=2**53)]
ArgList = Annotated[tuple[ArgText, ...], Field(max_length=8)]
Arg = bool | ArgInt | FiniteFloat | ArgText | ArgList | None
Args = Mapping[str, Arg]


class Code(StrEnum):
    """What a reply's `code` says, for programs. Failures of the verb itself have other codes."""

    OK = "ok"
    UNKNOWN_COMMAND = "unknown_command"
    RETAINED = "retained"
    BUSY = "busy"
    WAIT = "wait"
    NOT_SIGNED = "not_signed"
    UNKNOWN_KEY = "unknown_key"
    NOT_ALLOWED = "not_allowed"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    RATE_LIMITED = "rate_limited"
    BAD_ARGUMENTS = "bad_arguments"
    WRONG_DOOR = "wrong_door"
    MISDIRECTED = "misdirected"
    CLOCK_SET = "clock_set"


class Command(Message):
    """A request to one door's daemon. The nonce makes each of them count once.

    Version 1 did not say where its answer goes, so anybody who passed it on could have the answer.
    """

    v: Literal[2] = 2
    kind: Literal["command"] = "command"
    expires_at: Time
    site: Level
    door: Level
    verb: Level = Field(description="the same as in the topic")
    args: dict[ArgName, Arg] = Field(max_length=MAX_ARGS)
    key_id: KeyId = Field(description="whose key signed this, as in the daemon's keyring")
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}$")] = Field(
        description="128 bits or more that nobody can guess, in hexadecimal; never used again"
    )
    reply_to: Annotated[str, StringConstraints(max_length=MAX_TOPIC_LENGTH)] = Field(
        description="the message's MQTT Response Topic, empty if it has none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not timedelta(0) < self.expires_at - self.issued_at <= MAX_COMMAND_LIFE:
            raise ValueError("a command lives for more than 0 and at most 10 seconds")
        return self


class CommandWriter:
    """Writes the commands of one key to one door. `key_id` is the key's id in the keyring."""

    def __init__(
        self,
        topics: Topics,
        key_id: str,
        key: Ed25519PrivateKey,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._topics = topics
        self._key_id = key_id
        self._key = key
        self._wall = wall

    @property
    def key_id(self) -> str:
        """The id of the key that signs."""
        return self._key_id

    def write(self, verb: str, reply_to: str = "", /, **args: Arg) -> bytes:
        """A signed payload with a fresh nonce, good for COMMAND_LIFE and for one try.

        `reply_to` is the Response Topic that it is published with, if there is one.

        Raises MessageError for arguments that no command can carry, or for too long a payload.
        """
        issued_at = self._wall()
        try:
            command = Command(
                issued_at=issued_at,
                expires_at=issued_at + COMMAND_LIFE,
                site=self._topics.site,
                door=self._topics.door,
                verb=verb,
                args=dict(args),
                key_id=self._key_id,
                nonce=secrets.token_hex(NONCE_BYTES),
                reply_to=reply_to,
            )
        except ValidationError as error:
            # The values stay out of the text: one of them may be a PIN.
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])[:100] or "the command"
            raise MessageError(f"no valid command: {place}: {first['msg']}") from None
        payload = sign(command, self._key)
        if len(payload) > MAX_COMMAND_BYTES:
            raise MessageError(
                f"a command of {len(payload)} bytes (at most {MAX_COMMAND_BYTES})",
                fix="send a smaller photograph: 640 pixels on its longer side are plenty",
            )
        return payload


def open_writer(
    topics: Topics, key_file: Path, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> CommandWriter:
    """The writer whose private key is in ID.key: the file's name, less its ending, is the key's id.

    Raises ConfigError if the file is missing, open to others, or not a key.
    """
    if not re.fullmatch(LEVEL_PATTERN, key_file.stem):
        raise ConfigError(
            "a key's file is named after the key's id",
            where=str(key_file),
            fix="rename it to ID.key, with the id that 'oneglance keys list' shows",
        )
    key = load_private_key(
        key_file, "key for commands", "make one with 'oneglance keys make administrator --id NAME'"
    )
    return CommandWriter(topics, key_file.stem, key, wall)
