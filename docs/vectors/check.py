"""May this payload open the door? The whole rule in one file, for integrators; and its own test.

`pip install rfc8785 cryptography`, then `python check.py *.json` runs the vectors in this folder.
Nothing of oneglance is imported. What a vector cannot hold is left to you: keep `last_sequence` on
disk before you act, and act on nothing for 10 seconds after your clock was set (docs/wire.md).
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_BYTES = 16_384
FIELDS = {
    "v", "kind", "issued_at", "event_id", "site", "door", "visit_id", "outcome", "reason",
    "person_id", "person_name", "score", "threshold", "model_id", "mode", "liveness", "factors",
    "expires_at", "sequence",
}  # fmt: skip


class RefusedError(Exception):
    """Why it may not; the first argument is the vectors' word for it."""


def check(
    payload: bytes, retained: bool, now: datetime, door: dict[str, Any], memory: dict[str, int]
) -> dict[str, Any]:
    """The decision if it may open the door at `now`; RefusedError with a word otherwise.

    `memory["last_sequence"]` is brought up to date; keep it before you act.
    """
    if retained:
        raise RefusedError("retained")
    body, signature = _parsed(payload)
    _verify(body, signature, door["keys"], now)
    if set(body) != FIELDS or (body["v"], body["kind"]) != (2, "decision"):
        raise RefusedError("malformed")
    if (body["site"], body["door"]) != (door["site"], door["door"]):
        raise RefusedError("place")
    issued, expires = _time(body["issued_at"]), _time(body["expires_at"])
    if expires - issued > timedelta(seconds=10):
        raise RefusedError("lifetime")
    if now >= expires:
        raise RefusedError("expired")
    if issued > now + timedelta(seconds=2):
        raise RefusedError("future")
    if body["sequence"] <= memory["last_sequence"]:
        raise RefusedError("replay")
    memory["last_sequence"] = body["sequence"]
    if body["outcome"] != "accepted":
        raise RefusedError("rejected")
    if door["require_liveness"] and body["liveness"] != "passed":
        raise RefusedError("liveness")
    return body


def _parsed(payload: bytes) -> tuple[dict[str, Any], bytes]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member stands twice")
        return dict(pairs)

    try:
        if len(payload) > MAX_BYTES:
            raise ValueError("too long")
        # bytes would also be taken as UTF-16, or with a byte order mark.
        body = json.loads(payload.decode("utf-8"), object_pairs_hook=once)
        text = body.pop("signature")
        signature = base64.b64decode(text, validate=True)
        if base64.b64encode(signature).decode() != text:
            raise ValueError("another spelling of the signature")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError("malformed") from None
    return body, signature


def _verify(
    body: dict[str, Any], signature: bytes, keys: list[dict[str, Any]], now: datetime
) -> None:
    try:
        canonical = rfc8785.dumps(body)
    except ValueError:
        raise RefusedError("malformed") from None
    for key in keys:
        try:
            raw = base64.b64decode(key["public_key"])
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, canonical)
        except InvalidSignature:
            continue
        # The date of a revocation is for people: a revoked key counts at no time.
        ended = key["not_after"] is not None and now >= _time(key["not_after"])
        if key["revoked_at"] is not None or ended or now < _time(key["not_before"]):
            raise RefusedError("key")
        return
    raise RefusedError("signature")


def _time(text: str) -> datetime:
    if not text.endswith("Z"):
        raise RefusedError("malformed")
    return datetime.fromisoformat(text).astimezone(UTC)


def run(vector: dict[str, Any]) -> list[str]:
    """Go through the steps of one vector; what each came to: `opens`, or the reason against."""
    memory, results = {"last_sequence": vector["last_sequence"]}, []
    for step in vector["steps"]:
        payload = base64.b64decode(step["payload"])
        try:
            check(payload, step["retained"], _time(step["now"]), vector["door"], memory)
            results.append("opens")
        except RefusedError as refused:
            results.append(str(refused))
    return results


if __name__ == "__main__":
    wrong = 0
    for name in sys.argv[1:]:
        vector = json.loads(Path(name).read_text(encoding="utf-8"))
        expected, got = [step["result"] for step in vector["steps"]], run(vector)
        verdict = "ok  " if got == expected else "FAIL"
        sys.stdout.write(" ".join([verdict, vector["name"], *got]) + "\n")
        wrong += got != expected
    sys.exit(1 if wrong or len(sys.argv) < 2 else 0)
