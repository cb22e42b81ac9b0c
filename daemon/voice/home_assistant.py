"""What Home Assistant is told of a door, so that it shows the door by itself: MQTT discovery.

None of these entities commands anything: Home Assistant holds no key, and what it hears it does not
check. What may be asked of a door is announced by `oneglance assistant`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from oneglance.contract import discovery
from oneglance.contract.discovery import Announcer, Entity, while_it_runs
from oneglance.contract.messages import Hint, Liveness, Outcome, ServiceState
from oneglance.contract.topics import Topics

# The status comes every 30 s: two lost ones are a silence.
SILENT_AFTER_S = 75
# The screen is told five times a second while somebody stands there.
GONE_AFTER_S = 5

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
    cameras_of_it = (_camera(topics, camera) for camera in cameras)
    entities = (*_visits(topics), *_lock(topics), *_health(topics), *cameras_of_it)
    return discovery.announcements(topics, prefix, entities)


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
    return {"availability": [while_it_runs(topics)]}


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
