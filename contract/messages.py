"""The messages on the wire: one frozen type each. Decisions and commands have version 2.

Every message is a JSON object in UTF-8 with `v` (this version) and `kind`. Unknown fields are
refused: a field that a consumer does not know could change what the message means. Times are
UTC, RFC 3339 with milliseconds and `Z`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from oneglance.errors import MessageError
from oneglance.topic_level import Level

MAX_PAYLOAD_BYTES = 16_384
MAX_PLACE = 100
# A list of everybody who is enrolled is long, and still a message like any other.
MAX_REPLY_TEXT = 2_500


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. `2026-11-24T06:00:00.123Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


Time = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str)]
Fraction = Annotated[float, Field(ge=0, le=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=200)]


class Message(BaseModel):
    """What all messages share: strict, frozen, no unknown fields. Each says its version, `v`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_serialization_defaults_required=True
    )

    v: int
    issued_at: Time

    def to_payload(self) -> bytes:
        """The message as UTF-8 JSON, every field present."""
        return self.model_dump_json().encode()


class Factor(StrEnum):
    """What an accepted visitor has shown."""

    FACE = "face"
    BADGE = "badge"
    PIN = "pin"


class ServiceState(StrEnum):
    """Whether the daemon works."""

    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class Status(Message):
    """The daemon about itself; retained, and `offline` as its Last Will."""

    v: Literal[1] = 1
    kind: Literal["status"] = "status"
    state: ServiceState
    reasons: tuple[Text, ...] = Field(
        default=(), description="why it is degraded or offline, e.g. 'camera_lost:front'"
    )
    software: Text = Field(description="version of oneglance")
    model_id: Text = Field(default="", description="the model that makes the decisions")
    model_variant: Text = Field(default="", description="which of its variants runs, e.g. 'int8'")
    claims: tuple[Factor, ...] = Field(
        default=(),
        max_length=2,
        description="badge, pin or both, where nobody may enter by a face alone; else empty",
    )


class Phase(StrEnum):
    """How far a visit has got."""

    IDLE = "idle"
    LOOK = "look"
    CHECKING = "checking"
    DONE = "done"


class Hint(StrEnum):
    """What the person can do to be seen better."""

    NONE = "none"
    COME_CLOSER = "come_closer"
    STEP_BACK = "step_back"
    LOOK_AT_CAMERA = "look_at_camera"
    MORE_LIGHT = "more_light"
    BACKLIT = "backlit"
    HOLD_STILL = "hold_still"
    UNCOVER_EYES = "uncover_eyes"
    UNCOVER_MOUTH = "uncover_mouth"
    ONE_AT_A_TIME = "one_at_a_time"


class FaceBox(BaseModel):
    """A face in fractions of the frame's width and height, origin at the top left."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    x: Fraction
    y: Fraction
    width: Fraction
    height: Fraction


class VisitState(Message):
    """What the screen shows while somebody stands there; never a reason to open a door."""

    v: Literal[1] = 1
    kind: Literal["visit"] = "visit"
    visit_id: Text = Field(description="the same for all messages about one visit; '' when idle")
    phase: Phase
    hint: Hint = Hint.NONE
    progress: Fraction = Field(default=0.0, description="evidence gathered of evidence needed")
    face: FaceBox | None = None


class Outcome(StrEnum):
    """The answer about one visit."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Mode(StrEnum):
    """Verification answers a claim (1:1); identification has none (1:N)."""

    VERIFY = "verify"
    IDENTIFY = "identify"


class Liveness(StrEnum):
    """Whether it was a living face, and not a presentation attack (ISO/IEC 30107-1).

    NOT_REQUIRED: the door's policy does not ask, or the visit was rejected before it mattered.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_REQUIRED = "not_required"


# Why a visit was rejected though it may have been somebody who is enrolled.
PRESENTATION_ATTACK = "presentation_attack"
TOO_FEW_PICTURES = "too_few_pictures"
CHALLENGE_IGNORED = "challenge_ignored"
CHALLENGE_NOT_SHOWN = "challenge_not_shown"
NOT_PERMITTED = "not_permitted"
FACTOR_MISSING = "factor_missing"
# No visit at all: somebody asked whether decisions reach the lock. It says so, and stays shut.
LOCK_TEST = "lock_test"


class Decision(Message):
    """The daemon's answer about one visit: signed, sequenced and short-lived.

    A consumer acts only on `accepted`, and only after `oneglance.contract.gate` let it pass.
    """

    v: Literal[2] = 2
    kind: Literal["decision"] = "decision"
    event_id: Text = Field(
        min_length=8, description="unique; the same event delivered twice is one"
    )
    site: Level
    door: Level
    visit_id: Text
    outcome: Outcome
    reason: Text = Field(default="", description="why a visit was rejected, e.g. 'not_recognised'")
    person_id: Text | None = Field(default=None, description="only when accepted")
    person_name: Text | None = Field(default=None, description="only when accepted")
    score: FiniteFloat = Field(
        description="the head's logit, mean over the evidence; higher = alike"
    )
    threshold: FiniteFloat
    model_id: Text
    mode: Mode
    liveness: Liveness
    factors: tuple[Factor, ...] = Field(
        description="what an accepted visitor has shown, 'face' among it; empty when rejected"
    )
    expires_at: Time
    sequence: Annotated[int, Field(ge=1, lt=2**53)] = Field(
        description="strictly increasing for one signing key, over restarts too"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expires_at <= self.issued_at:
            raise ValueError("expires_at must lie after issued_at")
        if self.outcome is Outcome.ACCEPTED:
            if not self.person_id:
                raise ValueError("an accepted decision names a person_id")
            if self.score < self.threshold:
                raise ValueError("an accepted decision has a score at or above its threshold")
            if self.liveness is Liveness.FAILED:
                raise ValueError("an accepted decision is not about a presentation attack")
            if Factor.FACE not in self.factors:
                raise ValueError("an accepted decision is about a face")
        elif self.person_id is not None or self.person_name is not None or self.factors:
            raise ValueError("a rejected decision names nobody and no factors")
        return self


class Result(Message):
    """The outcome of a decision, for home automation: unsigned, so never a reason to open a door.

    It names nobody unless the house asks for that, and holds no score.
    """

    v: Literal[1] = 1
    kind: Literal["result"] = "result"
    event_id: Text = Field(description="the decision's")
    outcome: Outcome
    reason: Text
    mode: Mode
    liveness: Liveness
    factors: tuple[Factor, ...]
    person_name: Text | None = Field(description="only when accepted, and only if wanted")

    @classmethod
    def of(cls, decision: Decision, *, names: bool) -> Self:
        """What may be told of a decision to those who need not know all of it."""
        return cls(
            issued_at=decision.issued_at,
            event_id=decision.event_id,
            outcome=decision.outcome,
            reason=decision.reason,
            mode=decision.mode,
            liveness=decision.liveness,
            factors=decision.factors,
            person_name=decision.person_name if names else None,
        )


class Wait(BaseModel):
    """Who has to wait after failed attempts, and for how long from `issued_at` on.

    `face`: anybody without a claim; `badge`, `pin`: claims by that means; `claim`: the claim just
    made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    of: Factor | Literal["claim"]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class AccessState(Message):
    """What the screen shows of claims and failed attempts; never a reason to open a door."""

    v: Literal[1] = 1
    kind: Literal["access"] = "access"
    claim: Factor | None = Field(
        default=None, description="by what a person is claimed whose face is awaited"
    )
    claim_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="for how long from issued_at on that claim is good"
    )
    waits: Annotated[tuple[Wait, ...], Field(max_length=4)] = ()


class Step(StrEnum):
    """What a visitor is asked to do; left and right are their own."""

    LOOK_STRAIGHT = "look_straight"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    COME_CLOSER = "come_closer"


class Challenge(Message):
    """What the screen asks of the visitor now; signed and short-lived like a decision.

    It opens nothing. LOOK_STRAIGHT comes before, between and after the steps; what comes next is
    never announced early.
    """

    v: Literal[1] = 1
    kind: Literal["challenge"] = "challenge"
    challenge_id: Text = Field(
        min_length=8, description="unique; who has shown it answers with 'challenge-shown'"
    )
    site: Level
    door: Level
    visit_id: Text
    step: Step
    number: Annotated[int, Field(ge=1, le=9)] = Field(
        description="which of the steps it is, or which comes next"
    )
    steps: Annotated[int, Field(ge=1, le=9)] = Field(description="how many there are in all")
    attempt: Annotated[int, Field(ge=1, le=9)] = Field(
        description="1, or 2 after steps that were not done"
    )
    time_s: Annotated[float, Field(gt=0, le=10)] = Field(
        description="how long the visitor has from when it is shown"
    )
    expires_at: Time = Field(description="it must not be shown any more from then on")
    sequence: Annotated[int, Field(ge=1, lt=2**53)] = Field(
        description="strictly increasing for one signing key, in one row with its decisions"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expires_at <= self.issued_at:
            raise ValueError("expires_at must lie after issued_at")
        if self.number > self.steps:
            raise ValueError("number must not be above steps")
        return self


class LockState(StrEnum):
    """The state that the lock itself reports."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    FAULT = "fault"


class DoorState(Message):
    """The lock's report on itself; retained, with `fault` as its Last Will."""

    v: Literal[1] = 1
    kind: Literal["door_state"] = "door_state"
    state: LockState
    cause: Text = Field(default="", description="event_id of the decision, or why it is a fault")


class Reply(Message):
    """The answer to a command, on its response topic with its correlation data.

    The daemon signs it. Whoever only tells a person how it went need not check that.
    """

    v: Literal[1] = 1
    kind: Literal["reply"] = "reply"
    ok: bool
    code: Text = Field(description="stable, for programs: 'ok', 'not_signed', 'gallery_error'")
    text: Annotated[str, StringConstraints(max_length=MAX_REPLY_TEXT)] = Field(
        description="for people"
    )
    nonce: Text = Field(
        default="",
        description="the command's, so that no other answer stands in for it;"
        " empty if the command was refused unread",
    )
    signature: Text = Field(
        default="",
        description="Ed25519 over the RFC 8785 form of this object without `signature`",
        json_schema_extra={"contentEncoding": "base64"},
    )


M = TypeVar("M", bound=Message)


def parse(payload: bytes, kind: type[M], topic: str = "", longest: int = MAX_PAYLOAD_BYTES) -> M:
    """Read one message of type `kind`; MessageError says which field is wrong and why."""
    if len(payload) > longest:
        raise MessageError(f"a message of {len(payload)} bytes (at most {longest})", where=topic)
    try:
        message = kind.model_validate_json(payload)
        if not {"v", "kind"} <= message.model_fields_set:
            raise MessageError("does not say its 'v' and 'kind'", where=topic)
        return message
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # The sender chooses the names of its fields, and their length.
        place = ".".join(str(part) for part in first["loc"])[:MAX_PLACE] or "the message"
        raise MessageError(
            f"not a valid {kind.__name__}: {place}: {first['msg']}", where=topic
        ) from None
