"""What an attacker on the broker may send after hearing one genuine decision. Pure.

The attacker has what nobody should have: the network without an ACL, keys of other roles, a revoked
key of the daemon, and a second door's decisions. Messages that only a faulty clock, an older daemon
or one with another policy would send are signed with the daemon's own key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.contract.messages import Decision, Liveness
from oneglance.contract.signing import sign


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that the attacker can sign with."""

    daemon: Ed25519PrivateKey
    revoked: Ed25519PrivateKey
    kiosk: Ed25519PrivateKey
    administrator: Ed25519PrivateKey
    stranger: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Capture:
    """A genuine payload, the decision in it, the payload before it (or the same), and the time.

    `event_id` is the event that a made-up message names.
    """

    payload: bytes
    decision: Decision
    former: bytes
    now: datetime
    event_id: str = "hostile-event"


def _changed(capture: Capture, key: Ed25519PrivateKey, **changes: object) -> bytes:
    now = capture.now
    fresh: dict[str, object] = {
        "issued_at": now,
        "expires_at": now + timedelta(seconds=5),
        "sequence": capture.decision.sequence + 1,
        "event_id": capture.event_id,
    }
    return sign(capture.decision.model_copy(update=fresh | changes), key)


def _reordered(capture: Capture, _keys: Keys) -> bytes:
    body = json.loads(capture.payload)
    return json.dumps(dict(reversed(body.items())), indent=1).encode()


def _altered(capture: Capture, _keys: Keys) -> bytes:
    body = json.loads(capture.payload)
    body["sequence"] += 1
    return rfc8785.dumps(body)


def _first_version(capture: Capture, keys: Keys) -> bytes:
    body = json.loads(_changed(capture, keys.daemon)) | {"v": 1}
    for member in ("signature", "liveness", "factors"):
        del body[member]
    signature = base64.b64encode(keys.daemon.sign(rfc8785.dumps(body))).decode()
    return rfc8785.dumps(body | {"signature": signature})


def _duplicated(capture: Capture, keys: Keys) -> bytes:
    return b'{"sequence":%d,' % (capture.decision.sequence + 1) + capture.payload[1:]


Make = Callable[[Capture, Keys], bytes]
HOUR = timedelta(hours=1)

_FORGED = "the signature does not match"
_MALFORMED = "not a signed decision"
_REPLAY = "a replay"
# A busy lock may get to a message only when its few seconds are over.
_LATE = "expired"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One kind of message: what makes it, and what the lock says when it refuses it for the right
    reason.

    If it is refused for anything else, its real fault was not what stopped it, and might not be
    stopped elsewhere.
    """

    make: Make
    reason: str
    may_be_late: bool = False

    def is_refused_by(self, text: str) -> bool:
        """Whether a refusal is for the right reason."""
        return self.reason in text or (self.may_be_late and _LATE in text)


HOSTILE: Mapping[str, Hostile] = {
    "replayed": Hostile(lambda c, _: c.payload, _REPLAY, may_be_late=True),
    "the former one, late": Hostile(lambda c, _: c.former, _REPLAY, may_be_late=True),
    "replayed, members re-ordered": Hostile(_reordered, _REPLAY, may_be_late=True),
    "replayed in UTF-16": Hostile(lambda c, _: c.payload.decode().encode("utf-16"), _MALFORMED),
    "altered: a higher sequence": Hostile(_altered, _FORGED),
    "a member twice": Hostile(_duplicated, _MALFORMED),
    "forged with a stranger's key": Hostile(lambda c, k: _changed(c, k.stranger), _FORGED),
    "signed with a revoked key": Hostile(lambda c, k: _changed(c, k.revoked), "was revoked"),
    "signed by the kiosk": Hostile(lambda c, k: _changed(c, k.kiosk), _FORGED),
    "signed by the administrator": Hostile(lambda c, k: _changed(c, k.administrator), _FORGED),
    "for another door": Hostile(lambda c, k: _changed(c, k.daemon, door="back"), "not for this"),
    "for another site": Hostile(lambda c, k: _changed(c, k.daemon, site="office"), "not for this"),
    "stale": Hostile(
        lambda c, k: _changed(
            c,
            k.daemon,
            issued_at=c.now - timedelta(seconds=9),
            expires_at=c.now - timedelta(milliseconds=1),
        ),
        "expired",
    ),
    "from the future": Hostile(
        lambda c, k: _changed(
            c, k.daemon, issued_at=c.now + HOUR, expires_at=c.now + HOUR + timedelta(seconds=5)
        ),
        "issued in the future",
    ),
    "living for an hour": Hostile(
        lambda c, k: _changed(c, k.daemon, expires_at=c.now + HOUR), "lives longer than"
    ),
    "of version 1": Hostile(_first_version, "a decision of version 1"),
    "without liveness": Hostile(
        lambda c, k: _changed(c, k.daemon, liveness=Liveness.NOT_REQUIRED),
        "without looking for a presentation attack",
        may_be_late=True,
    ),
}
