"""The meaning of a message on the wire, as one safe line of text. Pure.

Payloads and topics come from anybody who may publish. Unprintable characters are escaped, so that
no message can control the terminal or forge a line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from oneglance.contract.commands import MAX_COMMAND_BYTES, Command
from oneglance.contract.keyring import Keyring, Standing, check_any
from oneglance.contract.messages import (
    AccessState,
    Challenge,
    Decision,
    DoorState,
    LockState,
    Outcome,
    Reply,
    Result,
    ServiceState,
    Status,
    VisitState,
    parse,
)
from oneglance.contract.sharing import MAX_GALLERY_BYTES, GalleryState, SharedGallery
from oneglance.contract.signing import unpack
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

MAX_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Line:
    """One message, explained. `style` is a rich style; `signature` is None where none belongs.

    `same_as` is equal for messages that would only repeat each other on a screen.
    """

    tail: str
    text: str
    style: str
    message: dict[str, Any] | None = None
    signature: str | None = None
    error: str | None = None
    same_as: tuple[str, ...] = ()


def safe(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` with everything unprintable escaped, cut to `limit` characters."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text[:limit]
    )
    return shown if len(text) <= limit else shown + "…"


def explain(
    topics: Topics,
    topic: str,
    payload: bytes,
    *,
    retained: bool,
    keys: Keyring | None,
    now: datetime,
) -> Line:
    """The line for one message of this door. Never raises for anything in the message."""
    tail = topic.removeprefix(topics.base + "/")
    try:
        line = _explain(topics, topic, tail, payload, keys, now)
    except MessageError as error:
        line = Line(
            safe(tail), f"malformed: {safe(error.what)}", "bold red", error=safe(error.what)
        )
    if retained and topic == topics.decision:
        text = f"RETAINED, nobody may act on it: {line.text}"
        return replace(line, text=text, style="bold red")
    return line


def _explain(
    topics: Topics,
    topic: str,
    tail: str,
    payload: bytes,
    keys: Keyring | None,
    now: datetime,
) -> Line:
    if topic == topics.decision:
        return _decision(tail, payload, keys, now)
    if topic == topics.status:
        return _status(tail, parse(payload, Status))
    if topic == topics.visit:
        return _visit(tail, parse(payload, VisitState))
    if topic == topics.access:
        return _access(tail, parse(payload, AccessState))
    if topic == topics.result:
        return _result(tail, parse(payload, Result))
    if topic == topics.challenge:
        return _challenge(tail, unpack(payload, Challenge).message(Challenge))
    if topic == topics.door_state:
        return _door(tail, parse(payload, DoorState))
    if topic == topics.gallery:
        return _gallery(tail, payload)
    if topic == topics.gallery_state:
        return _gallery_state(tail, parse(payload, GalleryState))
    if tail.startswith("reply/"):
        reply = parse(payload, Reply)
        text = safe(f"{'done' if reply.ok else 'refused'}: {reply.code} {reply.text}")
        return Line(safe(tail), text, "cyan", reply.model_dump(mode="json"))
    if tail.startswith("preview/"):
        shown = f"a sealed picture of {len(payload)} bytes"
        return Line(safe(tail), shown, "dim", same_as=(tail,))
    if topic == topics.picture:
        shown = f"a picture of {len(payload)} bytes, not sealed"
        return Line(tail, shown, "dim", same_as=(tail,))
    if topic == topics.assistant:
        return Line(tail, safe(f"assistant {payload.decode('utf-8', 'replace')}"), "cyan")
    if topic in (topics.ask_verify, topics.ask_lock):
        shown = safe(payload.decode("utf-8", "replace"))
        return Line(tail, f"asks, unsigned: {shown}", "yellow")
    if tail.startswith("command/"):
        return _command(safe(tail), payload)
    shown = safe(payload.decode("utf-8", "replace"))
    return Line(safe(tail), f"unknown: {shown}", "yellow", error="unknown topic")


def _command(tail: str, payload: bytes) -> Line:
    """Who asks, but never the arguments: one of them may be a PIN."""
    try:
        command = unpack(payload, Command, longest=MAX_COMMAND_BYTES).message(
            Command, longest=MAX_COMMAND_BYTES
        )
    except MessageError:
        return Line(tail, "asks, not as a signed command does", "yellow")
    told = command.model_dump(mode="json", exclude={"args"})
    return Line(tail, safe(f"asks, by the key {command.key_id} (not checked)"), "cyan", told)


def _status(tail: str, status: Status) -> Line:
    style = {
        ServiceState.ONLINE: "green",
        ServiceState.DEGRADED: "yellow",
        ServiceState.OFFLINE: "red",
    }[status.state]
    reasons = f": {', '.join(status.reasons)}" if status.reasons else ""
    variant = f" {status.model_variant}" if status.model_variant else ""
    model = f", model {status.model_id}{variant}" if status.model_id else ""
    text = safe(f"daemon {status.state}{reasons} (oneglance {status.software}{model})")
    return Line(tail, text, style, status.model_dump(mode="json"))


def _visit(tail: str, visit: VisitState) -> Line:
    hint = "" if visit.hint == "none" else f", {visit.hint}"
    text = safe(f"{visit.phase} {visit.progress:.0%}{hint}")
    same = ("visit", visit.visit_id, visit.phase, visit.hint)
    return Line(tail, text, "dim", visit.model_dump(mode="json"), same_as=same)


def _access(tail: str, access: AccessState) -> Line:
    told = [] if access.claim is None else [f"{access.claim} claims, {access.claim_s:.0f} s left"]
    told += [f"{wait.of} waits {wait.seconds:.0f} s" for wait in access.waits]
    text = safe(", ".join(told) or "nobody is claimed, nobody waits")
    same = ("access", access.claim or "", *(wait.of for wait in access.waits))
    return Line(tail, text, "dim", access.model_dump(mode="json"), same_as=same)


def _result(tail: str, result: Result) -> Line:
    who = "" if result.person_name is None else f" {result.person_name}"
    text = safe(f"tells others: {result.outcome}{who} {result.reason}".rstrip())
    return Line(tail, text, "dim", result.model_dump(mode="json"))


def _challenge(tail: str, asked: Challenge) -> Line:
    which = f"{asked.number} of {asked.steps}, attempt {asked.attempt}"
    text = f"asks the visitor to {asked.step.replace('_', ' ')} ({which}), #{asked.sequence}"
    return Line(tail, safe(text), "cyan", asked.model_dump(mode="json"))


def _gallery(tail: str, payload: bytes) -> Line:
    if not payload:
        return Line(tail, "no shared gallery any more", "dim")
    signed = unpack(payload, SharedGallery, longest=MAX_GALLERY_BYTES)
    gallery = signed.message(SharedGallery, longest=MAX_GALLERY_BYTES)
    text = safe(f"version {gallery.version} of the shared gallery, signed as {gallery.key_id}")
    # Whether the signature is good is the daemon's to say: it has the keyring of today.
    return Line(tail, text, "cyan", gallery.model_dump(mode="json", exclude={"sealed"}))


def _gallery_state(tail: str, state: GalleryState) -> Line:
    has = f"has version {state.version}" if state.version else "has no shared gallery yet"
    text = safe(f"{has}{f', {state.problem}' if state.problem else ''}")
    return Line(tail, text, "yellow" if state.problem else "cyan", state.model_dump(mode="json"))


def _door(tail: str, door: DoorState) -> Line:
    style = {LockState.LOCKED: "blue", LockState.UNLOCKED: "bold green", LockState.FAULT: "red"}
    cause = f" ({door.cause})" if door.cause else ""
    return Line(
        tail, safe(f"lock {door.state}{cause}"), style[door.state], door.model_dump(mode="json")
    )


def _decision(tail: str, payload: bytes, keys: Keyring | None, now: datetime) -> Line:
    if keys is None:
        decision, signature = _unsigned(payload), "not checked"
    else:
        try:
            decision, signer = check_any(payload, Decision, keys)
            standing = signer.standing(now)
            valid = standing is Standing.VALID
            signature = "valid" if valid else f"NOT valid: the key {signer.id} is {standing}"
        except MessageError:
            decision, signature = _unsigned(payload), "NOT valid"
    if decision.outcome is Outcome.ACCEPTED:
        what = f"accepted {decision.person_name or decision.person_id}"
    else:
        what = f"rejected {decision.reason}".rstrip()
    late = ", EXPIRED" if now >= decision.expires_at else ""
    text = (
        f"{what}, score {decision.score:.2f} (threshold {decision.threshold:.2f}), "
        f"#{decision.sequence}, signature {signature}{late}"
    )
    good = decision.outcome is Outcome.ACCEPTED and signature == "valid" and not late
    style = "bold red" if signature.startswith("NOT") else "bold green" if good else "yellow"
    return Line(tail, safe(text), style, decision.model_dump(mode="json"), signature)


def _unsigned(payload: bytes) -> Decision:
    """The decision without its signature being checked, only to show it."""
    try:
        body = json.loads(payload)
        body.pop("signature", None)
        bare = json.dumps(body).encode()
    except (ValueError, AttributeError, RecursionError, TypeError):
        raise MessageError("not a decision") from None
    return parse(bare, Decision)
