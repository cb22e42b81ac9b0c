"""The wire explained: true, and safe for a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_samples import write
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import TOPICS, make_decision

from oneglance.cli.wire_text import Line, explain, safe
from oneglance.contract.keyring import Keyring, Role
from oneglance.contract.messages import (
    AccessState,
    DoorState,
    Factor,
    Hint,
    LockState,
    Outcome,
    Phase,
    Reply,
    Result,
    ServiceState,
    Status,
    VisitState,
    Wait,
)
from oneglance.contract.sharing import GalleryState, SharedGallery
from oneglance.contract.signing import load_public_key, load_signing_key, sign

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def line_for(
    topic: str,
    payload: bytes,
    *,
    keys: Keyring | None = None,
    retained: bool = False,
) -> Line:
    return explain(TOPICS, topic, payload, retained=retained, keys=keys, now=NOW)


def fresh(**changes: object) -> object:
    return make_decision(7, issued_at=NOW, expires_at=NOW + timedelta(seconds=5), **changes)


def test_a_valid_decision_says_who_and_that_it_is_signed(key_files: tuple[Path, Path]) -> None:
    payload = sign(fresh(), load_signing_key(key_files[0]))
    line = line_for(TOPICS.decision, payload, keys=Keyring.of(load_public_key(key_files[1])))
    assert line.text == ("accepted Ada Lovelace, score 3.50 (threshold 1.00), #7, signature valid")
    assert line.signature == "valid"
    assert line.tail == "decision"


def test_of_a_shared_gallery_its_version_is_shown_and_nothing_of_what_is_sealed(
    key_files: tuple[Path, Path],
) -> None:
    about = {"site": "home", "door": "front", "key_id": "house", "version": 7}
    message = SharedGallery(issued_at=NOW, half="", sealed="A" * 90_000, **about)  # type: ignore[arg-type]
    line = line_for(TOPICS.gallery, sign(message, load_signing_key(key_files[0])))
    assert line.text == "version 7 of the shared gallery, signed as house"
    assert "sealed" not in (line.message or {})
    assert line_for(TOPICS.gallery, b"").text == "no shared gallery any more"
    assert line_for(TOPICS.gallery, b"{}").text == "malformed: not a signed sharedgallery"
    state = GalleryState(issued_at=NOW, version=7, receipt="", problem="sharing_model")
    assert line_for(TOPICS.gallery_state, state.to_payload()).text == "has version 7, sharing_model"


def test_a_forged_decision_is_shown_as_such(key_files: tuple[Path, Path]) -> None:
    payload = sign(fresh(), load_signing_key(key_files[0])).replace(b"Lovelace", b"Loveless")
    line = line_for(TOPICS.decision, payload, keys=Keyring.of(load_public_key(key_files[1])))
    assert "accepted Ada Loveless" in line.text
    assert "signature NOT valid" in line.text
    assert "red" in line.style


def test_an_unsigned_decision_is_not_valid(key_files: tuple[Path, Path]) -> None:
    line = line_for(
        TOPICS.decision, fresh().to_payload(), keys=Keyring.of(load_public_key(key_files[1]))
    )
    assert line.signature == "NOT valid"


def test_without_a_key_nothing_is_called_valid(key_files: tuple[Path, Path]) -> None:
    line = line_for(TOPICS.decision, sign(fresh(), load_signing_key(key_files[0])))
    assert line.signature == "not checked"
    assert "green" not in line.style


def test_expired_and_retained_are_said(key_files: tuple[Path, Path]) -> None:
    key = load_signing_key(key_files[0])
    old = make_decision(
        7, issued_at=NOW - timedelta(seconds=9), expires_at=NOW - timedelta(seconds=4)
    )
    line = line_for(
        TOPICS.decision,
        sign(old, key),
        keys=Keyring.of(load_public_key(key_files[1])),
        retained=True,
    )
    assert "EXPIRED" in line.text
    assert line.text.startswith("RETAINED, nobody may act on it")
    assert line.signature == "valid"


def test_a_command_is_shown_without_its_arguments() -> None:
    line = line_for(TOPICS.command("claim"), write(TOPICS, Role.KIOSK, "claim", pin="739154"))
    assert line.text == "asks, by the key kiosk (not checked)"
    assert line.message is not None
    assert line.message["verb"] == "claim"
    assert "739154" not in repr(line)


def test_a_decision_of_a_revoked_key_is_not_valid(key_files: tuple[Path, Path]) -> None:
    keys = Keyring.of(load_public_key(key_files[1])).changed("signing", revoked_at=NOW)
    line = line_for(TOPICS.decision, sign(fresh(), load_signing_key(key_files[0])), keys=keys)
    assert "signature NOT valid: the key signing is revoked" in line.text
    assert line.style == "bold red"


def test_a_rejected_decision_names_nobody(key_files: tuple[Path, Path]) -> None:
    decision = fresh(outcome=Outcome.REJECTED, reason="not_recognised")
    line = line_for(TOPICS.decision, sign(decision, load_signing_key(key_files[0])))
    assert line.text.startswith("rejected not_recognised, score")


@pytest.mark.parametrize(
    ("topic", "payload", "text"),
    [
        (
            TOPICS.status,
            Status(
                issued_at=NOW,
                state=ServiceState.DEGRADED,
                reasons=("camera_lost:front",),
                software="0.1.0",
                model_id="mobileface-2",
            ).to_payload(),
            "daemon degraded: camera_lost:front (oneglance 0.1.0, model mobileface-2)",
        ),
        (
            TOPICS.visit,
            VisitState(
                issued_at=NOW,
                visit_id="v1",
                phase=Phase.CHECKING,
                hint=Hint.COME_CLOSER,
                progress=0.5,
            ).to_payload(),
            "checking 50%, come_closer",
        ),
        (
            TOPICS.access,
            AccessState(
                issued_at=NOW,
                claim=Factor.BADGE,
                claim_s=12.0,
                waits=(Wait(of=Factor.FACE, seconds=8.0),),
            ).to_payload(),
            "badge claims, 12 s left, face waits 8 s",
        ),
        (
            TOPICS.result,
            Result.of(
                make_decision(1, outcome=Outcome.REJECTED, reason="ambiguous"), names=True
            ).to_payload(),
            "tells others: rejected ambiguous",
        ),
        (
            TOPICS.door_state,
            DoorState(issued_at=NOW, state=LockState.UNLOCKED, cause="event-1").to_payload(),
            "lock unlocked (event-1)",
        ),
        (
            TOPICS.reply("kiosk"),
            Reply(issued_at=NOW, ok=False, code="unknown_command", text="no such").to_payload(),
            "refused: unknown_command no such",
        ),
        (TOPICS.command("reload"), b"{}", "asks, not as a signed command does"),
        (TOPICS.preview("kiosk"), b"\xff\xd8\xff", "a sealed picture of 3 bytes"),
        (TOPICS.picture, b"\xff\xd8\xff", "a picture of 3 bytes, not sealed"),
        (TOPICS.assistant, b"online", "assistant online"),
        (TOPICS.ask_lock, b"UNLOCK", "asks, unsigned: UNLOCK"),
        (f"{TOPICS.base}/what/ever", b"hello", "unknown: hello"),
        (TOPICS.status, b"hello", "malformed: "),
        (TOPICS.decision, b"[1]", "malformed: not a decision"),
    ],
)
def test_each_topic_is_explained(topic: str, payload: bytes, text: str) -> None:
    line = line_for(topic, payload)
    assert line.text.startswith(text)
    assert (line.error is None) == (not text.startswith(("malformed", "unknown:")))


def test_a_hostile_payload_cannot_drive_the_terminal() -> None:
    attack = "\x1b]0;owned\x07\x1b[2J\r\nlock unlocked \x9b31m \u202e"
    for topic in (
        f"{TOPICS.base}/x",
        TOPICS.ask_verify,
        TOPICS.assistant,
        TOPICS.command("reload"),
        TOPICS.base + "/\x1b[2J",
    ):
        line = line_for(topic, attack.encode())
        assert (line.tail + line.text).isprintable()
        assert "\\x1b" in line.text or topic == TOPICS.command("reload")
    state = json.loads(DoorState(issued_at=NOW, state=LockState.LOCKED).to_payload())
    line = line_for(TOPICS.door_state, json.dumps(state | {"cause": attack}).encode())
    assert line.text.isprintable()


@given(
    tail=st.text(max_size=20),
    known=st.sampled_from([TOPICS.decision, TOPICS.status, TOPICS.visit, TOPICS.door_state, ""]),
    payload=st.binary(max_size=300) | st.text(max_size=300).map(lambda t: json.dumps(t).encode()),
)
def test_any_message_is_one_printable_line(tail: str, known: str, payload: bytes) -> None:
    line = line_for(known or f"{TOPICS.base}/{tail}", payload)
    assert (line.tail + line.text).isprintable()
    assert len(line.text) < 400


@given(st.text(max_size=300))
def test_safe_text_is_printable_and_harmless_text_stays(text: str) -> None:
    assert safe(text).isprintable()
    if text.isprintable() and len(text) <= 160:
        assert safe(text) == text
