"""From what happened to what the screen shows. Pure: no clock, no broker, no window.

In order of precedence: no connection or no daemon; a fresh result; a daemon that can let nobody in;
a challenge; a wait after failures; the PIN pad; somebody being looked at (who is first asked for a
badge where a face alone lets nobody in) or awaited; a lost camera; the lock's state; idle. While
the pad is open, a refusal replaces its words but leaves its keys. A name comes only from an
accepted decision that the gate admitted, and is forgotten as soon as its time is over, somebody
else steps up, or the connection breaks. "Come in" is said only while the lock itself reports that
it is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from oneglance.contract.messages import (
    FACTOR_MISSING,
    LOCK_TEST,
    AccessState,
    Challenge,
    Decision,
    DoorState,
    Factor,
    Hint,
    LockState,
    Outcome,
    Phase,
    ServiceState,
    Status,
    Step,
    VisitState,
)
from oneglance.kiosk_ui import pin_pad
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.pad_keys import FEWEST_DIGITS, Key
from oneglance.kiosk_ui.pin_pad import Pad
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.words import (
    ASKED,
    CLAIMED,
    CLOCK_NOTE,
    CLOCK_WRONG,
    COME_IN,
    FURTHER,
    HINTS,
    LIVENESS_NOTE,
    LOCK_SILENT,
    NO_ANSWER,
    ONCE_MORE,
    PIN_BUSY,
    PIN_SEND,
    REFUSALS,
    STEPS,
    UNKNOWN_REFUSAL,
    WELCOME_NAME,
    WORDS,
    time_left,
)

# How long an answer stays readable, however soon the next answer or visitor comes.
MIN_RESULT_S = 1.2
# No visit is looked at for longer, unless its camera or the daemon hangs.
MOST_CHECKING_S = 20.0
# A hint that came and went with every frame would flicker, and nobody could follow it.
HINT_HELD_S = 0.8
# A visit that falls silent for this long is over: the person left, or the daemon hangs.
VISIT_SILENCE_S = 2.0
# Claims and waits are published once a second while there are any.
ACCESS_SILENCE_S = 3.0
# How long an expired challenge stays while the daemon has not said what comes next.
LINGER_S = 1.0
# With less than this share of its time left, a step wants more than was done so far.
FURTHER_FROM = 0.5
# The daemon repeats its status every 30 s; a retained one that nobody repeats is an echo.
STATUS_SILENCE_S = 75.0
# How long a fresh screen waits for its broker and daemon before it calls itself out of service.
START_GRACE_S = 10.0
# Reasons in a status, without the camera's name.
STILL_SEES = {"camera_corrupt", "camera_resized", "camera_slow", "camera_fast"} | {
    "certificate_ends",
    "gallery_stale",
    "sharing_error",
    "sharing_incomplete",
    "sharing_model",
    "sharing_refused",
    "sharing_replayed",
}
# No badges or PINs count, but faces do.
NO_CLAIMS = {"credentials_restored", "credentials_error", "keyring_error"}
SEES_NOTHING = {"camera_lost", "camera_dark", "camera_frozen"}
# Where a PIN helps, the button that opens the pad is shown.
_OFFERS_PAD = {
    Kind.IDLE,
    Kind.LOOK_HERE,
    Kind.CHECKING,
    Kind.CLAIM,
    Kind.NOT_RECOGNISED,
    Kind.NOT_SURE,
    Kind.NOT_NOW,
    Kind.WAIT,
}
_TROUBLE = {Kind.CAMERA_LOST, Kind.MAINTENANCE, Kind.OFFLINE}
_LONGEST_NOTE = 60


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted the connection; the daemon's retained status follows."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection to the broker broke: nothing on the screen is true any more."""


@dataclass(frozen=True, slots=True)
class StatusArrived:
    """The daemon's status; None if it could not be read."""

    status: Status | None


@dataclass(frozen=True, slots=True)
class VisitArrived:
    """How far the visit in front of the camera has come."""

    visit: VisitState


@dataclass(frozen=True, slots=True)
class AccessArrived:
    """Whether somebody has been claimed, and who has to wait."""

    access: AccessState


@dataclass(frozen=True, slots=True)
class DecisionArrived:
    """A decision that `contract.gate.Gate` admitted: signed, fresh, for this door, never before."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class DoorArrived:
    """The lock's state; None if it could not be read."""

    door: DoorState | None


@dataclass(frozen=True, slots=True)
class ClockDoubted:
    """A decision signed by the daemon was refused only because of its time: a clock is wrong."""


@dataclass(frozen=True, slots=True)
class LivenessMissed:
    """The daemon let somebody in without looking whether they live, which is required here."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """What the broker does not let this screen hear, as last levels of topics; may be empty."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChallengeArrived:
    """What the visitor is to be asked now, as admitted by `contract.gate.Gate`."""

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
    | DoorArrived
    | ClockDoubted
    | LivenessMissed
    | Unheard
    | ChallengeArrived
    | DecisionArrived
    | KeyPressed
    | PinSent
    | PinAnswered
    | Tick
)


@dataclass(frozen=True, slots=True)
class Result:
    """What is kept of a decision: what to show, since when, and the lock's name for it."""

    kind: Kind
    title: str
    line: str
    at_s: float
    name: str = ""
    event_id: str = ""


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
    hint_at_s: float = 0.0
    checking_s: float | None = None
    challenge: Challenge | None = None
    challenge_at_s: float = 0.0
    decided_visit_id: str = ""
    access: AccessState | None = None
    access_at_s: float = 0.0
    result: Result | None = None
    # An answer that came before the last one had been shown for long enough.
    next_result: Result | None = None
    door: DoorState | None = None
    # The event of the last test of the lock.
    lock_test: str = ""
    # What is wrong between daemon and screen, as a code for staff: a clock, liveness.
    disagrees: str = ""
    # What the broker does not let this screen hear.
    unheard: tuple[str, ...] = ()
    discreet: bool = False
    has_pad: bool = False
    pad: Pad = field(default_factory=Pad)


def initial(
    now_s: float, result_s: float, *, has_pad: bool = False, discreet: bool = False
) -> KioskState:
    """A screen that has just come up; a result will stay for `result_s` seconds.

    A `discreet` one welcomes without a name.
    """
    return KioskState(
        *(_plain(Kind.STARTING, now_s), now_s, max(result_s, MIN_RESULT_S)),
        has_pad=has_pad,
        discreet=discreet,
    )


def reduce(state: KioskState, event: Event, now_s: float) -> KioskState:
    """The state after `event` at `now_s` (monotonic seconds, not before the last event's)."""
    return _drawn(_forgotten(_learnt(state, event, now_s), now_s), now_s)


def _learnt(state: KioskState, event: Event, now_s: float) -> KioskState:
    match event:
        case Connected():
            return replace(_blank(state, connected=True), door=None)
        case Disconnected():
            return replace(_blank(state, connected=False), door=None)
        case StatusArrived(status):
            if status is None or status.state is ServiceState.OFFLINE:
                return _blank(state, connected=state.connected)
            return replace(state, status=status, status_at_s=now_s, ever_online=True)
        case VisitArrived(visit):
            return _visited(state, visit, now_s)
        case AccessArrived(access):
            return replace(state, access=access, access_at_s=now_s)
        case DoorArrived(door):
            return replace(state, door=door)
        case ClockDoubted():
            wrong = Result(Kind.MAINTENANCE, *CLOCK_WRONG, now_s)
            return replace(_answered(state, wrong, now_s), disagrees=CLOCK_NOTE)
        case LivenessMissed():
            # The lock stays shut as well, so that a welcome would be a lie.
            wrong = Result(Kind.MAINTENANCE, *WORDS[Kind.MAINTENANCE], now_s)
            return replace(_answered(state, wrong, now_s), disagrees=LIVENESS_NOTE)
        case Unheard(topics):
            return replace(state, unheard=topics)
        case ChallengeArrived(challenge):
            # A visitor who is asked for something must see that, rather than the previous one's
            # answer.
            return replace(
                state,
                challenge=challenge,
                challenge_at_s=now_s,
                checking_s=None,
                result=None,
                next_result=None,
                disagrees="",
            )
        case DecisionArrived(decision) if decision.reason == LOCK_TEST:
            # Not a visit: the administration shows it.
            return replace(state, lock_test=decision.event_id, disagrees="")
        case DecisionArrived(decision) if _is_of_another(decision, state.challenge):
            # Whoever stands beside the visitor who is asked, or hangs on the wall there.
            return replace(state, decided_visit_id=decision.visit_id, disagrees="")
        case DecisionArrived(decision):
            accepted = decision.outcome is Outcome.ACCEPTED
            # Somebody who is entering a PIN need not be told that one is missing.
            known = state.pad.open and decision.reason == FACTOR_MISSING
            result = None if known else result_of(decision, now_s, discreet=state.discreet)
            return replace(
                _answered(state, result, now_s),
                decided_visit_id=decision.visit_id,
                disagrees="",
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


def _is_of_another(decision: Decision, asked: Challenge | None) -> bool:
    """Whether it refuses somebody else than the visitor who is `asked` for something now."""
    refuses = decision.outcome is not Outcome.ACCEPTED
    return refuses and asked is not None and decision.visit_id != asked.visit_id


def _answered(state: KioskState, result: Result | None, now_s: float) -> KioskState:
    """A visit is over; its answer waits until the last one has been shown for long enough."""
    state = replace(state, challenge=None, visit=None, checking_s=None)
    shown = state.result
    if result is not None and shown is not None and now_s - shown.at_s < MIN_RESULT_S:
        return replace(state, next_result=result)
    return replace(state, result=result, next_result=None)


def _blank(state: KioskState, *, connected: bool) -> KioskState:
    return replace(
        state,
        connected=connected,
        status=None,
        visit=None,
        checking_s=None,
        access=None,
        challenge=None,
        result=None,
        next_result=None,
        decided_visit_id="",
    )


def _keyed(state: KioskState, key: str, now_s: float) -> KioskState:
    pad = state.pad
    if not (pad.open or state.screen.offers_pad):
        return state
    if pad.open and key is not Key.CLOSE and _wait_s(state, now_s) > 0:
        return state
    # Whoever opens it has read why nobody was let in before.
    state = state if pad.open else replace(state, result=None, next_result=None)
    return replace(state, pad=pin_pad.pressed(pad, key, now_s))


def _visited(state: KioskState, visit: VisitState, now_s: float) -> KioskState:
    match visit.phase:
        case Phase.IDLE:
            return replace(state, visit=None, challenge=None, checking_s=None)
        case Phase.DONE:
            # The decision travels on its own topic and may come a moment later: keep showing
            # the check until then, or until it has been silent for too long.
            return state
        case Phase.LOOK | Phase.CHECKING:
            if visit.visit_id and visit.visit_id == state.decided_visit_id:
                return state
            return _looked_at(state, visit, now_s)


def _looked_at(state: KioskState, visit: VisitState, now_s: float) -> KioskState:
    before = state.visit
    if before is None and _opens_pad(state, now_s):
        state = replace(state, pad=pin_pad.pressed(state.pad, Key.OPEN, now_s))
    since_s = None
    if visit.phase is Phase.CHECKING:
        goes_on = before is not None and before.visit_id == visit.visit_id
        since_s = state.checking_s if goes_on else None
        since_s = now_s if since_s is None else since_s
    hint_at_s = state.hint_at_s
    if before is not None and visit.hint is not before.hint:
        if now_s - hint_at_s < HINT_HELD_S:
            visit = visit.model_copy(update={"hint": before.hint})
        else:
            hint_at_s = now_s
    elif before is None:
        hint_at_s = now_s
    return replace(state, visit=visit, visit_at_s=now_s, hint_at_s=hint_at_s, checking_s=since_s)


def _opens_pad(state: KioskState, now_s: float) -> bool:
    """Whether all that a visitor can do is enter a PIN, and here."""
    claims = () if state.status is None else state.status.claims
    can = state.has_pad and not state.pad.open and state.result is None and _takes_pins(state)
    return can and claims == (Factor.PIN,) and not _is_claimed(state, now_s)


def result_of(decision: Decision, now_s: float, *, discreet: bool = False) -> Result:
    """What the screen says about an admitted decision; without the name if it is `discreet`."""
    if decision.outcome is Outcome.ACCEPTED:
        title, line = WORDS[Kind.WELCOME]
        name = "" if discreet else clean_name(decision.person_name or "")
        title = WELCOME_NAME if name else title
        return Result(Kind.WELCOME, title, line, now_s, name, decision.event_id)
    kind, words = REFUSALS.get(decision.reason, UNKNOWN_REFUSAL)
    return Result(kind, *words, now_s)


def _forgotten(state: KioskState, now_s: float) -> KioskState:
    if state.status is not None and not 0 <= now_s - state.status_at_s <= STATUS_SILENCE_S:
        state = _blank(state, connected=state.connected)
    if state.visit is not None and not 0 <= now_s - state.visit_at_s <= VISIT_SILENCE_S:
        state = replace(state, visit=None, checking_s=None)
    if state.visit is not None and _hangs(state, now_s):
        state = replace(
            _answered(state, Result(Kind.NOT_SURE, *NO_ANSWER, now_s), now_s),
            decided_visit_id=state.visit.visit_id,
        )
    state = _result_forgotten(state, now_s)
    if state.access is not None and not 0 <= now_s - state.access_at_s <= ACCESS_SILENCE_S:
        state = replace(state, access=None)
    asked = state.challenge
    if asked is not None and not 0 <= now_s - state.challenge_at_s <= asked.time_s + LINGER_S:
        state = replace(state, challenge=None)
    if not _takes_pins(state):
        return replace(state, pad=pin_pad.closed(state.pad))
    waits = _wait_s(state, now_s) > 0
    return replace(state, pad=pin_pad.later(state.pad, now_s, waits=waits))


def _hangs(state: KioskState, now_s: float) -> bool:
    since_s = state.checking_s
    return since_s is not None and state.challenge is None and now_s - since_s > MOST_CHECKING_S


def _result_forgotten(state: KioskState, now_s: float) -> KioskState:
    """An answer goes when its time is over, or earlier for the next answer or visitor."""
    result = state.result
    if result is None:
        return state
    # An open pad shows the answer in its words, and whoever enters a PIN is being looked at.
    waited_for = state.next_result is not None or (state.visit is not None and not state.pad.open)
    lasts_s = MIN_RESULT_S if waited_for else state.result_s
    if 0 <= now_s - result.at_s < lasts_s:
        return state
    following = state.next_result
    if following is not None:
        following = replace(following, at_s=now_s)
    return replace(state, result=following, next_result=None)


def _takes_pins(state: KioskState) -> bool:
    if state.status is None or state.challenge is not None:
        return False
    return _at_rest(state.status.reasons) not in (Kind.MAINTENANCE, Kind.STARTING)


def _drawn(state: KioskState, now_s: float) -> KioskState:
    screen = _screen(state, now_s)
    offers = state.has_pad and not state.pad.open and _takes_pins(state)
    if offers and screen.kind in _OFFERS_PAD:
        screen = replace(screen, offers_pad=True)
    screen = replace(screen, note=_note(state, screen.kind))
    shown = state.screen
    if (screen.kind, screen.title) == (shown.kind, shown.title) and not _is_new(state, now_s):
        screen = replace(screen, since_s=shown.since_s)
    return replace(state, screen=screen)


def _is_new(state: KioskState, now_s: float) -> bool:
    """Whether a result came just now: even the same words are a new answer."""
    return state.result is not None and state.result.at_s == now_s


def _screen(state: KioskState, now_s: float) -> ScreenState:
    if not state.connected or state.status is None:
        waiting = not state.ever_online and now_s - state.started_s < START_GRACE_S
        return _plain(Kind.STARTING if waiting else Kind.OFFLINE, now_s)
    result = state.result
    if result is not None and not state.pad.open:
        line = _welcome_line(state.door, result) if result.event_id else result.line
        return ScreenState(result.kind, result.title, line, now_s, name=result.name)
    # A screen that cannot hear the answers must not invite anybody.
    rest = Kind.MAINTENANCE if state.unheard else _at_rest(state.status.reasons)
    if rest is Kind.MAINTENANCE:
        return _plain(rest, now_s)
    # A wait is for who comes: the daemon asks nobody else than a visitor who need not wait.
    if state.challenge is not None:
        left = 1 - (now_s - state.challenge_at_s) / state.challenge.time_s
        return _challenge_screen(state.challenge, max(0.0, left), now_s)
    if (wait_s := _wait_s(state, now_s)) > 0:
        return replace(_plain(Kind.WAIT, now_s), left=time_left(wait_s))
    if state.pad.open:
        return _pad_screen(state.pad, result, now_s)
    if state.visit is not None:
        if _asked(state) and not _is_claimed(state, now_s):
            return replace(_plain(Kind.CLAIM, now_s), title=_asked(state))
        return _visit_screen(state.visit, now_s)
    if _is_claimed(state, now_s):
        return replace(_plain(Kind.LOOK_HERE, now_s), line=CLAIMED)
    if rest is Kind.IDLE and state.door is not None:
        rest = _OF_LOCK[state.door.state]
    shown = _plain(rest, now_s)
    return replace(shown, line=_asked(state) or shown.line) if rest is Kind.IDLE else shown


def _asked(state: KioskState) -> str:
    """What people have to show before their face counts; empty where a face is enough."""
    claims = () if state.status is None else state.status.claims
    return ASKED.get(claims, WORDS[Kind.CLAIM][0]) if claims else ""


_OF_LOCK = {
    LockState.LOCKED: Kind.IDLE,
    LockState.UNLOCKED: Kind.DOOR_OPEN,
    LockState.FAULT: Kind.DOOR_FAULT,
}


def _welcome_line(door: DoorState | None, result: Result) -> str:
    """The line below a welcome: only the lock can say that it is open."""
    if door is None:
        return result.line
    if door.state is LockState.FAULT:
        return LOCK_SILENT
    opened = door.state is LockState.UNLOCKED and door.cause == result.event_id
    return COME_IN if opened else result.line


def _note(state: KioskState, kind: Kind) -> str:
    """For whoever looks after the door: a code that says why it is out of service."""
    if state.unheard and kind in _TROUBLE:
        return f"no right to hear {', '.join(state.unheard)}"[:_LONGEST_NOTE]
    if kind is Kind.OFFLINE:
        return "no daemon" if state.connected else "no connection"
    if kind is Kind.DOOR_FAULT and state.door is not None:
        return clean_name(state.door.cause)
    notes = list(state.status.reasons) if kind in _TROUBLE and state.status is not None else []
    if state.disagrees and kind in _TROUBLE | {Kind.IDLE}:
        notes.append(state.disagrees)
    return clean_name(", ".join(notes))[:_LONGEST_NOTE]


def _wait_s(state: KioskState, now_s: float) -> float:
    """How long the person here has to wait: after a refused claim, with a PIN, or with a face."""
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

    If one of several cameras is lost the others remain, one that only misbehaves still sees, and
    faces need no badges or PINs. Any trouble that is not known here may mean that nobody can be let
    in, and an invitation would be a lie.
    """
    names = {reason.partition(":")[0] for reason in reasons} - STILL_SEES - NO_CLAIMS
    if names - SEES_NOTHING - {"starting"}:
        return Kind.MAINTENANCE
    if "starting" in names:
        return Kind.STARTING
    return Kind.CAMERA_LOST if names else Kind.IDLE


def _visit_screen(visit: VisitState, now_s: float) -> ScreenState:
    checking = visit.phase is Phase.CHECKING
    kind = Kind.CHECKING if checking else Kind.LOOK_HERE
    title, line = WORDS[kind]
    # What would help matters most, so it is said in the large text.
    if visit.hint is not Hint.NONE:
        title, line = HINTS[visit.hint], title
    return ScreenState(
        kind=kind,
        title=title,
        line=line,
        since_s=now_s,
        progress=visit.progress if checking else 0.0,
        hint=visit.hint,
    )


def _challenge_screen(challenge: Challenge, left: float, now_s: float) -> ScreenState:
    title, line = STEPS[challenge.step]
    straight = challenge.step is Step.LOOK_STRAIGHT
    if not straight and left < FURTHER_FROM:
        line = FURTHER
    if straight and challenge.attempt > 1 and challenge.number == 1:
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
