"""What may be asked of a door, as Home Assistant sees it: a button, a lock, a camera. Pure.

Home Assistant signs nothing, so none of them can open: the button has whoever stands there looked
at, and the lock shuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oneglance.config import AssistantConfig
from oneglance.contract import discovery
from oneglance.contract.discovery import Entity, config_topic, while_it_runs
from oneglance.contract.topics import Topics

# What Home Assistant sends to press the button, and to have the lock shut.
PRESS, LOCK = "PRESS", "LOCK"
# Kind and key of all that may be announced, so that what is off is taken back.
_ALL = (("button", "verify"), ("lock", "lock"), ("camera", "picture"))
# A press that is kept for later would be for whoever stands there by then.
_NOW_OR_NEVER = {"qos": 0, "retain": False}


def announcements(topics: Topics, prefix: str, wanted: AssistantConfig) -> dict[str, bytes]:
    """The retained messages, payloads by topic; empty, which takes it back, for what is off."""
    told = dict.fromkeys((config_topic(topics, prefix, *one) for one in _ALL), b"")
    return told | discovery.announcements(topics, prefix, _entities(topics, wanted))


def _entities(topics: Topics, wanted: AssistantConfig) -> Iterator[Entity]:
    both = {
        "availability": [{"topic": topics.assistant}, while_it_runs(topics)],
        "availability_mode": "all",
    }
    if wanted.verify:
        button: dict[str, Any] = {
            "name": "Verify",
            "command_topic": topics.ask_verify,
            "payload_press": PRESS,
            **_NOW_OR_NEVER,
            **both,
        }
        yield "button", "verify", button
    if wanted.lock:
        # Home Assistant shows no lock without a way to unlock it. What that sends is heard by
        # locks that refuse it, and nothing here changes until the lock says that it did.
        lock: dict[str, Any] = {
            "name": "Lock",
            "state_topic": topics.door_state,
            "value_template": "{{ value_json.state | upper }}",
            "state_jammed": "FAULT",
            "command_topic": topics.ask_lock,
            "payload_lock": LOCK,
            "payload_unlock": "UNLOCK",
            "optimistic": False,
            **_NOW_OR_NEVER,
        }
        yield "lock", "lock", lock
    if wanted.camera:
        yield "camera", "picture", {"name": "Picture", "topic": topics.picture, **both}
