"""What Home Assistant is told of a door, so that it shows the door by itself: MQTT discovery.

Each entity is one retained message. None of them commands anything: Home Assistant holds no key,
and what it hears it does not check. Pure but for the file that remembers what was announced.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from oneglance import __version__
from oneglance.contract.messages import Hint, Liveness, Outcome, ServiceState
from oneglance.contract.topics import Topics
from oneglance.whole_file import write_whole

log = logging.getLogger(__name__)

# The status comes every 30 s: two lost ones are a silence.
SILENT_AFTER_S = 75
# The screen is told five times a second while somebody stands there.
GONE_AFTER_S = 5
# Announcing again at each message from outside could keep us from doing anything else.
AGAIN_AFTER_S = 10.0
# By then the broker has what was sent, or the connection is lost and everything is sent again.
SETTLED_AFTER_S = 10.0

Entity = tuple[str, str, dict[str, Any]]
Send = Callable[[str, bytes], bool]

_ON_UNLESS_IDLE = "{{ 'OFF' if value_json.phase == 'idle' else 'ON' }}"
_DECISION = (
    "{{ {'event_type': value_json.outcome, 'reason': value_json.reason, 'mode': value_json.mode,"
    " 'liveness': value_json.liveness, 'factors': value_json.factors,"
    " 'person': value_json.person_name, 'event_id': value_json.event_id} | to_json }}"
)
# The last one stays, until there is another.
_LAST_HINT = (
    "{{ this.state if value_json.hint == 'none' and this.state not in ('unknown', 'unavailable')"
    " else value_json.hint }}"
)


def announcements(topics: Topics, prefix: str, cameras: Iterable[str]) -> dict[str, bytes]:
    """The retained messages that make one device of a door: payloads by topic.

    `prefix` is Home Assistant's discovery prefix, `cameras` the names of the door's cameras.
    """
    # A level holds no capital letter: so no two doors have one name.
    door = f"oneglance_{topics.site}X{topics.door}"
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
    found = {}
    for component, key, fields in (
        *_visits(topics),
        *_lock(topics),
        *_health(topics),
        *(_camera(topics, camera) for camera in cameras),
    ):
        payload = json.dumps({"unique_id": f"{door}_{key}", **fields, **shared}).encode()
        found[f"{prefix}/{component}/{door}/{key}/config"] = payload
    return found


def _visits(topics: Topics) -> Iterator[Entity]:
    runs = _while_it_runs(topics)
    events = {"event_types": [*Outcome]}
    yield "event", "decision", _shown("Decision", topics.result, _DECISION, events, runs)
    seen = {"device_class": "occupancy", "off_delay": GONE_AFTER_S}
    yield (
        *("binary_sensor", "visitor"),
        _shown("Visitor", topics.visit, _ON_UNLESS_IDLE, seen, runs),
    )
    hints = _one_of(Hint) | _DIAGNOSTIC
    yield "sensor", "hint", _shown("Last hint", topics.visit, _LAST_HINT, hints, runs)
    liveness = _one_of(Liveness) | _DIAGNOSTIC
    template = "{{ value_json.liveness }}"
    yield (
        *("sensor", "liveness"),
        _shown("Last liveness", topics.result, template, liveness, runs),
    )


def _lock(topics: Topics) -> Iterator[Entity]:
    """The lock's state, as a sensor: to Home Assistant a lock is something that it may open."""
    # To Home Assistant, on is unlocked; in a fault nobody knows.
    template = "{{ {'unlocked': 'ON', 'locked': 'OFF'}.get(value_json.state, 'None') }}"
    lock = {"device_class": "lock"}
    yield "binary_sensor", "lock", _shown("Lock", topics.door_state, template, lock)
    template = "{{ 'ON' if value_json.state == 'fault' else 'OFF' }}"
    fault = {"device_class": "problem"} | _DIAGNOSTIC
    yield "binary_sensor", "lock_fault", _shown("Lock fault", topics.door_state, template, fault)


def _health(topics: Topics) -> Iterator[Entity]:
    runs, silence = _while_it_runs(topics), {"expire_after": SILENT_AFTER_S} | _DIAGNOSTIC
    template = "{{ 'OFF' if value_json.state == 'offline' else 'ON' }}"
    connection = {"device_class": "connectivity"} | silence
    yield (
        *("binary_sensor", "connection"),
        _shown("Connection", topics.status, template, connection),
    )
    reasons = {
        "json_attributes_topic": topics.status,
        "json_attributes_template": "{{ {'reasons': value_json.reasons} | to_json }}",
    }
    status = _one_of(ServiceState) | silence | reasons
    yield "sensor", "status", _shown("Status", topics.status, "{{ value_json.state }}", status)
    template = "{{ 'ON' if value_json.state == 'degraded' else 'OFF' }}"
    problem = {"device_class": "problem"} | _DIAGNOSTIC
    yield "binary_sensor", "problem", _shown("Problem", topics.status, template, problem, runs)
    template = "{{ value_json.model_id }} {{ value_json.model_variant }}"
    yield "sensor", "model", _shown("Model", topics.status, template, _DIAGNOSTIC, runs)


def _camera(topics: Topics, camera: str) -> Entity:
    """Whether the camera sees; one that is merely slow does."""
    blind = [f"camera_{what}:{camera}" for what in ("lost", "dark", "frozen")]
    template = (
        "{{ 'OFF' if " + str(blind) + " | select('in', value_json.reasons) | list else 'ON' }}"
    )
    seeing = {"device_class": "connectivity"} | _DIAGNOSTIC
    runs = _while_it_runs(topics)
    fields = _shown(f"Camera {camera}", topics.status, template, seeing, runs)
    return "binary_sensor", f"camera_{camera}", fields


_DIAGNOSTIC = {"entity_category": "diagnostic"}


def _shown(name: str, topic: str, template: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"name": name, "state_topic": topic, "value_template": template}
    for further in more:
        fields |= further
    return fields


def _one_of(words: type[StrEnum]) -> dict[str, Any]:
    return {"device_class": "enum", "options": [*words]}


def _while_it_runs(topics: Topics) -> dict[str, Any]:
    template = "{{ 'offline' if value_json.state == 'offline' else 'online' }}"
    return {"availability": [{"topic": topics.status, "value_template": template}]}


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """What the publisher does for Home Assistant.

    It announces the door, again after each start of Home Assistant, and reports results, with
    `names` or without.

    Without a `birth_topic` only what was announced before is taken back.
    """

    announcer: Announcer
    birth_topic: str = ""
    names: bool = False


class Announcer:
    """Says who `wanted` (payloads by topic) is, and takes back what a former start announced.

    `file` remembers which topics were announced. Not thread-safe: its owner has a lock.
    """

    def __init__(self, wanted: Mapping[str, bytes], file: Path) -> None:
        self._wanted = wanted
        self._file = file
        self._all = dict.fromkeys(announced(file) - set(wanted), b"") | dict(wanted)
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
