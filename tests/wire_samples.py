"""Messages for tests, made of the real types."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from oneglance.contract.messages import (
    Challenge,
    Decision,
    Factor,
    Liveness,
    Mode,
    Outcome,
    Step,
)
from oneglance.contract.topics import Topics

TOPICS = Topics("home", "front")


def make_decision(sequence: int, **changes: Any) -> Decision:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "issued_at": now,
        "expires_at": now + timedelta(seconds=5),
        "event_id": uuid.uuid4().hex,
        "site": "home",
        "door": "front",
        "visit_id": "visit-1",
        "outcome": Outcome.ACCEPTED,
        "person_id": "ada",
        "person_name": "Ada Lovelace",
        "score": 3.5,
        "threshold": 1.0,
        "model_id": "test-1",
        "mode": Mode.IDENTIFY,
        "liveness": Liveness.PASSED,
        "factors": (Factor.FACE,),
        "sequence": sequence,
    }
    if changes.get("outcome") is Outcome.REJECTED:
        values |= {"person_id": None, "person_name": None, "score": 0.0, "factors": ()}
    return Decision(**(values | changes))


def make_challenge(sequence: int, **changes: Any) -> Challenge:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "issued_at": now,
        "expires_at": now + timedelta(seconds=5),
        "challenge_id": uuid.uuid4().hex,
        "site": "home",
        "door": "front",
        "visit_id": "visit-1",
        "step": Step.TURN_LEFT,
        "number": 1,
        "steps": 2,
        "attempt": 1,
        "time_s": 5.0,
        "sequence": sequence,
    }
    return Challenge(**(values | changes))
