"""The messages: what is said, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from wire_samples import make_challenge, make_decision

from oneglance.contract.messages import (
    MAX_PAYLOAD_BYTES,
    AccessState,
    Decision,
    DoorState,
    FaceBox,
    Factor,
    LockState,
    Message,
    Outcome,
    Phase,
    Reply,
    Result,
    ServiceState,
    Status,
    VisitState,
    Wait,
    format_time,
    parse,
)
from oneglance.contract.sharing import GalleryState
from oneglance.errors import MessageError

NOW = datetime(2026, 11, 24, 6, 0, 0, 123000, tzinfo=UTC)
SAMPLES: list[Message] = [
    Status(
        issued_at=NOW,
        state=ServiceState.ONLINE,
        software="0.1.0",
        reasons=("a", "b"),
        claims=(Factor.BADGE, Factor.PIN),
    ),
    VisitState(
        issued_at=NOW,
        visit_id="v",
        phase=Phase.LOOK,
        face=FaceBox(x=0.1, y=0.2, width=0.3, height=0.4),
    ),
    make_decision(1, issued_at=NOW, expires_at=NOW + timedelta(seconds=5)),
    make_challenge(1, issued_at=NOW, expires_at=NOW + timedelta(seconds=5)),
    DoorState(issued_at=NOW, state=LockState.LOCKED),
    Result.of(make_decision(1, issued_at=NOW), names=True),
    GalleryState(issued_at=NOW, version=7, receipt=bytes(32).hex(), problem=""),
    Reply(issued_at=NOW, ok=True, code="ok", text="done"),
    AccessState(
        issued_at=NOW,
        claim=Factor.PIN,
        claim_s=3.5,
        waits=(Wait(of=Factor.BADGE, seconds=1.0), Wait(of="claim", seconds=900.0)),
    ),
]


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: m.kind)
def test_what_is_written_is_read_back(message: Message) -> None:
    assert parse(message.to_payload(), type(message)) == message


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: m.kind)
def test_every_field_stands_on_the_wire(message: Message) -> None:
    body = json.loads(message.to_payload())
    assert set(body) == set(type(message).model_fields)
    assert body["v"] == (2 if isinstance(message, Decision) else 1)
    assert body["issued_at"] == "2026-11-24T06:00:00.123Z"


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: m.kind)
@pytest.mark.parametrize(
    "change",
    [
        {"v": 3},
        {"v": None},
        {"kind": "other"},
        {"surprise": 1},
        {"issued_at": "2026-11-24T06:00:00"},
        {"issued_at": "yesterday"},
    ],
    ids=str,
)
def test_a_message_of_another_shape_is_refused(message: Message, change: dict[str, Any]) -> None:
    body = json.loads(message.to_payload()) | change
    with pytest.raises(MessageError, match="not a valid"):
        parse(json.dumps(body).encode(), type(message), "some/topic")


@pytest.mark.parametrize("missing", ["v", "kind", "issued_at"])
@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: m.kind)
def test_a_message_must_say_what_it_is(message: Message, missing: str) -> None:
    body = json.loads(message.to_payload())
    del body[missing]
    with pytest.raises(MessageError):
        parse(json.dumps(body).encode(), type(message))


def test_one_kind_is_not_taken_for_another() -> None:
    for sample in SAMPLES:
        for other in SAMPLES:
            if type(other) is not type(sample):
                with pytest.raises(MessageError):
                    parse(sample.to_payload(), type(other))


def test_the_error_names_topic_and_field_but_not_the_content() -> None:
    body = json.loads(SAMPLES[2].to_payload()) | {"score": "Ada Lovelace"}
    with pytest.raises(MessageError) as caught:
        parse(json.dumps(body).encode(), Decision, "oneglance/v1/home/front/decision")
    assert "oneglance/v1/home/front/decision: not a valid Decision" in str(caught.value)
    assert "score" in str(caught.value)
    assert "Ada" not in str(caught.value)


def test_a_hostile_field_name_neither_drives_a_terminal_nor_fills_a_log() -> None:
    body = json.loads(SAMPLES[0].to_payload()) | {"\x1b[2J\n" + "x" * 9000: 1}
    with pytest.raises(MessageError) as caught:
        parse(json.dumps(body).encode(), Status, "some/topic")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{", b"\xff", b"1", b'"x"', b"[" * 9999])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        parse(payload, Status)


def test_a_huge_message_is_refused_unread() -> None:
    with pytest.raises(MessageError, match="at most"):
        parse(b" " * (MAX_PAYLOAD_BYTES + 1), Status)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_message_error(payload: bytes) -> None:
    for sample in SAMPLES:
        try:
            parse(payload, type(sample))
        except MessageError:
            continue
        pytest.fail("no random bytes are a whole message")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"person_id": None}, "names a person_id"),
        ({"person_id": ""}, "names a person_id"),
        ({"score": 0.5}, "at or above its threshold"),
        ({"score": float("nan")}, "finite"),
        ({"threshold": float("-inf")}, "finite"),
        ({"outcome": Outcome.REJECTED, "person_id": "ada"}, "names nobody"),
        ({"outcome": Outcome.REJECTED, "person_name": "Ada"}, "names nobody"),
        ({"expires_at": NOW - timedelta(seconds=1), "issued_at": NOW}, "after issued_at"),
        ({"sequence": 0}, "greater"),
        ({"sequence": 2**53}, "less than"),
        ({"sequence": True}, "valid integer"),
        ({"event_id": "short"}, "at least 8"),
        ({"door": "../front"}, "pattern"),
        ({"issued_at": datetime(2026, 11, 24)}, "timezone"),
        ({"person_name": "x" * 201}, "at most 200"),
    ],
)
def test_a_decision_that_contradicts_itself_cannot_be_made(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        make_decision(changes.pop("sequence", 1), **changes)


def test_times_are_utc_with_milliseconds() -> None:
    cet = timezone(timedelta(hours=1))
    moment = datetime(2026, 11, 24, 7, 0, 0, 123456, tzinfo=cet)
    assert format_time(moment) == "2026-11-24T06:00:00.123Z"


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SAMPLES[0].state = ServiceState.OFFLINE  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "blush"},
        {"number": 3},
        {"number": 0},
        {"time_s": 0.0},
        {"time_s": 11.0},
        {"challenge_id": "short"},
        {"expires_at": NOW},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_challenge_that_contradicts_itself_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_challenge(1, issued_at=NOW, **changes)
