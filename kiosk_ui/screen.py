"""What the screen shows at one moment: one symbol, one big text, one small one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from oneglance.contract.messages import Hint, Step
from oneglance.errors import MessageError


class Kind(StrEnum):
    """Which symbol the screen shows."""

    STARTING = "starting"
    IDLE = "idle"
    LOOK_HERE = "look_here"
    CHECKING = "checking"
    CHALLENGE = "challenge"
    WELCOME = "welcome"
    NOT_RECOGNISED = "not_recognised"
    NOT_SURE = "not_sure"
    NOT_NOW = "not_now"
    WAIT = "wait"
    CLAIM = "claim"
    PIN_PAD = "pin_pad"
    DOOR_OPEN = "door_open"
    DOOR_FAULT = "door_fault"
    CAMERA_LOST = "camera_lost"
    MAINTENANCE = "maintenance"
    OFFLINE = "offline"


# Where visitors see themselves: while they are looked at.
PICTURED = frozenset({Kind.LOOK_HERE, Kind.CHECKING, Kind.CHALLENGE})


@dataclass(frozen=True, slots=True)
class ScreenState:
    """Everything that the window needs to draw.

    `title` is the big text, `line` the small one: both are English message ids from `words`, which
    the window translates, with `name` and `left` (a time, e.g. "0:42") filled in. `note` is for
    whoever looks after the door, and is not translated. `progress` runs from 0 to 1 while CHECKING,
    is the share of time left, from 1 to 0, in a CHALLENGE, and is 0 otherwise. A CHALLENGE asks for
    `step` now or next: number `number` of `steps`. `since_s` is the monotonic time at
    which this symbol and title appeared; animations count from it. `digits` is how many digits a
    PIN_PAD holds, never which, and `busy` says that it takes none now; `offers_pad` puts the button
    that opens the pad into a corner of another screen.
    """

    kind: Kind
    title: str
    line: str
    since_s: float
    progress: float = 0.0
    hint: Hint = Hint.NONE
    step: Step = Step.LOOK_STRAIGHT
    number: int = 0
    steps: int = 0
    digits: int = 0
    busy: bool = False
    offers_pad: bool = False
    name: str = ""
    left: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.progress <= 1.0:
            raise ValueError(f"progress must lie in 0..1, not {self.progress}")

    def to_json(self) -> str:
        """The state as one JSON object, for `from_json` in another process."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> ScreenState:
        """Read what `to_json` wrote; MessageError if it is anything else."""
        try:
            body = json.loads(text)
            return ScreenState(
                kind=Kind(body["kind"]),
                title=str(body["title"]),
                line=str(body["line"]),
                since_s=float(body["since_s"]),
                progress=float(body["progress"]),
                hint=Hint(body["hint"]),
                step=Step(body["step"]),
                number=int(body["number"]),
                steps=int(body["steps"]),
                digits=int(body["digits"]),
                busy=bool(body["busy"]),
                offers_pad=bool(body["offers_pad"]),
                name=str(body["name"]),
                left=str(body["left"]),
                note=str(body["note"]),
            )
        except (ValueError, KeyError, TypeError):
            raise MessageError("not a screen state", where="kiosk") from None
