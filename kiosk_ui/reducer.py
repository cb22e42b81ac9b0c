"""What happened, to what the screen shows. Pure: no clock, no broker, no window.

The order in which things win: no connection or no daemon; a fresh result; a daemon that can let
nobody in; a wait after failures; what is asked of somebody; the PIN pad; somebody being looked at
or awaited; a lost camera; idle. While the pad is open a refusal takes its words and leaves it its
keys. A name comes only from an accepted decision that the gate admitted, and it is forgotten as
soon as its time is over or the connection breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from oneglance.contract.messages import (
    FACTOR_MISSING,
    AccessState,
    Challenge,
    Decision,
    Factor,
    Hint,
    Outcome,
    Phase,
    ServiceState,
    Status,
    Step,
    VisitState,
)
from oneglance.kiosk_ui import pin_pad
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.pin_pad import FEWEST_DIGITS, Key, Pad
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.words import (
    CLAIMED,
    HINTS,
    ONCE_MORE,
    PIN_BUSY,
    PIN_SEND,
    REFUSALS,
    STEPS,
    WORDS,
    wait_line,
    welcome,
)

# A visit about which nothing more is heard is over: the person left, or the daemon hangs.
VISIT_SILENCE_S = 2.0
# Claims and waits are told once a second while there are any.
ACCESS_SILENCE_S = 3.0
# How long a challenge whose time is over waits for the daemon to say what comes next.
LINGER_S = 1.0
# The daemon repeats its status every 30 s; a retained one that nobody repeats is an echo.
STATUS_SILENCE_S = 75.0
# How long a fresh screen waits for its broker and daemon before it calls itself out of service.
START_GRACE_S = 10.0
# Reasons of a status, without the camera's name.
_STILL_SEES = {"camera_corrupt", "camera_resized", "camera_slow", "camera_fast"}
# No badge or PIN counts, but faces do.
_NO_CLAIMS = {"credentials_restored", "credentials_error"}
_SEES_NOTHING = {"camera_lost", "camera_dark", "camera_frozen"}
# Where a PIN is of use, the button that opens the pad is there.
_OFFERS_PAD = {Kind.IDLE, Kind.LOOK_HERE, Kind.CHECKING, Kind.NOT_RECOGNISED, Kind.WAIT}


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted us; the daemon's retained status follows."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection to the broker broke: nothing on the screen is true any more."""


@dataclass(frozen=True, slots=True)
class StatusArrived:
    """The daemon about itself; None if what came could not be read."""

    status: Status | None


@dataclass(frozen=True, slots=True)
class VisitArrived:
    """How far the visit in front of the camera has come."""

    visit: VisitState


@dataclass(frozen=True, slots=True)
class AccessArrived:
    """Whether somebody is claimed, and who has to wait."""

    access: AccessState


@dataclass(frozen=True, slots=True)
class DecisionArrived:
    """A decision that `contract.gate.Gate` admitted: signed, fresh, for this door, never before."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class ChallengeArrived:
    """What `contract.gate.Gate` let through to be asked of the visitor now."""

    challenge: Challenge


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the PIN pad, touched or typed: a `pin_pad.Key` or a digit."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PinSent:
    """The PIN that the pad held is on its way."""


@dataclass(frozen=True, slots=True)
class PinAnswered:
    """The daemon's answer to the PIN, as a `contract.commands.Code`; UNHEARD if it was not sent."""

    code: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Only time has passed."""


Event = (
    Connected
    | Disconnected
    | StatusArrived
    | VisitArrived
    | AccessArrived
    | ChallengeArrived
    | DecisionArrived
    | KeyPressed
    | PinSent
    | PinAnswered
    | Tick
)


@dataclass(frozen=True, slots=True)
class Result:
    """What is left of a decision: the words to show, not the person."""

    kind: Kind
    title: str
    line: str
    at_s: float


@dataclass(frozen=True, slots=True)
class KioskState:
    """What the kiosk knows, and the `screen` that follows from it."""

    screen: ScreenState
    started_s: float
    result_s: float
    connected: bool = False
    status: Status | None = None
    status_at_s: float = 0.0
    ever_online: bool = False
    visit: VisitState | None = None
    visit_at_s: float = 0.0
    challenge: Challenge | None = None
    challenge_at_s: float = 0.0
    decided_visit_id: str = ""
    access: AccessState | None = None
    access_at_s: float = 0.0
    result: Result | None = None
    has_pad: bool = False
    pad: Pad = field(default_factory=Pad)


def initial(now_s: float, result_s: float, *, has_pad: bool = False) -> KioskState:
    """A screen that has just come up; a result will stay for `result_s` seconds."""
    return KioskState(
        _plain(Kind.STARTING, now_s), started_s=now_s, result_s=result_s, has_pad=has_pad
    )


def reduce(state: KioskState, event: Event, now_s: float) -> KioskState:
    """The state after `event` at `now_s` (monotonic seconds, never before the last event's)."""
    return _drawn(_forgotten(_learnt(state, event, now_s), now_s), now_s)


def _learnt(state: KioskState, event: Event, now_s: float) -> KioskState:
    match event:
        case Connected():
            return _blank(state, connected=True)
        case Disconnected():
            return _blank(state, connected=False)
        case StatusArrived(status):
            if status is None or status.state is ServiceState.OFFLINE:
                return _blank(state, connected=state.connected)
            return replace(state, status=status, status_at_s=now_s, ever_online=True)
        case VisitArrived(visit):
            return _visited(state, visit, now_s)
        case AccessArrived(access):
            return replace(state, access=access, access_at_s=now_s)
        case ChallengeArrived(challenge):
            # Who is asked for something now must see it, over the answer to whoever was before.
            return replace(state, challenge=challenge, challenge_at_s=now_s, result=None)
        case DecisionArrived(decision):
            accepted = decision.outcome is Outcome.ACCEPTED
            # Who enters a PIN need not be told that one is missing.
            known = state.pad.open and decision.reason == FACTOR_MISSING
            return replace(
                state,
                challenge=None,
                result=None if known else result_of(decision, now_s),
                decided_visit_id=decision.visit_id,
                visit=None,
                pad=pin_pad.closed(state.pad) if accepted else state.pad,
            )
        case KeyPressed(key):
            return _keyed(state, key, now_s)
        case PinSent():
            return replace(state, pad=pin_pad.sent(state.pad, now_s))
        case PinAnswered(code):
            return replace(state, pad=pin_pad.answered(state.pad, code, now_s))
        case Tick():
            return state


def _blank(state: KioskState, *, connected: bool) -> KioskState:
    return replace(
        state,
        connected=connected,
        status=None,
        visit=None,
        access=None,
        challenge=None,
        result=None,
        decided_visit_id="",
    )


def _keyed(state: KioskState, key: str, now_s: float) -> KioskState:
    pad = state.pad
    if not (pad.open or state.screen.offers_pad):
        return state
    if pad.open and key is not Key.CLOSE and _wait_s(state, now_s) > 0:
        return state
    # Who opens it has read why nobody was let in before.
    result = state.result if pad.open else None
    return replace(state, pad=pin_pad.pressed(pad, key, now_s), result=result)


def _visited(state: KioskState, visit: VisitState, now_s: float) -> KioskState:
    match visit.phase:
        case Phase.IDLE:
            return replace(state, visit=None, challenge=None)
        case Phase.DONE:
            # The decision travels on its own topic and may come a moment later: keep showing
            # the check until then, or until it has been silent for too long.
            return state
        case Phase.LOOK | Phase.CHECKING:
            if visit.visit_id and visit.visit_id == state.decided_visit_id:
                return state
            return replace(state, visit=visit, visit_at_s=now_s)


def result_of(decision: Decision, now_s: float) -> Result:
    """What the screen says about an admitted decision."""
    if decision.outcome is Outcome.ACCEPTED:
        title = welcome(clean_name(decision.person_name or ""))
        return Result(Kind.WELCOME, title, WORDS[Kind.WELCOME][1], now_s)
    title, line = REFUSALS.get(decision.reason, WORDS[Kind.NOT_RECOGNISED])
    return Result(Kind.NOT_RECOGNISED, title, line, now_s)


def _forgotten(state: KioskState, now_s: float) -> KioskState:
    if state.status is not None and not 0 <= now_s - state.status_at_s <= STATUS_SILENCE_S:
        state = _blank(state, connected=state.connected)
    if state.result is not None and not 0 <= now_s - state.result.at_s < state.result_s:
        state = replace(state, result=None)
    if state.visit is not None and not 0 <= now_s - state.visit_at_s <= VISIT_SILENCE_S:
        state = replace(state, visit=None)
    if state.access is not None and not 0 <= now_s - state.access_at_s <= ACCESS_SILENCE_S:
        state = replace(state, access=None)
    asked = state.challenge
    if asked is not None and not 0 <= now_s - state.challenge_at_s <= asked.time_s + LINGER_S:
        state = replace(state, challenge=None)
    if not _takes_pins(state):
        return replace(state, pad=pin_pad.closed(state.pad))
    waits = _wait_s(state, now_s) > 0
    return replace(state, pad=pin_pad.later(state.pad, now_s, waits=waits))


def _takes_pins(state: KioskState) -> bool:
    if state.status is None or state.challenge is not None:
        return False
    return _at_rest(state.status.reasons) not in (Kind.OFFLINE, Kind.STARTING)


def _drawn(state: KioskState, now_s: float) -> KioskState:
    screen = _screen(state, now_s)
    offers = state.has_pad and not state.pad.open and _takes_pins(state)
    if offers and screen.kind in _OFFERS_PAD:
        screen = replace(screen, offers_pad=True)
    shown = state.screen
    if (screen.kind, screen.title) == (shown.kind, shown.title) and not _is_new(state, now_s):
        screen = replace(screen, since_s=shown.since_s)
    return replace(state, screen=screen)


def _is_new(state: KioskState, now_s: float) -> bool:
    """Whether a result came just now: the same words again are still a new answer."""
    return state.result is not None and state.result.at_s == now_s


def _screen(state: KioskState, now_s: float) -> ScreenState:
    if not state.connected or state.status is None:
        waiting = not state.ever_online and now_s - state.started_s < START_GRACE_S
        return _plain(Kind.STARTING if waiting else Kind.OFFLINE, now_s)
    result = state.result
    if result is not None and not state.pad.open:
        return ScreenState(result.kind, result.title, result.line, now_s)
    rest = _at_rest(state.status.reasons)
    if rest is Kind.OFFLINE:
        return _plain(rest, now_s)
    if (wait_s := _wait_s(state, now_s)) > 0:
        return replace(_plain(Kind.WAIT, now_s), line=wait_line(wait_s))
    if state.challenge is not None:
        left = 1 - (now_s - state.challenge_at_s) / state.challenge.time_s
        return _challenge_screen(state.challenge, max(0.0, left), now_s)
    if state.pad.open:
        return _pad_screen(state.pad, result, now_s)
    if state.visit is not None:
        return _visit_screen(state.visit, now_s)
    if _is_claimed(state, now_s):
        return replace(_plain(Kind.LOOK_HERE, now_s), line=CLAIMED)
    return _plain(rest, now_s)


def _wait_s(state: KioskState, now_s: float) -> float:
    """How long whoever stands here has to wait: after a refused claim, with a PIN, with a face."""
    if state.access is None:
        return 0.0
    who: set[str] = {"claim"}
    if state.pad.open:
        who.add(Factor.PIN)
    elif not _is_claimed(state, now_s):
        who.add(Factor.FACE)
    passed_s = now_s - state.access_at_s
    return max((w.seconds - passed_s for w in state.access.waits if w.of in who), default=0.0)


def _is_claimed(state: KioskState, now_s: float) -> bool:
    if state.pad.is_taken(now_s):
        return True
    access = state.access
    if access is None or access.claim is None:
        return False
    return now_s - state.access_at_s < access.claim_s


def _at_rest(reasons: tuple[str, ...]) -> Kind:
    """What a daemon with these `reasons` shows while nobody is there.

    One lost camera of several leaves the others, one that only misbehaves still sees, and faces
    need no badges or PINs; any trouble that is not known here may mean that nobody can be let in,
    and an open invitation would be a lie.
    """
    names = {reason.partition(":")[0] for reason in reasons} - _STILL_SEES - _NO_CLAIMS
    if names - _SEES_NOTHING - {"starting"}:
        return Kind.OFFLINE
    if "starting" in names:
        return Kind.STARTING
    return Kind.CAMERA_LOST if names else Kind.IDLE


def _visit_screen(visit: VisitState, now_s: float) -> ScreenState:
    checking = visit.phase is Phase.CHECKING
    kind = Kind.CHECKING if checking else Kind.LOOK_HERE
    title, line = WORDS[kind]
    return ScreenState(
        kind=kind,
        title=title,
        line=HINTS.get(visit.hint, line),
        since_s=now_s,
        progress=visit.progress if checking else 0.0,
        hint=visit.hint,
    )


def _challenge_screen(challenge: Challenge, left: float, now_s: float) -> ScreenState:
    title, line = STEPS[challenge.step]
    if challenge.step is Step.LOOK_STRAIGHT and challenge.attempt > 1 and challenge.number == 1:
        title = ONCE_MORE
    return ScreenState(
        *(Kind.CHALLENGE, title, line, now_s),
        progress=left,
        step=challenge.step,
        number=challenge.number,
        steps=challenge.steps,
    )


def _pad_screen(pad: Pad, result: Result | None, now_s: float) -> ScreenState:
    title, line = WORDS[Kind.PIN_PAD]
    if pad.busy:
        title, line = PIN_BUSY
    elif result is not None:
        title, line = result.title, result.line
    elif pad.said is not None:
        title, line = pad.said
    elif len(pad.digits) >= FEWEST_DIGITS:
        line = PIN_SEND
    return ScreenState(*(Kind.PIN_PAD, title, line, now_s), digits=len(pad.digits), busy=pad.busy)


def _plain(kind: Kind, now_s: float) -> ScreenState:
    title, line = WORDS[kind]
    return ScreenState(kind, title, line, now_s, hint=Hint.NONE)
