"""The vectors in docs/vectors: payloads, and what a consumer makes of each.

`python tests/contract/wire_vectors.py` writes them. The keys are published on purpose.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.contract.messages import Decision, Factor, Liveness, Mode, Outcome, format_time
from oneglance.contract.signing import sign

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "vectors"
AT = datetime(2026, 11, 24, 6, 0, 0, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SEQUENCE = 1795500000123


def _key(text: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(text)


NEW = _key(b"an example key, it guards no one")
OLD = _key(b"a key of last year, still known.")
REVOKED = _key(b"a key that somebody has stolen..")
STRANGER = _key(b"the key of somebody else's house")


@dataclass(frozen=True)
class Step:
    """One arrival, and what it comes to: `opens`, or the reason against."""

    payload: bytes
    result: str
    now: datetime = AT + SECOND
    retained: bool = False

    def body(self) -> dict[str, Any]:
        """As it stands in the file, with the text beside the bytes where it is text."""
        return {
            "now": format_time(self.now),
            "retained": self.retained,
            "result": self.result,
            "payload": base64.b64encode(self.payload).decode(),
            "text": self.payload.decode("utf-8", errors="replace"),
        }


@dataclass(frozen=True)
class Vector:
    """What a consumer is given in order, beginning with `last_sequence` in its memory."""

    name: str
    why: str
    steps: Sequence[Step]
    last_sequence: int = 0
    require_liveness: bool = True
    keys: Sequence[dict[str, Any]] = field(default_factory=lambda: list(KEYS))

    def body(self) -> dict[str, Any]:
        """As it stands in the file."""
        door = {
            "site": "home",
            "door": "front",
            "require_liveness": self.require_liveness,
            "keys": list(self.keys),
        }
        return {
            "name": self.name,
            "why": self.why,
            "door": door,
            "last_sequence": self.last_sequence,
            "steps": [step.body() for step in self.steps],
        }


def _pin(
    name: str,
    key: Ed25519PrivateKey,
    not_before: datetime,
    not_after: datetime | None = None,
    revoked_at: datetime | None = None,
) -> dict[str, Any]:
    return {
        "id": name,
        "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        "not_before": format_time(not_before),
        "not_after": format_time(not_after) if not_after else None,
        "revoked_at": format_time(revoked_at) if revoked_at else None,
    }


KEYS = [
    _pin("daemon-2026", NEW, AT - 30 * DAY),
    _pin("daemon-2025", OLD, AT - 400 * DAY, AT + DAY),
    # Written by a machine whose clock is ahead: the date is for people.
    _pin("daemon-stolen", REVOKED, AT - 400 * DAY, revoked_at=AT + DAY),
]


def decision(sequence: int = SEQUENCE, **changes: Any) -> Decision:
    """An accepted decision of the vectors' door, issued at AT."""
    values: dict[str, Any] = {
        "issued_at": AT,
        "event_id": f"event-{sequence}",
        "site": "home",
        "door": "front",
        "visit_id": "front-42",
        "outcome": Outcome.ACCEPTED,
        "person_id": "ada",
        "person_name": 'Ada "Augusta" Lovelace, née Byron 👩\u200d🔬',
        "score": 6.25,
        "threshold": 1e-7,
        "model_id": "mobileface-2",
        "mode": Mode.IDENTIFY,
        "liveness": Liveness.PASSED,
        "factors": (Factor.FACE,),
        "expires_at": AT + 5 * SECOND,
        "sequence": sequence,
    }
    return Decision(**(values | changes))


def signed(sequence: int = SEQUENCE, key: Ed25519PrivateKey = NEW, **changes: Any) -> bytes:
    """The payload of such a decision."""
    return sign(decision(sequence, **changes), key)


def _signed_body(body: dict[str, Any], key: Ed25519PrivateKey = NEW) -> bytes:
    signature = base64.b64encode(key.sign(rfc8785.dumps(body))).decode()
    return rfc8785.dumps(body | {"signature": signature})


def _body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(decision().to_payload())
    return body | changes


def _other_spelling(payload: bytes) -> bytes:
    body = json.loads(payload)
    text = body["signature"]
    # The last digit before the padding carries four bits that mean nothing.
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = digits.index(text[-3])
    body["signature"] = text[:-3] + digits[last ^ 1] + "=="
    return rfc8785.dumps(body)


def vectors() -> list[Vector]:
    """All of them."""
    good = signed()
    altered = good.replace(b'"person_id":"ada"', b'"person_id":"eve"')
    flipped = json.loads(good)
    flipped["signature"] = base64.b64encode(
        bytes([base64.b64decode(flipped["signature"])[0] ^ 1])
        + base64.b64decode(flipped["signature"])[1:]
    ).decode()
    rejected = {
        "outcome": Outcome.REJECTED,
        "reason": "not_recognised",
        "person_id": None,
        "person_name": None,
        "score": -3.5,
        "liveness": Liveness.NOT_REQUIRED,
        "factors": (),
    }
    two_factors = {"mode": Mode.VERIFY, "factors": (Factor.FACE, Factor.BADGE)}
    old_version = _body(v=1)
    del old_version["liveness"], old_version["factors"]
    return [
        Vector("valid", "signed, fresh, for this door, never seen", [Step(good, "opens")]),
        Vector("valid-badge-and-face", "1:1, two factors", [Step(signed(**two_factors), "opens")]),
        Vector(
            "last-moment",
            "it counts until the millisecond before it expires",
            [
                Step(good, "opens", AT + 5 * SECOND - timedelta(milliseconds=1)),
            ],
        ),
        Vector("expired", "from expires_at on", [Step(good, "expired", AT + 5 * SECOND)]),
        Vector(
            "future",
            "issued more than two seconds ahead of this clock",
            [Step(good, "future", AT - 2 * SECOND - timedelta(milliseconds=1))],
        ),
        Vector(
            "clock-skew",
            "the daemon's clock may be two seconds ahead, and no more",
            [Step(good, "opens", AT - 2 * SECOND)],
        ),
        Vector(
            "lives-too-long",
            "no decision may live longer than ten seconds",
            [Step(signed(expires_at=AT + 10.001 * SECOND), "lifetime")],
        ),
        Vector(
            "replayed",
            "the same message twice opens once",
            [Step(good, "opens"), Step(good, "replay"), Step(good, "replay", AT + 2 * SECOND)],
        ),
        Vector(
            "replayed-after-restart",
            "the sequence was kept on disk before the relay moved",
            [Step(good, "replay")],
            last_sequence=SEQUENCE,
        ),
        Vector(
            "sequence-gap",
            "numbers may be left out",
            [Step(good, "opens"), Step(signed(SEQUENCE + 5000), "opens")],
        ),
        Vector(
            "out-of-order",
            "an older one that comes late is refused, though it is fresh",
            [Step(signed(SEQUENCE + 1), "opens"), Step(good, "replay")],
        ),
        Vector(
            "after-a-rejection",
            "a rejected decision uses up its number, too",
            [Step(signed(SEQUENCE + 1, **rejected), "rejected"), Step(good, "replay")],
        ),
        Vector("rejected", "somebody was not let in", [Step(signed(**rejected), "rejected")]),
        Vector("retained", "never act on what was kept", [Step(good, "retained", retained=True)]),
        Vector("wrong-door", "for the back door", [Step(signed(door="back"), "place")]),
        Vector("wrong-site", "for another house", [Step(signed(site="office"), "place")]),
        Vector("wrong-key", "signed by nobody we know", [Step(signed(key=STRANGER), "signature")]),
        Vector(
            "revoked-key", "genuine, but the key was stolen", [Step(signed(key=REVOKED), "key")]
        ),
        Vector(
            "rotated-key",
            "the former key counts until its end, and then no more",
            [
                Step(signed(key=OLD), "opens"),
                Step(
                    signed(
                        SEQUENCE + 86_400_000,
                        OLD,
                        issued_at=AT + DAY,
                        expires_at=AT + DAY + 5 * SECOND,
                    ),
                    "key",
                    AT + DAY + SECOND,
                ),
            ],
        ),
        Vector("altered-person", "one word was changed", [Step(altered, "signature")]),
        Vector(
            "altered-signature",
            "one bit of the signature was changed",
            [Step(rfc8785.dumps(flipped), "signature")],
        ),
        Vector(
            "respelt-signature",
            "the same signature, with the unused bits of its base64 set",
            [Step(_other_spelling(good), "malformed")],
        ),
        Vector(
            "unsigned",
            "no signature at all",
            [Step(decision().to_payload(), "malformed")],
        ),
        Vector(
            "duplicate-member",
            "a member stands twice: parsers differ in which they take",
            [
                Step(b'{"person_id":"eve",' + good[1:], "malformed"),
                Step(good[:-1] + b',"person_id":"ada"}', "malformed"),
            ],
        ),
        Vector("utf-16", "JSON is UTF-8", [Step(good.decode().encode("utf-16-le"), "malformed")]),
        Vector("byte-order-mark", "no mark before it", [Step(b"\xef\xbb\xbf" + good, "malformed")]),
        Vector("not-json", "cut off in the middle", [Step(good[:-40], "malformed")]),
        Vector("empty", "nothing at all", [Step(b"", "malformed")]),
        Vector(
            "unknown-member",
            "what you do not know may change what it means",
            [Step(_signed_body(_body(surprise=True)), "malformed")],
        ),
        Vector(
            "version-1",
            "it does not say whether the face was alive",
            [Step(_signed_body(old_version), "malformed")],
        ),
        Vector(
            "other-kind",
            "genuinely signed, but no decision",
            [Step(_signed_body(_body(kind="challenge")), "malformed")],
        ),
        Vector(
            "liveness-missing",
            "the daemon did not look whether the face was alive, and this door asks for it",
            [Step(signed(liveness=Liveness.NOT_REQUIRED), "liveness")],
        ),
        Vector(
            "liveness-not-asked",
            "this door does not ask for it",
            [Step(signed(liveness=Liveness.NOT_REQUIRED), "opens")],
            require_liveness=False,
        ),
    ]


def reordered() -> Vector:
    """A payload that a JSON library takes and the consumer of canonical bytes refuses."""
    body = json.loads(signed())
    payload = json.dumps(dict(reversed(body.items())), indent=1, ensure_ascii=True).encode()
    return Vector(
        "reordered-members",
        "order, spaces and escapes are not signed: whoever canonicalises, opens; a consumer of the"
        " canonical form alone may call it malformed",
        [Step(payload, "opens")],
    )


def files() -> dict[str, str]:
    """What stands in the folder, by file name."""
    return {
        f"{vector.name}.json": json.dumps(vector.body(), indent=1, ensure_ascii=False) + "\n"
        for vector in [*vectors(), reordered()]
    }


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
