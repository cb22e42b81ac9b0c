"""All texts of the screen in one place, in English, which also serve as translation ids.

`N_` marks what is translated (`locale/*.po`). The big text says what to do if there is anything to
do; no text blames the person. `{name}` and `{left}` are filled in by the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    FACTOR_MISSING,
    NOT_PERMITTED,
    PRESENTATION_ATTACK,
    TOO_FEW_PICTURES,
    Factor,
    Hint,
    Step,
)
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.screen import Kind

RING = N_("Please ring the bell")

# (big text, small text).
WORDS: dict[Kind, tuple[str, str]] = {
    Kind.STARTING: (N_("One moment"), N_("The door is waking up")),
    Kind.IDLE: (N_("Hello"), N_("Look at the camera to come in")),
    Kind.LOOK_HERE: (N_("Look here"), N_("One glance is enough")),
    Kind.CHECKING: (N_("Checking"), N_("Keep looking here")),
    Kind.CHALLENGE: (N_("Look here"), N_("Look straight at the camera, and hold still")),
    Kind.WELCOME: (N_("Welcome"), N_("Good to see you")),
    Kind.NOT_RECOGNISED: (
        N_("Sorry, I do not know you"),
        N_("Try once more, or ring the bell"),
    ),
    Kind.NOT_SURE: (N_("I could not be sure"), N_("Show your whole face, or use your key")),
    Kind.NOT_NOW: (N_("Not at this time"), RING),
    Kind.WAIT: (N_("Try again in {left}"), N_("That was a few attempts too many")),
    Kind.CLAIM: (N_("Badge or PIN, please"), N_("Then look at the camera")),
    Kind.PIN_PAD: (N_("Enter your PIN"), N_("6 to 12 digits")),
    Kind.DOOR_OPEN: (N_("The door is open"), N_("Please come in")),
    Kind.DOOR_FAULT: (RING, N_("The lock does not answer at the moment")),
    Kind.CAMERA_LOST: (RING, N_("I cannot see you: the camera is off")),
    Kind.MAINTENANCE: (RING, N_("This door is being serviced")),
    Kind.OFFLINE: (RING, N_("Out of service at the moment. Or use your key")),
}

# Said as the big text while somebody is being looked at.
HINTS: dict[Hint, str] = {
    Hint.COME_CLOSER: N_("Come a little closer"),
    Hint.STEP_BACK: N_("Take a step back"),
    Hint.LOOK_AT_CAMERA: N_("Look straight at the camera"),
    Hint.MORE_LIGHT: N_("Turn towards the light"),
    Hint.BACKLIT: N_("The light is behind you, turn a little"),
    Hint.HOLD_STILL: N_("Hold still for a moment"),
    Hint.UNCOVER_EYES: N_("Please take your sunglasses off"),
    Hint.UNCOVER_MOUTH: N_("Please take your mask off"),
    Hint.ONE_AT_A_TIME: N_("One person at a time, please"),
}

# What a challenge asks for; left and right are the visitor's own.
STEPS: dict[Step, tuple[str, str]] = {
    Step.LOOK_STRAIGHT: WORDS[Kind.CHALLENGE],
    Step.TURN_LEFT: (N_("Turn left"), N_("Turn your head to your left, and stay like that")),
    Step.TURN_RIGHT: (N_("Turn right"), N_("Turn your head to your right, and stay like that")),
    Step.LOOK_UP: (N_("Look up"), N_("Lift your chin, and stay like that")),
    Step.COME_CLOSER: (N_("Come closer"), N_("Bring your face nearer to the camera")),
}
# Said as the big text before the second attempt.
ONCE_MORE = N_("Once more")
# Said as the small text when half of a step's time is over, and it is not done.
FURTHER = N_("A little further")

WELCOME_NAME = N_("Welcome, {name}")
# Beside a welcome, as the lock itself says.
COME_IN = WORDS[Kind.DOOR_OPEN][1]
LOCK_SILENT = N_("The lock does not answer. Please ring the bell")

# A visit that ended because the pictures were too poor says so.
POOR_QUALITY = (N_("I could not see you well"), N_("Come closer, look here and try again"))
# Whoever holds up a photograph knows it; everybody else is told what helps.
NOT_SURE = WORDS[Kind.NOT_SURE]
NOT_MOVED = (NOT_SURE[0], N_("Move as the screen asks, or use your key"))
NOT_NOW = WORDS[Kind.NOT_NOW]
# A visit that the daemon never answered.
NO_ANSWER = (N_("That took too long"), N_("Try once more, or ring the bell"))
# A reason that is not known here: this door's answer was no, and nothing more can be said.
NOT_THIS_TIME = (N_("I cannot let you in"), RING)
# The daemon's answer was refused for its time: one of the two clocks is wrong.
CLOCK_WRONG = (RING, N_("The clock of this door is wrong"))
CLOCK_NOTE = "clock"
# The daemon lets people in without looking whether they live, and this door asks for that.
LIVENESS_NOTE = "liveness"

# Who is unlike anybody and who is like two people read the same, so that the screen tells nobody
# how close a stranger came.
REFUSALS: dict[str, tuple[Kind, tuple[str, str]]] = {
    "not_recognised": (Kind.NOT_RECOGNISED, WORDS[Kind.NOT_RECOGNISED]),
    "ambiguous": (Kind.NOT_RECOGNISED, WORDS[Kind.NOT_RECOGNISED]),
    "poor_quality": (Kind.NOT_SURE, POOR_QUALITY),
    PRESENTATION_ATTACK: (Kind.NOT_SURE, NOT_SURE),
    TOO_FEW_PICTURES: (Kind.NOT_SURE, NO_ANSWER),
    CHALLENGE_IGNORED: (Kind.NOT_SURE, NOT_MOVED),
    CHALLENGE_NOT_SHOWN: (Kind.NOT_SURE, NOT_SURE),
    NOT_PERMITTED: (Kind.NOT_NOW, NOT_NOW),
    FACTOR_MISSING: (
        Kind.NOT_RECOGNISED,
        (N_("One thing more"), N_("Show your badge or enter your PIN, then look here")),
    ),
}
UNKNOWN_REFUSAL = (Kind.NOT_RECOGNISED, NOT_THIS_TIME)

# Where a face alone lets nobody in: asked of whoever comes near, and said below the clock.
ASKED: dict[tuple[Factor, ...], str] = {
    (Factor.BADGE,): N_("Please show your badge"),
    (Factor.PIN,): N_("Please enter your PIN"),
    (Factor.BADGE, Factor.PIN): WORDS[Kind.CLAIM][0],
}

# Said instead of the small text while the face of somebody who is claimed is awaited.
CLAIMED = N_("Now look at the camera")

# The PIN pad's own words: how many digits are wanted still, or that the key with the tick sends.
PIN_SEND = N_("Now press the tick")
PIN_BUSY = (N_("One moment"), N_("Your PIN is on its way"))
# What came of a PIN; whether it is anybody's is never said.
PIN_AGAIN = (N_("Once more, please"), N_("That was too slow. Enter it again"))
PIN_UNHEARD = (N_("No answer"), N_("Try again, or ring the bell"))
PIN_REFUSED = (N_("No PINs now"), N_("Ring the bell, or use your key"))
PIN_WAIT = (N_("Please wait"), N_("Then try once more"))
PIN_ANSWERS: dict[str, tuple[str, str]] = {
    "wait": PIN_WAIT,
    "": PIN_UNHEARD,
    **dict.fromkeys(("expired", "replayed", "rate_limited", "busy", "clock_set"), PIN_AGAIN),
}


WEEKDAYS = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)
MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
    *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)
DATE = N_("{weekday}, {day} {month}")
DAY = N_("{day} {month}")
# A number with its decimal sign.
TENTHS = N_("{whole}.{tenths}")


def time_of(wall: datetime) -> str:
    """The time for the idle clock, e.g. "17:42"."""
    return f"{wall.hour}:{wall.minute:02d}"


def date_of(wall: datetime, say: Callable[..., str]) -> str:
    """The day in the language of `say`, e.g. "Sunday, 29 November"."""
    weekday, month = WEEKDAYS[wall.weekday()], MONTHS[wall.month - 1]
    return say(DATE, weekday=say(weekday), day=str(wall.day), month=say(month))


def day_of(wall: datetime, say: Callable[..., str]) -> str:
    """The day without its weekday, e.g. "29 November"."""
    return say(DAY, day=str(wall.day), month=say(MONTHS[wall.month - 1]))


def tenths_of(number: str, say: Callable[..., str]) -> str:
    """A number like "57.9" with the decimal sign of the language; any other text as it is."""
    whole, dot, tenths = number.partition(".")
    if not (dot and whole.isdecimal() and tenths.isdecimal()):
        return number
    return say(TENTHS, whole=whole, tenths=tenths)


def time_left(seconds: float) -> str:
    """A waiting time in minutes and seconds: "0:42", never "0:00"."""
    minutes, rest = divmod(max(1, math.ceil(seconds)), 60)
    return f"{minutes}:{rest:02d}"
