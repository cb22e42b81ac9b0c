"""How an entity is announced to Home Assistant, and taken back: MQTT discovery.

Each is one retained message. Pure but for the file that may remember what was announced.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from oneglance import __version__
from oneglance.contract.topics import Topics
from oneglance.whole_file import write_whole

log = logging.getLogger(__name__)

# Announcing again at each message from outside could keep us from doing anything else.
AGAIN_AFTER_S = 10.0
# By then the broker has what was sent, or the connection is lost and everything is sent again.
SETTLED_AFTER_S = 10.0

# Its kind, its key and its fields.
Entity = tuple[str, str, dict[str, Any]]
Send = Callable[[str, bytes], bool]


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says `online` when it has started, under its discovery prefix."""
    return f"{prefix}/status"


def config_topic(topics: Topics, prefix: str, kind: str, key: str) -> str:
    """Where a door's entity of that kind and key is announced."""
    return f"{prefix}/{kind}/{_door(topics)}/{key}/config"


def announcements(topics: Topics, prefix: str, entities: Iterable[Entity]) -> dict[str, bytes]:
    """The retained messages that make entities of the device of a door: payloads by topic."""
    door = _door(topics)
    shared = {
        "device": {
            "identifiers": [door],
            "name": f"oneglance {topics.site} {topics.door}",
            "manufacturer": "oneglance",
            "model": "door",
            "sw_version": __version__,
        },
        "origin": {"name": "oneglance", "sw_version": __version__},
    }
    return {
        config_topic(topics, prefix, kind, key): json.dumps(
            {"unique_id": f"{door}_{key}", **fields, **shared}
        ).encode()
        for kind, key, fields in entities
    }


def while_it_runs(topics: Topics) -> dict[str, Any]:
    """An entry of `availability`: as long as the daemon does not say that it is offline."""
    template = "{{ 'offline' if value_json.state == 'offline' else 'online' }}"
    return {"topic": topics.status, "value_template": template}


def _door(topics: Topics) -> str:
    # A level holds no capital letter: so no two doors have one name.
    return f"oneglance_{topics.site}X{topics.door}"


class Announcer:
    """Says who `wanted` (payloads by topic) is, and takes back what a former start announced.

    `file` remembers which topics were announced; who has none names what is to be taken back, with
    an empty payload. Not thread-safe: its owner has a lock.
    """

    def __init__(self, wanted: Mapping[str, bytes], file: Path | None = None) -> None:
        self._wanted = wanted
        self._file = file
        former = announced(file) if file is not None else set()
        self._all = dict.fromkeys(former - set(wanted), b"") | dict(wanted)
        self._waiting: deque[str] = deque()
        self._due_s: float | None = None
        self._begun_s = float("-inf")
        self._settled_s: float | None = None
        if wanted:
            # Before anything is said: what is not in the file is never taken back.
            self._keep(self._all)

    def connected(self, now_s: float) -> None:
        """The broker may know nothing of us: say everything, as soon as `pump` is called."""
        self._due_s = now_s
        self._settled_s = None

    def born(self, now_s: float) -> None:
        """Home Assistant has started: say everything, but not too often."""
        if self._due_s is None:
            self._due_s = max(now_s, self._begun_s + AGAIN_AFTER_S)

    def pump(self, now_s: float, send: Send) -> None:
        """Send one message that waits; call it a few times a second. False of `send`: again.

        One at a time, so that a decision never waits behind them.
        """
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s, self._begun_s = None, now_s
            self._waiting = deque(self._all)
        if self._waiting:
            if send(self._waiting[0], self._all[self._waiting[0]]):
                self._waiting.popleft()
                self._settled_s = None if self._waiting else now_s + SETTLED_AFTER_S
        elif self._settled_s is not None and now_s >= self._settled_s:
            self._settled_s = None
            if len(self._all) > len(self._wanted) or not self._wanted:
                self._all = dict(self._wanted)
                self._keep(self._all)

    def _keep(self, topics: Iterable[str]) -> None:
        if self._file is None:
            return
        text = "".join(f"{topic}\n" for topic in sorted(topics))
        try:
            if text:
                write_whole(self._file, text.encode(), 0o600, durable=True, for_folders_owner=True)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be kept: %s", self._file, error.strerror)


def announced(file: Path) -> set[str]:
    """The topics that were announced, as the file remembers them; none if it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s: cannot be read: %s", file, error)
        return set()
    # An empty retained message takes back whatever stands there: only what is ours.
    return {line for line in lines if "/oneglance_" in line and line.endswith("/config")}
