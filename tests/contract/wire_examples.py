"""The examples in docs/wire.md, made by the code that makes the real messages.

`python tests/contract/wire_examples.py` writes them into the document.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from oneglance.contract.commands import Command
from oneglance.contract.messages import (
    AccessState,
    Challenge,
    Decision,
    DoorState,
    FaceBox,
    Factor,
    Hint,
    Liveness,
    LockState,
    Message,
    Mode,
    Outcome,
    Phase,
    Reply,
    Result,
    ServiceState,
    Status,
    Step,
    VisitState,
    Wait,
)
from oneglance.contract.sharing import (
    Contents,
    GalleryState,
    Part,
    SharedGallery,
    packed,
    seal_contents,
    seal_part,
)
from oneglance.contract.signing import sign

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "wire.md"
AT = datetime(2026, 11, 24, 6, 0, 0, 123000, tzinfo=UTC)
# Published on purpose: a test vector for other implementations.
KEY = Ed25519PrivateKey.from_private_bytes(b"an example key, it guards no one")
DOOR_KEY = X25519PrivateKey.from_private_bytes(b"a door's own key, guards nothing")
GALLERY_VERSION = 1795500000123
RECEIPT = bytes(range(32))
GALLERY_VECTOR = DOCUMENT.parent / "vectors" / "gallery" / "gallery.json"
EVENT = "0b6f3f1c5d2e4a7f9c8b7a6d5e4f3a2b"

_BLOCK = re.compile(r"(<!-- example: (\w+) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)


def decision_payload() -> bytes:
    """The document's decision, as it would travel."""
    return sign(
        Decision(
            issued_at=AT,
            event_id=EVENT,
            site="home",
            door="front",
            visit_id="front-42",
            outcome=Outcome.ACCEPTED,
            person_id="ada",
            person_name="Ada Lovelace",
            score=6.25,
            threshold=2.5,
            model_id="mobileface-2",
            mode=Mode.IDENTIFY,
            liveness=Liveness.PASSED,
            factors=(Factor.FACE,),
            expires_at=AT + timedelta(seconds=5),
            sequence=1795500000123,
        ),
        KEY,
    )


def challenge_payload() -> bytes:
    """The document's challenge, as it would travel."""
    return sign(
        Challenge(
            issued_at=AT,
            challenge_id="7d2c9a4e1b6f4c3d8e5a0f9b2c1d4e6a",
            site="home",
            door="front",
            visit_id="front-42",
            step=Step.TURN_LEFT,
            number=1,
            steps=2,
            attempt=1,
            time_s=5.0,
            expires_at=AT + timedelta(seconds=5),
            sequence=1795500000122,
        ),
        KEY,
    )


def gallery_part() -> tuple[Part, bytes]:
    """A part with one person, who has one template of four numbers."""
    person = {
        "id": "ada",
        "name": "Ada Lovelace",
        "created_at": "2026-11-24T05:00:00.000000+00:00",
        "consent_at": "2026-11-24T05:00:00.000000+00:00",
        "valid_from": None,
        "expires_at": None,
        "groups": ["family"],
        "templates": [[bytes(16).hex(), "example-1", "2026-11-24T05:00:00.000000+00:00", "photo"]],
    }
    values = struct.pack("<4f", 0.5, -0.5, 0.5, 0.5)
    return seal_part(packed({"people": [person], "size": 4}, values), b"a secret of the house")


def gallery_payload() -> bytes:
    """The document's message for one door, as it would travel."""
    about: Any = {"site": "home", "door": "front", "version": GALLERY_VERSION}
    half, sealed = seal_contents(
        Contents("example-1", (gallery_part()[0],), RECEIPT),
        DOOR_KEY.public_key().public_bytes_raw(),
        X25519PrivateKey.from_private_bytes(b"made for one message, then gone."),
        **about,
    )
    return sign(SharedGallery(issued_at=AT, key_id="house", half=half, sealed=sealed, **about), KEY)


def gallery_vector() -> str:
    """A whole gallery for one door, with the door's key: docs/vectors/gallery/gallery.json."""
    part, payload = gallery_part()
    body = {
        "house_public_key": b64encode(KEY.public_key().public_bytes_raw()).decode(),
        "door_private_key": b64encode(DOOR_KEY.private_bytes_raw()).decode(),
        "message": b64encode(gallery_payload()).decode(),
        "parts": {f"oneglance/parts/v1/home/{part.id}": b64encode(payload).decode()},
        "receipt": RECEIPT.hex(),
        "people": ["ada"],
        "templates": [[0.5, -0.5, 0.5, 0.5]],
    }
    return json.dumps(body, indent=2) + "\n"


def command_payload() -> bytes:
    """The document's command, as it would travel."""
    return sign(
        Command(
            issued_at=AT,
            expires_at=AT + timedelta(seconds=5),
            site="home",
            door="front",
            verb="rename",
            args={"id": "ada", "name": "Ada King"},
            key_id="administrator",
            nonce="7f3c1a9be54d208866f0c2d19b7ae351",
            reply_to="oneglance/v1/home/front/reply/administrator",
        ),
        KEY,
    )


def reply_payload() -> bytes:
    """The answer to that command, as it would travel."""
    nonce = json.loads(command_payload())["nonce"]
    said = {"ok": True, "code": "ok", "text": "ada is called Ada King"}
    return sign(Reply(issued_at=AT, nonce=nonce, **said), KEY)


def examples() -> dict[str, str]:
    """The text of each block."""
    messages: dict[str, Message] = {
        "status": Status(
            issued_at=AT,
            state=ServiceState.DEGRADED,
            reasons=("camera_lost:front",),
            software="0.2.0",
            model_id="mobileface-2",
            model_variant="int8",
            claims=(Factor.BADGE,),
        ),
        "visit": VisitState(
            issued_at=AT,
            visit_id="front-42",
            phase=Phase.CHECKING,
            hint=Hint.NONE,
            progress=0.5,
            face=FaceBox(x=0.375, y=0.25, width=0.25, height=0.375),
        ),
        "access": AccessState(
            issued_at=AT,
            claim=Factor.BADGE,
            claim_s=12.5,
            waits=(Wait(of=Factor.FACE, seconds=8.0),),
        ),
        "result": Result(
            issued_at=AT,
            event_id=EVENT,
            outcome=Outcome.ACCEPTED,
            reason="",
            mode=Mode.IDENTIFY,
            liveness=Liveness.PASSED,
            factors=(Factor.FACE,),
            person_name=None,
        ),
        "door_state": DoorState(issued_at=AT, state=LockState.UNLOCKED, cause=EVENT),
        "gallery_state": GalleryState(
            issued_at=AT, version=GALLERY_VERSION, receipt=RECEIPT.hex(), problem=""
        ),
    }
    texts = {name: _pretty(message.to_payload()) for name, message in messages.items()}
    texts["reply"] = _pretty(reply_payload())
    texts["challenge"] = _pretty(challenge_payload())
    texts["decision"] = _pretty(decision_payload())
    texts["gallery"] = _pretty(gallery_payload())
    texts["command"] = _pretty(command_payload())
    body = json.loads(decision_payload())
    del body["signature"]
    texts["canonical"] = rfc8785.dumps(body).decode() + "\n"
    texts["key"] = public_pem().decode()
    return texts


def public_pem() -> bytes:
    """The example's public key."""
    return KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def filled(document: str) -> str:
    """The document with each block as the code makes it."""
    texts = examples()
    return _BLOCK.sub(lambda match: match[1] + texts[match[2]] + match[4], document)


def block_names(document: str) -> list[str]:
    """Which blocks the document has."""
    return [match[2] for match in _BLOCK.finditer(document)]


def _pretty(payload: bytes) -> str:
    return json.dumps(json.loads(payload), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))
    GALLERY_VECTOR.write_text(gallery_vector())
