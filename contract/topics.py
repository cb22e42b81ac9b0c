"""Where each message travels: the topic tree of one door."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oneglance.errors import ConfigError
from oneglance.topic_level import LEVEL_PATTERN

ROOT = "oneglance/v1"


def check_level(name: str, what: str) -> str:
    """Return `name` if it can stand in a topic: 1-32 of a-z, 0-9, `_` and `-`.

    Raises ConfigError otherwise, since `/`, `+` and `#` in a name would reach other doors' topics.
    """
    if not re.fullmatch(LEVEL_PATTERN, name):
        raise ConfigError(
            f"{name!r} cannot name a {what}",
            fix="use 1 to 32 lower-case letters, digits, '-' or '_', e.g. 'front-door'",
        )
    return name


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one door at one site, as in docs/wire.md."""

    site: str
    door: str

    def __post_init__(self) -> None:
        check_level(self.site, "site")
        check_level(self.door, "door")

    @property
    def base(self) -> str:
        """The prefix of all topics of this door."""
        return f"{ROOT}/{self.site}/{self.door}"

    @property
    def status(self) -> str:
        """Retained: is the daemon online?"""
        return f"{self.base}/status"

    @property
    def visit(self) -> str:
        """QoS 0: what the screen needs right now."""
        return f"{self.base}/visit"

    @property
    def access(self) -> str:
        """QoS 0: claims and waits, for the screen."""
        return f"{self.base}/access"

    @property
    def decision(self) -> str:
        """QoS 1, never retained: the signed answer about one visit."""
        return f"{self.base}/decision"

    @property
    def result(self) -> str:
        """QoS 1, never retained: the outcome of a decision, unsigned, for home automation."""
        return f"{self.base}/result"

    @property
    def challenge(self) -> str:
        """QoS 1, never retained: what the screen asks of the visitor now, signed."""
        return f"{self.base}/challenge"

    @property
    def door_state(self) -> str:
        """Retained: the lock itself saying whether it is open."""
        return f"{self.base}/door/state"

    @property
    def ask_lock(self) -> str:
        """QoS 0: `LOCK`, unsigned. A lock that is told to obey ends its pulse; nothing opens it."""
        return f"{self.base}/ask/lock"

    @property
    def ask_verify(self) -> str:
        """QoS 0: `PRESS`, unsigned. The assistant then signs `verify-now`."""
        return f"{self.base}/ask/verify"

    @property
    def assistant(self) -> str:
        """Retained: `online` or `offline`, what asks for home automation that holds no key."""
        return f"{self.base}/assistant"

    @property
    def picture(self) -> str:
        """QoS 0, never retained: the live picture, an unsealed JPEG file, if the owner says so."""
        return f"{self.base}/picture"

    @property
    def commands(self) -> str:
        """The filter that the daemon subscribes to."""
        return f"{self.base}/command/+"

    def command(self, verb: str) -> str:
        """QoS 1, with response topic and correlation data: a request to the daemon."""
        return f"{self.base}/command/{check_level(verb, 'command')}"

    def reply(self, asker: str) -> str:
        """The response topic of `asker` (a client's short name): the daemon answers only here."""
        return f"{self.base}/reply/{check_level(asker, 'client')}"

    def preview(self, key_id: str) -> str:
        """QoS 0, never retained: sealed pictures for the screen whose key has this id."""
        return f"{self.base}/preview/{check_level(key_id, 'key')}"

    @property
    def gallery(self) -> str:
        """Retained: what makes up the gallery that this door shares with others, signed, sealed."""
        return f"{self.base}/gallery"

    @property
    def gallery_state(self) -> str:
        """Retained: how far the shared gallery has come here."""
        return f"{self.base}/gallery/state"

    @property
    def everything(self) -> str:
        """The filter for everything about this door."""
        return f"{self.base}/#"
