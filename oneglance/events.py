"""What happens, told to the journal in a form that programs can search: one kind, one MESSAGE_ID.

`log.info("...", extra=EVENT(FIELD=value))`. `python -m oneglance.events` writes systemd's catalog,
so that `journalctl -x` explains each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One kind: its `id` never changes, nor do the names of its `fields`; no field names anybody.

    `subject` and `text` are for people.
    """

    name: str
    id: str
    fields: tuple[str, ...]
    subject: str
    text: str

    def __call__(self, **fields: object) -> dict[str, Any]:
        """For `extra` of a line of the log. ValueError for fields other than its own."""
        if set(fields) != set(self.fields):
            raise ValueError(f"{self.name} has the fields {self.fields}, not {tuple(fields)}")
        return {"event": self, "fields": {name: str(value) for name, value in fields.items()}}


READY = Event(
    "READY",
    "614a10f3065446fd811f2e17df53e947",
    (),
    "The door is watched",
    "All cameras have been tried, and the daemon has begun its work. A camera that is lost is\n"
    "tried again for ever.",
)
STATUS = Event(
    "STATUS",
    "2b4c24c3736748e68e4e8c6ed626bf70",
    ("REASONS",),
    "The daemon's status changed: @ONEGLANCE_REASONS@",
    "What each reason means stands in docs/daemon.md. Without any, it is online.",
)
CAMERA_LOST = Event(
    "CAMERA_LOST",
    "4574c2fb81e84a16a9ed3b0d786b22a1",
    ("CAMERA",),
    "Camera @ONEGLANCE_CAMERA@ gives no pictures",
    "It is opened again and again. Look at its cable and power, and try 'oneglance camera show'.",
)
DECISION = Event(
    "DECISION",
    "4dd18edadfaa4d578fc42df274a5f8d2",
    ("EVENT_ID", "VISIT_ID", "OUTCOME", "REASON"),
    "A visit was @ONEGLANCE_OUTCOME@",
    "The decision stands in the audit log under its event id. Who it was, the journal never says.",
)
COMMAND = Event(
    "COMMAND",
    "a2b543c92a664c5d8621979c7ede34bf",
    ("KEY", "VERB", "CODE"),
    "The command @ONEGLANCE_VERB@ of @ONEGLANCE_KEY@: @ONEGLANCE_CODE@",
    "A signed command was carried out, or its verb failed. The codes stand in docs/wire.md.",
)
COMMANDS_REFUSED = Event(
    "COMMANDS_REFUSED",
    "38bb29b841444876a6e94638adff5da2",
    ("CODES",),
    "Commands were refused: @ONEGLANCE_CODES@",
    "Replayed, forged, of a key that does not count, or too many. If nobody of the house did it,\n"
    "somebody tries: docs/keys.md says how to revoke a key.",
)
NOBODY_LET_IN = Event(
    "NOBODY_LET_IN",
    "863f67445eea46748459577971947191",
    (),
    "Nobody is let in",
    "Gallery, audit log or sequence cannot be used. The line says why, and what to do.",
)
BROKER_CONNECTED = Event(
    "BROKER_CONNECTED",
    "bee30a5e96e54c8196ac13773ec29dac",
    (),
    "Connected to the broker",
    "What is said now is heard.",
)
BROKER_LOST = Event(
    "BROKER_LOST",
    "ccb9aea7a2504c14ae6eb387348f3884",
    (),
    "Disconnected from the broker",
    "It is tried again and again; what grows old meanwhile is dropped.",
)
BROKER_FAILED = Event(
    "BROKER_FAILED",
    "a158ce6023de43d19f6d57bcacda0a9c",
    (),
    "The broker cannot be reached, or refuses us",
    "The line says why. While it lasts the door stays shut.",
)
AUDIT_HEAD = Event(
    "AUDIT_HEAD",
    "7c0b2738f652449cbb6f7b3967686044",
    ("HEAD",),
    "The audit log stands at @ONEGLANCE_HEAD@",
    "Told at each start and end: 'oneglance audit verify --head' takes it, and finds a log that\n"
    "was cut.",
)
LOCK_OPENED = Event(
    "LOCK_OPENED",
    "91dc45cb9b6540928b67cb8ca6ac4d04",
    ("EVENT_ID",),
    "The lock was opened",
    "By the decision of that event id.",
)
LOCK_REFUSED = Event(
    "LOCK_REFUSED",
    "fbb0bd9e521a4426b905167bcdbb27ef",
    (),
    "The lock refused a decision",
    "It was old, seen before, not signed as it should be, or for another door. After a restart of\n"
    "the broker or a set clock that may be; else somebody tries.",
)
LOCK_FAULT = Event(
    "LOCK_FAULT",
    "80833c76c1d841f9a2cf4430921f5cf9",
    (),
    "The lock's pin did not obey",
    "It is driven to shut until it is. Look at the door: it may be open.",
)
EVENTS = (
    *(READY, STATUS, CAMERA_LOST, DECISION, COMMAND, COMMANDS_REFUSED, NOBODY_LET_IN),
    *(BROKER_CONNECTED, BROKER_LOST, BROKER_FAILED, AUDIT_HEAD),
    *(LOCK_OPENED, LOCK_REFUSED, LOCK_FAULT),
)


def catalog() -> str:
    """Systemd's message catalog of all events."""
    parts = ["# What oneglance tells the journal. Made by: python -m oneglance.events"]
    for event in EVENTS:
        head = f"-- {event.id}\nSubject: {event.subject}\nDefined-By: oneglance"
        parts.append(f"{head}\n\n{event.text}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path("systemd/oneglance.catalog").write_text(catalog(), encoding="utf-8")
